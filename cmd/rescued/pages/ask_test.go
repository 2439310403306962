package pages_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/cmd/rescued/pages"
	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/pgtest"
)

type promiser struct{}

func (promiser) Promise(_ context.Context, _ pgx.Tx, f events.PromiseFacts) (events.Promise, error) {
	return events.Promise{Minutes: 45, DueAt: f.At.Add(45 * time.Minute), Policy: "p", PolicyVersion: 1, Rule: "urban", Reason: "45"}, nil
}

// The form says in its reader's language what has to be mended, keeps what he
// has written, and opens nothing before.
func TestTheFormSaysWhatToMend(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, events.Migrations, dispatch.Migrations)
	svc := dispatch.New(pool, dispatch.Config{Now: time.Now, Promiser: promiser{}, LinkKey: []byte("a key for tests, 32 bytes or so.")})
	r := chi.NewRouter()
	pages.Mount(r, pages.Config{API: dispatch.NewAPI(svc, dispatch.APIConfig{}), Service: svc, Now: time.Now, Speed: 1})
	site := httptest.NewServer(r)
	t.Cleanup(site.Close)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	good := url.Values{"name": {"王小明"}, "phone": {"13800138000"}, "plate": {"粤B12345"}, "lat": {"22.5431"}, "lng": {"114.0579"},
		"datum": {"wgs84"}, "road_class": {"urban"}, "energy": {"bev"}, "problem": {"tyre"}, "key": {"k1"}}
	with := func(pairs ...string) url.Values {
		v := url.Values{}
		for name, values := range good {
			v[name] = values
		}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	send := func(lang string, in url.Values) (int, string, string) {
		req, err := http.NewRequest(http.MethodPost, site.URL+"/?lang="+lang, strings.NewReader(in.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, html.UnescapeString(string(body)), res.Header.Get("Location")
	}
	status, _, link := send("zh", good)
	require.Equal(t, http.StatusSeeOther, status)
	require.True(t, strings.HasPrefix(link, "/r/"), link)

	for name, c := range map[string]struct {
		in     url.Values
		zh, en []string
	}{
		"nothing": {url.Values{}, []string{"有几处需要更正", "请填写姓名", "请填写电话号码", "请填写车牌", "请填写纬度", "请填写经度"},
			[]string{"Some things need correcting", "Give a name", "Give a telephone number", "Give the plate", "Give the latitude", "Give the longitude"}},
		"nonsense": {with("lat", "north", "lng", "181", "phone", "call me", "plate", "!!"), []string{"请填写纬度", "请填写经度", "请填写电话号码", "请填写车牌", `value="call me"`},
			[]string{"Give the latitude", "Give the longitude", "Give a telephone number", "Give the plate", `value="call me"`}},
		"a plate with an open request":    {with("key", "k2"), []string{"这个车牌已有进行中的求助"}, []string{"There is an open request for this plate"}},
		"outside":                         {with("key", "k3", "plate", "粤B2", "lat", "35.6", "lng", "139.7"), []string{"最近的服务地点是延边朝鲜族自治州，距离约 1194 公里"}, []string{"about 1194 km away"}},
		"the form changed and sent again": {with("name", "李"), []string{"已经提交过"}, []string{"has been sent already"}},
	} {
		for lang, want := range map[string][]string{"zh": c.zh, "en": c.en} {
			status, body, _ := send(lang, c.in)
			require.Equal(t, http.StatusUnprocessableEntity, status, name)
			for _, words := range want {
				require.Contains(t, body, words, "%s in %s", name, lang)
			}
		}
	}
	st, err := svc.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, st.Requests)
}
