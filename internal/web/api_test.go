package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
)

type place struct {
	Lat   float64 `json:"lat" minimum:"-90" maximum:"90"`
	Lng   float64 `json:"lng" minimum:"-180" maximum:"180"`
	Datum string  `json:"datum" enum:"wgs84,gcj02,bd09"`
}

type call struct {
	Phone    string        `json:"phone" minLength:"5" maxLength:"20"`
	Location place         `json:"location"`
	Tags     []string      `json:"tags,omitempty" maxItems:"3"`
	At       *time.Time    `json:"at,omitempty"`
	Crew     events.CrewID `json:"crew,omitempty"`
	Seats    int8          `json:"seats,omitempty"`
}

type callIn struct {
	web.Idempotent
	Body call
}

type callOut struct {
	web.Replay
	web.Versioned
	Body call
}

func calls(t *testing.T) *site {
	return open(t, nil, func(_ chi.Router, api huma.API) {
		web.Register(api, huma.Operation{OperationID: "open", Method: http.MethodPost, Path: "/calls", DefaultStatus: 201, MaxBodyBytes: 2000}, web.Anyone(),
			func(_ context.Context, in *callIn) (*callOut, error) {
				return &callOut{web.Replayed(in.Key == "again"), web.Version(7), in.Body}, nil
			})
		web.Register(api, huma.Operation{OperationID: "list", Method: http.MethodGet, Path: "/calls"}, web.Only(events.RoleOperator),
			func(ctx context.Context, in *struct {
				web.Listing
				State string `query:"state" enum:"open,done"`
			}) (*web.List[call], error) {
				var key int
				if _, err := web.DecodeCursor("calls", in.Cursor, &key); err != nil {
					return nil, err
				}
				return web.Listed[call](ctx, nil, web.EncodeCursor("calls", key+in.Limit)), nil
			})
		web.Register(api, huma.Operation{OperationID: "show", Method: http.MethodGet, Path: "/crews/{crew}"}, web.Only(),
			func(_ context.Context, in *struct {
				Crew events.CrewID `path:"crew"`
			}) (*struct{ Body string }, error) {
				return &struct{ Body string }{in.Crew.String()}, nil
			})
		web.Register(api, huma.Operation{OperationID: "amend", Method: http.MethodPatch, Path: "/calls"}, web.Anyone(),
			func(_ context.Context, in *struct{ web.Precondition }) (*struct{}, error) {
				seen, err := in.Version()
				if err != nil {
					return nil, err
				}
				return nil, web.CheckVersion(seen, 7)
			})
	})
}

const goodCall = `{"phone":"13800000000","location":{"lat":30.5,"lng":104,"datum":"gcj02"}}`

func TestAGoodCallIsAnswered(t *testing.T) {
	t.Parallel()
	s := calls(t)
	got := s.call("POST", "/calls", goodCall, "Idempotency-Key", "k1")
	require.Equal(t, 201, got.status, got.body)
	require.JSONEq(t, goodCall, strings.Replace(got.body, `,"crew":""`, "", 1))
	require.Equal(t, `"7"`, got.header.Get("ETag"))
	require.NotContains(t, got.header, "Idempotency-Hit")
	require.NotContains(t, got.body, "$schema")
	got = s.call("POST", "/calls", goodCall, "Idempotency-Key", "again", "Content-Type", "application/json; charset=UTF-8")
	require.Equal(t, 201, got.status)
	require.Equal(t, "true", got.header.Get("Idempotency-Hit"))
}

func TestEveryWrongFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	s := calls(t)
	for name, tc := range map[string]struct {
		body   string
		fields map[string]string
	}{
		"types and ranges": {`{"phone":1,"location":{"lat":"x","lng":181,"datum":"mars"},"tags":["a",2],"at":"yesterday","crew":"req_1","seats":1.5,"colour":"red"}`,
			map[string]string{"phone": "type", "location.lat": "type", "location.lng": "range", "location.datum": "enum", "tags[1]": "type",
				"at": "format", "crew": "format", "seats": "type", "colour": "unknown"}},
		"missing":       {`{"location":{}}`, map[string]string{"phone": "required", "location.lat": "required", "location.lng": "required", "location.datum": "required"}},
		"null":          {`{"phone":null,"location":null}`, map[string]string{"phone": "type", "location": "type"}},
		"not an object": {`[1]`, map[string]string{"": "type"}},
		"letter case":   {`{"Phone":"13800000000","location":{"lat":1,"lng":2,"datum":"wgs84"}}`, map[string]string{"phone": "required", "Phone": "unknown"}},
		"does not fit":  {`{"phone":"13800000000","location":{"lat":1,"lng":2,"datum":"wgs84"},"seats":300}`, map[string]string{"seats": "range"}},
		"absurd numbers": {`{"phone":1e999,"location":{"lat":1e999,"lng":-1e999,"datum":"wgs84"},"seats":1e400,"tags":["a",1e999],"colour":1e999}`,
			map[string]string{"location.lat": "range", "location.lng": "range", "seats": "range", "phone": "type", "tags[1]": "type", "colour": "unknown"}},
		"NUL characters": {`{"phone":"1380000\u00000","location":{"lat":1,"lng":2,"datum":"wgs84"},"tags":["\u0000"]}`, map[string]string{"phone": "nul", "tags[0]": "nul"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.call("POST", "/calls", tc.body, "Idempotency-Key", "k")
			require.Equal(t, 400, got.status, got.body)
			require.Equal(t, "invalid", got.problem(t)["code"])
			require.Equal(t, tc.fields, got.fields(t))
			require.NotContains(t, got.body, "Go ", "Go's own types are no help to a caller")
			require.NotContains(t, got.body, "cannot unmarshal")
		})
	}
	got := s.call("POST", "/calls", strings.Replace(goodCall, "30.5", "91", 1))
	require.Equal(t, map[string]string{"Idempotency-Key": "required", "location.lat": "range"}, got.fields(t), "headers and body together")
	require.Equal(t, 400, got.status)
	require.Contains(t, got.body, "UUID", "the mend")
	require.Equal(t, map[string]string{"Idempotency-Key": "format"}, s.call("POST", "/calls", goodCall, "Idempotency-Key", "a b").fields(t))
	escaped := strings.Replace(goodCall, "13800000000", `\\u0000 ok`, 1)
	require.Equal(t, 201, s.call("POST", "/calls", escaped, "Idempotency-Key", "k").status, "an escaped backslash is no NUL")
}

func TestUnusableBodies(t *testing.T) {
	t.Parallel()
	s := calls(t)
	for name, tc := range map[string]struct {
		body, mediaType string
		status          int
		code, detail    string
	}{
		"broken":        {"{\n  \"phone\": \"1\",\n  \"lat\" 3}", "", 400, "broken_json", "line 3, column 9"},
		"cut":           {`{"phone":"1"`, "", 400, "broken_json", "line 1, column 12"},
		"two values":    {`{} {}`, "", 400, "broken_json", "line 1, column 4"},
		"wide columns":  {`{"电话":x}`, "", 400, "broken_json", "line 1, column 7"},
		"not UTF-8":     {"{\"phone\":\"\xff\"}", "", 400, "broken_json", "line 1, column 11"},
		"empty":         {"", "", 400, "body_required", "application/json"},
		"form":          {"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type", "application/json"},
		"other charset": {goodCall, "application/json; charset=gbk", 415, "unsupported_media_type", "UTF-8"},
		"odd type":      {goodCall, ";;", 415, "unsupported_media_type", "application/json"},
		"over limit":    {`"` + strings.Repeat("x", 2000) + `"`, "", 413, "body_too_large", "2000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []string{"Idempotency-Key", "k"}
			if tc.mediaType != "" {
				headers = append(headers, "Content-Type", tc.mediaType)
			}
			got := s.call("POST", "/calls", tc.body, headers...)
			p := got.problem(t)
			require.Equal(t, tc.status, got.status, got.body)
			require.Equal(t, tc.code, p["code"])
			require.Contains(t, p["detail"], tc.detail)
		})
	}
	exact := goodCall + strings.Repeat(" ", 2000-len(goodCall))
	require.Equal(t, 201, s.call("POST", "/calls", exact, "Idempotency-Key", "k").status, "a body of exactly the limit is taken")
	req, err := http.NewRequest("POST", s.server.URL+"/calls", struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", 2001))})
	require.NoError(t, err) // no Content-Length: only reading tells
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 413, res.StatusCode)
}

