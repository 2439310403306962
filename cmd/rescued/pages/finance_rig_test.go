package pages_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"rescued/cmd/rescued/pages"
	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/internal/web"
	"rescued/sla"
)

// The people at the desk.
var (
	lin      = events.Actor{Role: events.RoleFinance, Subject: "lin"}
	zhou     = events.Actor{Role: events.RoleFinance, Subject: "zhou"}
	wei      = events.Actor{Role: events.RoleOperator, Subject: "wei"}
	root     = events.Actor{Role: events.RoleAdmin, Subject: "root"}
	stranger = events.Actor{Role: events.RoleOwner, Subject: events.NewID[events.OwnerID]().String()}
)

var provider = events.NewID[events.ProviderID]()

var opened = time.Date(2026, 3, 2, 7, 12, 0, 0, time.UTC) // 15:12 in Shanghai

// till pays whatever it is sent.
type till struct{}

func (till) Name() string { return "till" }

func (till) Send(_ context.Context, _ sla.PayoutOrder, lines iter.Seq2[sla.PayoutLine, error]) (string, error) {
	for _, err := range lines {
		if err != nil {
			return "", err
		}
	}
	return "taken", nil
}

// desk is the pages of finance over a service whose clock the test moves.
type desk struct {
	*testing.T
	*sla.Service
	pool  *pgxpool.Pool
	crews *dispatch.Service
	api   *dispatch.API
	of    events.ProviderID // whose crews come late
	site  *httptest.Server
	clock atomic.Int64
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, of: provider, pool: pgtest.New(t, events.Migrations, dispatch.Migrations, sla.Migrations)}
	d.at(opened)
	now := func() time.Time { return time.UnixMicro(d.clock.Load()).UTC() }
	d.Service = sla.New(d.pool, sla.Config{Now: now, Payouts: []sla.Payout{till{}}})
	require.NoError(t, d.Install(t.Context()))
	d.crews = dispatch.New(d.pool, dispatch.Config{Now: now, Promiser: d.Service, LinkKey: []byte("a key for tests, 32 bytes or so.")})
	d.api = dispatch.NewAPI(d.crews, dispatch.APIConfig{})
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler { // whoever the header names has signed in
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if by, err := events.ParseActor(r.Header.Get("As")); err == nil {
				r = r.WithContext(web.WithActor(r.Context(), by))
			}
			next.ServeHTTP(w, r)
		})
	})
	d.Register(web.NewAPI(r, "rescued", "test"))
	pages.Mount(r, pages.Config{API: d.api, Service: d.crews, Money: d.Service, Now: now, Speed: 1})
	d.site = httptest.NewServer(r)
	t.Cleanup(d.site.Close)
	return d
}

func (d *desk) at(now time.Time) { d.clock.Store(now.UnixMicro()) }

// tell hands an event over as the runner does.
func (d *desk) tell(ev events.Event) {
	d.Helper()
	data, err := json.Marshal(ev)
	require.NoError(d, err)
	topic, key := ev.Stream()
	env := events.Envelope{ID: events.NewID[events.EventID](), Type: ev.EventType(), Topic: topic, Key: key, Data: data}
	for _, h := range d.Handlers() {
		if h.Topic == topic {
			require.NoError(d, pg.InTx(context.Background(), d.pool, func(tx pgx.Tx) error { return h.Handle(context.Background(), tx, env) }))
		}
	}
}

// under puts another version of the example policy in force.
func (d *desk) under(change func(doc map[string]any)) {
	d.Helper()
	raw, err := os.ReadFile("../../../sla/policies/example-45.json")
	require.NoError(d, err)
	var doc map[string]any
	require.NoError(d, json.Unmarshal(raw, &doc))
	doc["version"], doc["effective_from"] = 2, opened.Add(-time.Hour).Format(time.RFC3339)
	change(doc)
	raw, err = json.Marshal(doc)
	require.NoError(d, err)
	v, err := d.AddPolicy(context.Background(), root, raw)
	require.NoError(d, err)
	_, err = d.ActivatePolicy(context.Background(), lin, v.Name, v.Version, "as agreed")
	require.NoError(d, err)
}

// late opens a request, a partner's if one is named, that the provider's crew
// serves, and lets help come that much after the deadline.
func (d *desk) late(by time.Duration, of ...events.PartnerID) sla.Compensation {
	d.Helper()
	const area = "510100"
	id, crew := events.NewID[events.RequestID](), events.NewID[events.CrewID]()
	var promise events.Promise
	require.NoError(d, pg.InTx(context.Background(), d.pool, func(tx pgx.Tx) (err error) {
		promise, err = d.Promise(context.Background(), tx, events.PromiseFacts{At: opened, Area: area, Tier: "urban"})
		return err
	}))
	open := events.RequestOpened{RequestID: id, Area: area, Tier: "urban", OpenedAt: opened, Priority: 2, Problem: "tyre", Promise: promise}
	if len(of) > 0 {
		open.PartnerID = &of[0]
	}
	d.tell(open)
	d.tell(events.RequestAssigned{RequestID: id, Area: area, CrewID: crew, ProviderID: d.of, AssignedAt: opened.Add(time.Minute), ExpectedAt: opened.Add(40 * time.Minute)})
	d.tell(events.CrewDeparted{RequestID: id, Area: area, CrewID: crew, DepartedAt: opened.Add(3 * time.Minute)})
	d.tell(events.CrewArrived{RequestID: id, Area: area, CrewID: crew, ArrivedAt: promise.DueAt.Add(by), Source: "gps"})
	st, err := d.Standing(context.Background(), wei, id)
	require.NoError(d, err)
	c, _ := st.Live()
	return c
}

