// Package pages draws the plain pages: the live queue as a wall shows it, the
// owner's page behind his tracking link, the form that asks for help, and the
// desk of finance. They are rendered by the server in Chinese and English,
// the first three kept alive by server-sent events and a little JavaScript, and
// ask no other host for anything.
package pages

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/web"
	"rescued/sla"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// Config is what the pages need.
type Config struct {
	API     *dispatch.API
	Service *dispatch.Service
	Money   *sla.Service
	Now     func() time.Time // business clock
	Speed   float64          // business seconds in a wall second; shown when it is not 1
	Zone    *time.Location   // in which times are shown; nil is Asia/Shanghai
}

type pages struct {
	Config
	templates map[string]*template.Template
}

// Mount adds the pages to r, which already knows who is asking.
func Mount(r chi.Router, cfg Config) {
	if cfg.Zone == nil {
		cfg.Zone = chinaTime()
	}
	p := &pages{Config: cfg, templates: map[string]*template.Template{}}
	for _, name := range []string{"queue", "owner", "ask", "notice"} {
		p.templates[name] = template.Must(template.ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html"))
	}
	for _, name := range financeTemplates {
		p.templates[name] = template.Must(template.ParseFS(templateFiles, "templates/layout.html", "templates/finance.html", "templates/"+name+".html"))
	}
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	files := http.StripPrefix("/static/", http.FileServerFS(static))
	r.Get("/static/*", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	r.Get("/", p.askForm)
	r.Post("/", p.ask)
	r.Get("/queue", p.queue)
	r.Route("/r/{token}", func(r chi.Router) {
		r.Get("/", p.owner)
		r.Get("/story", p.ownerStory)
		r.Post("/confirm", p.ownerConfirms)
		r.Post("/cancel", p.ownerCancels)
	})
	p.mountFinance(r)
}

// chinaTime is UTC+8 all year; the zone database need not be installed.
func chinaTime() *time.Location {
	if zone, err := time.LoadLocation("Asia/Shanghai"); err == nil {
		return zone
	}
	return time.FixedZone("Asia/Shanghai", 8*60*60)
}

const languageCookie = "rescued_lang"

// language is the reader's: what he chose on a page, else what his browser
// asks for. A choice is remembered.
func language(w http.ResponseWriter, r *http.Request) text {
	if chosen := r.URL.Query().Get("lang"); chosen != "" {
		if t, ok := texts[chosen]; ok {
			http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
			return t
		}
	}
	if c, err := r.Cookie(languageCookie); err == nil {
		if t, ok := texts[c.Value]; ok {
			return t
		}
	}
	return texts[web.Language(r)]
}

// common is what every page shows or carries.
type common struct {
	T                  text
	Lang, Other, Title string
	NowText, Zone      string
	Clock              string
	Speed              float64
	Words              map[string]any
}

func (p *pages) common(t text, title string) common {
	now := p.Now()
	words := map[string]any{"tiers": t.Tiers, "shapes": shapes, "problems": t.Problems, "priorities": t.Priorities, "summary": t.Summary}
	for k, v := range t.Live {
		words[k] = v
	}
	for state, word := range t.States {
		words["state_"+state] = word
	}
	return common{
		T: t, Lang: t.Lang, Other: t.Other, Title: title, NowText: now.Format(time.RFC3339Nano), Zone: p.Zone.String(),
		Clock: p.clock(&now), Speed: p.Speed, Words: words,
	}
}

// clock is a time of day as a page shows it; — when there is none.
func (p *pages) clock(at *time.Time) string {
	if at == nil {
		return "—"
	}
	return at.In(p.Zone).Format("15:04:05")
}

// expected is when a crew is expected, and how long that is ago when it has
// passed: a time that was not kept must not look like one that will be.
func (p *pages) expected(t text, at *time.Time, now time.Time) string {
	if at == nil || !now.After(*at) {
		return p.clock(at)
	}
	return joined(p.clock(at), fill(t.Live["passed"], "time", left(now.Sub(*at))))
}

// left is mm:ss, or h:mm:ss from an hour on; past the moment it begins with −.
func left(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	s := int(d / time.Second)
	if h := s / 3600; h > 0 {
		return fmt.Sprintf("%s%d:%02d:%02d", sign, h, s/60%60, s%60)
	}
	return fmt.Sprintf("%s%02d:%02d", sign, s/60, s%60)
}

// yuan writes fen as ¥1,234.50.
func yuan(fen int64) string {
	sign, u := "", uint64(fen)
	if fen < 0 {
		sign, u = "−", -u
	}
	return fmt.Sprintf("%s¥%s.%02d", sign, grouped(u/100), u%100)
}

// count writes a number of things as 1,234.
func count(n int64) string { return grouped(uint64(max(n, 0))) }

func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// fill puts values into the {names} of a sentence.
func fill(sentence string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		sentence = strings.ReplaceAll(sentence, "{"+pairs[i]+"}", pairs[i+1])
	}
	return sentence
}

// show renders a whole page before the first byte of it is sent, so that a
// template that fails is an error page and not half a page.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, name+".html", data); err != nil {
		web.Problem(w, r, fmt.Errorf("draw %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// notice is a page that says one thing.
type notice struct {
	common
	Text string
}

// fail shows an error as a page: what a person can do about it, in his words.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, t text, err error) {
	var f *fault.Error
	if !errors.As(err, &f) {
		web.Problem(w, r, err)
		return
	}
	switch f.Kind {
	case fault.NotFound:
		p.show(w, r, http.StatusNotFound, "notice", notice{p.common(t, t.NotFoundTitle), t.NotFoundText})
	case fault.Unauthorized, fault.Forbidden:
		p.show(w, r, http.StatusForbidden, "notice", notice{p.common(t, t.LoginTitle), t.LoginText})
	default:
		web.Problem(w, r, err)
	}
}

// jsonOf is data for a page's script.
func jsonOf(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// staff may look at the queue.
var staff = []events.Role{events.RoleOperator, events.RoleAdmin, events.RoleFinance}

// refusedByState reports whether a command came too late or twice.
func refusedByState(err error) bool { return fault.KindOf(err) == fault.Conflict }
