package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// DefaultBodyLimit is the largest body an operation takes, in bytes, unless
// it sets huma.Operation.MaxBodyBytes.
const DefaultBodyLimit = 1 << 20

// operationTimeout is the wall time an operation has; streams have none.
const operationTimeout = 30 * time.Second

const (
	securityScheme = "token"
	audienceKey    = "web.audience"
	bodyLimitKey   = "web.body_limit"
	streamKey      = "web.stream"
)

// NewAPI makes the registry of operations over router and serves the
// OpenAPI 3.1 document at /openapi.json. Errors of every kind leave it as
// problems; unknown fields and query parameters are refused.
func NewAPI(router chi.Router, title, version string) huma.API {
	spec := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info:    &huma.Info{Title: title, Version: version},
		Components: &huma.Components{
			Schemas: newSchemas(),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				securityScheme: {Type: "http", Scheme: "bearer", Description: "An opaque token, rsc_<role>_…; pages use it as a cookie."},
			},
		},
	}
	api := humachi.New(router, huma.Config{
		OpenAPI:                      spec,
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}, // json: anything +json
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
	api.UseMiddleware(admit, prepare)
	document := sync.OnceValues(func() ([]byte, error) { return json.MarshalIndent(spec, "", "  ") })
	router.Get("/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		text, err := document()
		if err != nil {
			Problem(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text)
	})
	return api
}

var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	},
	Unmarshal: decode,
}

// decode words the errors of json.Unmarshal for callers; "at place: " is
// for fieldOf, since huma passes on nothing but the text.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if tree, ok := into.(*any); ok && err != nil {
		return decodeTree(body, tree)
	}
	var wrong *json.UnmarshalTypeError
	var f *fault.Error
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("at %s: the %s does not fit; give a smaller or another value", wrong.Field, wrong.Value)
	case errors.As(err, &f):
		return errors.New(f.Detail)
	}
	return err
}

// outsize is a number that no float64 can hold, as it was written. The check
// of the fields names its place, as it does for any other wrong value; without
// it the whole body would be unreadable, and nobody would know why.
type outsize string

// decodeTree reads what json.Unmarshal could not because of its numbers.
func decodeTree(body []byte, tree *any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(tree); err != nil {
		return err
	}
	*tree = withFloats(*tree)
	return nil
}

func withFloats(value any) any {
	switch v := value.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return outsize(v)
		}
		return f
	case []any:
		for i, item := range v {
			v[i] = withFloats(item)
		}
	case map[string]any:
		for name, item := range v {
			v[name] = withFloats(item)
		}
	}
	return value
}

// Audience says who may call an operation. The zero value admits nobody and
// cannot be registered, so that no operation is open by oversight.
type Audience struct {
	set   bool
	open  bool
	roles []events.Role
}

// Anyone admits everybody, signed in or not.
func Anyone() Audience { return Audience{set: true, open: true} }

// Only admits the named roles, and every known actor when none is named.
// The handler still decides which things the actor may see.
func Only(roles ...events.Role) Audience { return Audience{set: true, roles: roles} }

// Register adds an operation. The audience is checked before the body is
// read. handler returns fault errors, wrapped or not, and the caller gets
// their problems. DefaultBodyLimit holds unless op.MaxBodyBytes says more.
// It panics on a mistake in the operation, at start.
func Register[I, O any](api huma.API, op huma.Operation, may Audience, handler func(context.Context, *I) (*O, error)) {
	huma.Register(api, declare(op, may), handler)
}

// RegisterStream adds an operation that answers with server-sent events.
// handler checks its input and reads what it needs before a byte is sent, so
// its error is an ordinary problem; the feed it returns then writes until it
// returns or a send fails, which means that the client or the server left.
func RegisterStream[I any](api huma.API, op huma.Operation, may Audience, handler func(context.Context, *I) (feed func(*Stream) error, err error)) {
	op = declare(op, may)
	op.Metadata[streamKey] = true
	op.Responses = map[string]*huma.Response{
		"200":     {Description: "Server-sent events.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}},
		"default": op.Responses["default"],
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		feed, err := handler(ctx, in)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, w := humachi.Unwrap(hctx)
			stream, err := SSE(w, r)
			if err != nil {
				Problem(w, r, err)
				return
			}
			defer stream.Close()
			if err := feed(stream); err != nil && stream.Context().Err() == nil {
				stream.fail(err)
			}
		}}, nil
	})
}