// TestWhoSendsTooMuchHearsOfIt is a client that reads nothing before it has
// sent all: cut off while sending, it would see a broken pipe and no answer.
func TestWhoSendsTooMuchHearsOfIt(t *testing.T) {
	t.Parallel()
	s := calls(t)
	for name, head := range map[string]string{
		"length known": fmt.Sprintf("Content-Length: %d\r\n\r\n", 6<<20),
		"in chunks":    fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", 6<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.server.URL, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, err = fmt.Fprint(conn, "POST /calls HTTP/1.1\r\nHost: test\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n"+head)
			require.NoError(t, err)
			for range 6 {
				_, err = conn.Write(bytes.Repeat([]byte(" "), 1<<20))
				require.NoError(t, err)
			}
			if name == "in chunks" {
				_, err = fmt.Fprint(conn, "\r\n0\r\n\r\n")
				require.NoError(t, err)
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer res.Body.Close()
			require.Equal(t, 413, res.StatusCode)
		})
	}
}

func TestWhoAsksBeforeSendingTooMuchNeedNotSend(t *testing.T) {
	t.Parallel()
	conn, err := net.Dial("tcp", strings.TrimPrefix(calls(t).server.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(conn, "POST /calls HTTP/1.1\r\nHost: test\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", 6<<20)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 413, res.StatusCode, "and no 100 Continue before it")
}

func TestMessagesAreReadLikeBodies(t *testing.T) {
	t.Parallel()
	m := web.NewMessage[call]()
	for body, want := range map[string]string{
		`{"phone":1,"location":{"lat":"x","lng":181,"datum":"mars","road":"G4"},"crew":"req_1","seats":300,"colour":"red"}`: "colour unknown, crew format, location.datum enum, location.lat type, location.lng range, location.road unknown, phone type",
		`{"Phone":"13800000000","location":{"lat":1e999,"lng":2,"datum":"wgs84"}}`:                                          "Phone unknown, location.lat range, phone required",
		`{"phone":"13800000000","location":{"lat":1,"lng":2,"datum":"wgs84"},"seats":300}`:                                  "seats range",
		`{"phone":"1380000\u00000"}`: "phone nul",
		goodCall:                     "",
	} {
		_, fields, err := m.Read([]byte(body))
		require.NoError(t, err, body)
		var got []string
		for _, f := range fields {
			got = append(got, f.Field+" "+f.Code)
		}
		require.Equal(t, want, strings.Join(got, ", "), body)
	}
	in, _, err := m.Read([]byte(`{"phone":7,"location":{"lat":30.5}}`))
	require.NoError(t, err)
	require.Equal(t, 30.5, in.Location.Lat, "what is right is read beside what is wrong")
	for _, body := range []string{``, ` `, `{`, `[1]`, `null`, `"x"`, `{} {}`, "{\"phone\":\"\xff\"}"} {
		_, _, err := m.Read([]byte(body))
		require.Equal(t, fault.Invalid, fault.KindOf(err), body)
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	s := calls(t)
	got := s.call("GET", "/calls", "")
	require.Equal(t, 401, got.status)
	require.Equal(t, "unauthorized", got.problem(t)["code"])
	got = s.call("GET", "/calls?limit=bad", "", "Authorization", "Bearer owner")
	require.Equal(t, 403, got.status, "before the input is looked at")
	require.Contains(t, got.problem(t)["detail"], "operator")
	require.Equal(t, 200, s.call("GET", "/calls", "", "Authorization", "Bearer anna").status)
	require.Equal(t, 401, s.call("GET", "/crews/x", "").status)
	require.PanicsWithValue(t, "web.Register x: say who may call it with Anyone or Only", func() {
		web.Register(web.NewAPI(chi.NewRouter(), "", ""), huma.Operation{OperationID: "x", Method: "GET", Path: "/"}, web.Audience{},
			func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	})
	ctx := web.WithActor(context.Background(), people["anna"])
	who, err := web.Require(ctx, events.RoleAdmin, events.RoleOperator)
	require.NoError(t, err)
	require.Equal(t, people["anna"], who)
	_, err = web.Require(ctx, events.RoleAdmin)
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = web.Require(context.Background())
	require.Equal(t, fault.Unauthorized, fault.KindOf(err))
}

func TestParametersAndPaging(t *testing.T) {
	t.Parallel()
	s := calls(t)
	as := []string{"Authorization", "Bearer anna"}
	got := s.call("GET", "/calls?state=open", "", as...)
	require.Equal(t, 200, got.status)
	var page web.ListBody[call]
	require.NoError(t, json.Unmarshal([]byte(got.body), &page))
	require.Contains(t, got.body, `"items":[]`)
	link := got.header.Get("Link")
	require.Equal(t, `<?cursor=`+page.NextCursor+`&state=open>; rel="next"`, link)
	var key int
	found, err := web.DecodeCursor("calls", page.NextCursor, &key)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 50, key, "the default limit")

	got = s.call("GET", "/calls?limit=201&state=odd&colour=red", "", as...)
	require.Equal(t, 400, got.status)
	require.Equal(t, "unknown", got.fields(t)["colour"])
	got = s.call("GET", "/calls?limit=0&state=odd", "", as...)
	require.Equal(t, map[string]string{"limit": "range", "state": "enum"}, got.fields(t))
	require.Equal(t, map[string]string{"limit": "type"}, s.call("GET", "/calls?limit=x", "", as...).fields(t))
	require.Equal(t, map[string]string{"cursor": "cursor"}, s.call("GET", "/calls?cursor=x", "", as...).fields(t))
	require.Equal(t, map[string]string{"crew": "format"}, s.call("GET", "/crews/req_01920e5c-7d5f-7a3b-8c1d-2e3f4a5b6c7d", "", as...).fields(t))
	require.Equal(t, 200, s.call("GET", "/crews/crw_01920e5c-7d5f-7a3b-8c1d-2e3f4a5b6c7d", "", as...).status)
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	s := calls(t)
	for header, status := range map[string]int{"": 428, `"7"`: 204, `W/"7"`: 204, `"6"`: 412, "7": 400, "*": 400, `"7", "8"`: 400, `"-1"`: 400} {
		require.Equal(t, status, s.call("PATCH", "/calls", "", "If-Match", header).status, header)
	}
	require.Equal(t, "if_match_required", s.call("PATCH", "/calls", "").problem(t)["code"])
	p := s.call("PATCH", "/calls", "", "If-Match", `"6"`).problem(t)
	require.EqualValues(t, 7, p["version"])
}

func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	got := calls(t).call("GET", "/openapi.json", "")
	require.Equal(t, 200, got.status)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Security  []map[string][]string
			Roles     []string `json:"x-roles"`
			Responses map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Pattern string }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	require.Equal(t, []string{"operator"}, doc.Paths["/calls"]["get"].Roles)
	require.NotEmpty(t, doc.Paths["/calls"]["get"].Security)
	require.Empty(t, doc.Paths["/calls"]["post"].Security)
	require.Contains(t, doc.Components.Schemas["Call"].Properties["crew"].Pattern, "crw_")
	for _, methods := range doc.Paths {
		for _, op := range methods {
			require.Equal(t, "#/components/schemas/Problem", op.Responses["default"].Content["application/problem+json"].Schema.Ref)
			require.NotContains(t, op.Responses, "422")
		}
	}
	require.Contains(t, doc.Components.Schemas["Problem"].Properties, "fields")
}

// Two slices may each have a Batch.
func TestSchemasOfOneNameAreKeptApart(t *testing.T) {
	t.Parallel()
	type Field struct {
		Other string `json:"other"`
	}
	r := chi.NewRouter()
	api := web.NewAPI(r, "", "")
	web.Register(api, huma.Operation{OperationID: "x", Method: "POST", Path: "/"}, web.Anyone(),
		func(context.Context, *struct{ Body Field }) (*struct{}, error) { return nil, nil })
	schemas := api.OpenAPI().Components.Schemas.Map()
	require.Contains(t, schemas["Field"].Properties, "detail", "fault.Field, of the problem")
	require.Contains(t, schemas["Web_testField"].Properties, "other")
}