// leaf is a page as somebody sees it.
type leaf struct {
	*desk
	by     events.Actor
	lang   string
	Path   string
	Status int
	Raw    []byte
	root   *html.Node
}

// ask sends one exchange as by and follows where a form leads.
func (d *desk) ask(by events.Actor, lang, method, path, contentType string, body []byte) leaf {
	d.Helper()
	req, err := http.NewRequest(method, d.site.URL+path, bytes.NewReader(body))
	require.NoError(d, err)
	if by.Role != "" {
		req.Header.Set("As", by.String())
	}
	req.Header.Set("Accept-Language", lang)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	client := &http.Client{CheckRedirect: func(next *http.Request, via []*http.Request) error {
		next.Header.Set("As", by.String())
		return nil
	}}
	res, err := client.Do(req)
	require.NoError(d, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(d, err)
	root, err := html.Parse(bytes.NewReader(raw))
	require.NoError(d, err)
	return leaf{d, by, lang, res.Request.URL.Path, res.StatusCode, raw, root}
}

// open shows a page.
func (d *desk) open(by events.Actor, path string) leaf {
	d.Helper()
	return d.ask(by, "en", http.MethodGet, path, "", nil)
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// all lists the elements of a name under n that test takes.
func all(n *html.Node, element string, test func(*html.Node) bool) (list []*html.Node) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && c.Data == element && (test == nil || test(c)) {
			list = append(list, c)
		}
	}
	return list
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// says is all that can be read on the page.
func (l leaf) says() string { return textOf(l.root) }

// data is the value of the first <data> of a class.
func (l leaf) data(class string) int64 {
	l.Helper()
	found := all(l.root, "data", func(n *html.Node) bool { return attr(n, "class") == class })
	require.NotEmpty(l, found, "no %s on %s", class, l.Path)
	n, err := strconv.ParseInt(attr(found[0], "value"), 10, 64)
	require.NoError(l, err)
	return n
}

// href is where the link with these words leads.
func (l leaf) href(words string) string {
	l.Helper()
	found := all(l.root, "a", func(n *html.Node) bool { return textOf(n) == words })
	require.NotEmpty(l, found, "no link %q on %s", words, l.Path)
	return attr(found[0], "href")
}

// button finds the button for a step; nil without one.
func (l leaf) button(do string) *html.Node {
	for _, b := range all(l.root, "button", func(n *html.Node) bool { return attr(n, "name") == "do" && attr(n, "value") == do }) {
		return b
	}
	return nil
}

// press presses the button as a browser does: with every field of its form, as
// it stands or as the pairs of name and value fill it in.
func (l leaf) press(do string, pairs ...string) leaf {
	l.Helper()
	return l.pressIn("", "", do, pairs...)
}

// pressIn presses the button of the form whose field holds that value, where
// there are several forms with such a button.
func (l leaf) pressIn(field, value, do string, pairs ...string) leaf {
	l.Helper()
	var b *html.Node
	for _, form := range all(l.root, "form", nil) {
		fits := field == "" || len(all(form, "input", func(n *html.Node) bool { return attr(n, "name") == field && attr(n, "value") == value })) > 0
		if inside := (leaf{root: form}).button(do); fits && inside != nil {
			b = inside
			break
		}
	}
	require.NotNil(l, b, "no button %q on %s: %s", do, l.Path, l.says())
	require.False(l, has(b, "disabled"), "%q cannot be pressed: %s", do, textOf(b.Parent))
	form := b
	for form.Data != "form" {
		form = form.Parent
	}
	in := url.Values{"do": {do}}
	for _, field := range append(all(form, "input", nil), all(form, "textarea", nil)...) {
		if name := attr(field, "name"); name != "" && attr(field, "type") != "file" && attr(field, "type") != "checkbox" {
			in.Set(name, attr(field, "value"))
		}
	}
	for _, field := range all(form, "select", nil) {
		first := all(field, "option", nil)[0]
		if in.Set(attr(field, "name"), textOf(first)); has(first, "value") {
			in.Set(attr(field, "name"), attr(first, "value"))
		}
	}
	file := ""
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "file" {
			file = pairs[i+1]
			continue
		}
		require.True(l, in.Has(pairs[i]), "the form has no field %q", pairs[i])
		in.Set(pairs[i], pairs[i+1])
	}
	contentType, body := "application/x-www-form-urlencoded", []byte(in.Encode())
	if attr(form, "enctype") == "multipart/form-data" {
		contentType, body = l.multipart(in, file)
	}
	return l.ask(l.by, l.lang, http.MethodPost, attr(form, "action"), contentType, body)
}

func (l leaf) multipart(in url.Values, file string) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name := range in {
		require.NoError(l, w.WriteField(name, in.Get(name)))
	}
	part, err := w.CreateFormFile("file", "results.csv")
	require.NoError(l, err)
	_, err = part.Write([]byte(file))
	require.NoError(l, err)
	require.NoError(l, w.Close())
	return w.FormDataContentType(), b.Bytes()
}