// declare fills in what every operation has in common.
func declare(op huma.Operation, may Audience) huma.Operation {
	if !may.set {
		panic("web.Register " + op.OperationID + ": say who may call it with Anyone or Only")
	}
	if op.MaxBodyBytes <= 0 {
		op.MaxBodyBytes = DefaultBodyLimit
	}
	if op.Metadata == nil {
		op.Metadata = map[string]any{}
	}
	op.Metadata[audienceKey] = may
	op.Metadata[bodyLimitKey] = op.MaxBodyBytes
	op.MaxBodyBytes = -1 // prepare reads the body; huma would refuse one of exactly the limit
	// huma would give the connection five seconds from here, which nobody takes
	// back once the body is read: whatever takes longer would lose its context,
	// and so would every later call on that connection.
	op.BodyReadTimeout = -1
	if !may.open {
		op.Security = []map[string][]string{{securityScheme: {}}}
		if op.Extensions == nil {
			op.Extensions = map[string]any{}
		}
		roles := may.roles
		if len(roles) == 0 {
			roles = events.Roles()
		}
		op.Extensions["x-roles"] = roles
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = &huma.Response{
		Description: "A problem.",
		Content:     map[string]*huma.MediaType{ProblemType: {Schema: &huma.Schema{Ref: "#/components/schemas/" + problemSchema}}},
	}
	return op
}

// admit refuses whom the operation's audience does not include.
func admit(ctx huma.Context, next func(huma.Context)) {
	if may, ok := ctx.Operation().Metadata[audienceKey].(Audience); ok && !may.open {
		if _, err := Require(ctx.Context(), may.roles...); err != nil {
			r, w := humachi.Unwrap(ctx)
			Problem(w, r, err)
			return
		}
	}
	next(ctx)
}

// prepare sets the operation's time limit and reads and checks its body.
func prepare(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.RequestBody != nil {
		r, w := humachi.Unwrap(ctx)
		limit, ok := op.Metadata[bodyLimitKey].(int64)
		if !ok {
			limit = DefaultBodyLimit
		}
		body, err := readBody(w, r, op, limit)
		if err != nil {
			Problem(w, r, err)
			return
		}
		ctx = huma.WithContext(ctx, context.WithValue(ctx.Context(), rawBody{}, body))
	}
	if op.Metadata[streamKey] != true {
		limited, cancel := context.WithTimeout(ctx.Context(), operationTimeout)
		defer cancel()
		ctx = huma.WithContext(ctx, limited)
	}
	next(ctx)
}

// rawBody is the key of a body in the context of its operation.
type rawBody struct{}

// RawBody is the body of the operation under way as it was sent; nil when it
// takes none.
func RawBody(ctx context.Context) []byte {
	body, _ := ctx.Value(rawBody{}).([]byte)
	return body
}

const problemSchema = "Problem"

// newSchemas names schemas by type. Two slices may use one name for two
// types: the second then carries its package's name.
func newSchemas() huma.Registry {
	taken := map[string]reflect.Type{}
	registry := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t == reflect.TypeFor[ProblemBody]() {
			return problemSchema
		}
		name := huma.DefaultSchemaNamer(t, hint)
		if owner, ok := taken[name]; ok && owner != t && t.Kind() == reflect.Struct {
			name = packageWord(t) + name
		}
		if t.Kind() == reflect.Struct {
			taken[name] = t
		}
		return name
	})
	registerIDs(registry)
	registry.Schema(reflect.TypeFor[ProblemBody](), true, "")
	return registry
}
