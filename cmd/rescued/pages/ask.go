package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"rescued/dispatch"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/web"
)

// choice is one option of a list.
type choice struct{ Value, Word string }

type askPage struct {
	common
	Key      string
	In       url.Values
	Wrong    map[string]string // by field of the form
	Problem  string            // what is wrong with the whole
	Datums   []choice
	Roads    []choice
	Energies []choice
	Problems []choice
	Flags    []choice
}

// askForm shows the empty form. Its hidden key makes a second press of the
// button the same request.
func (p *pages) askForm(w http.ResponseWriter, r *http.Request) {
	in := url.Values{"datum": {string(geo.GCJ02)}, "road_class": {string(geo.UrbanRoad)}, "energy": {"ice"}, "problem": {"battery_jump"}}
	p.showForm(w, r, http.StatusOK, uuid.NewString(), in, nil)
}

func (p *pages) showForm(w http.ResponseWriter, r *http.Request, status int, key string, in url.Values, err error) {
	t := language(w, r)
	page := askPage{
		common: p.common(t, t.AskTitle), Key: key, In: in, Wrong: map[string]string{},
		Datums:   choices(t.Datums, string(geo.GCJ02), string(geo.BD09), string(geo.WGS84)),
		Roads:    choices(t.Roads, string(geo.UrbanRoad), string(geo.RuralRoad), string(geo.Motorway)),
		Energies: choices(t.Energies, names(dispatch.Energies())...),
		Problems: choices(t.Problems, names(dispatch.Problems())...),
		Flags:    choices(t.Flags, "live_lane", "injury", "children", "alone_at_night"),
	}
	var f *fault.Error
	if errors.As(err, &f) {
		page.Problem = t.Refusal(f)
		for _, field := range f.Fields {
			name := field.Field[strings.LastIndexByte(field.Field, '.')+1:]
			page.Wrong[name] = t.Mend(name, field)
		}
	}
	p.show(w, r, status, "ask", page)
}

// ask opens a request and leads the owner to his own page.
func (p *pages) ask(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		web.Problem(w, r, fault.New(fault.Invalid, "invalid_form", "The form could not be read; send it again from the page."))
		return
	}
	in := r.PostForm
	request := requestOf(in)
	opened, err := p.API.OpenAnonymously(r.Context(), request)
	switch kind := fault.KindOf(err); {
	case err == nil:
		http.Redirect(w, r, "/r/"+p.Service.Link(opened), http.StatusSeeOther)
	case kind == fault.Invalid, kind == fault.Unprocessable, kind == fault.Conflict:
		p.showForm(w, r, http.StatusUnprocessableEntity, uuid.NewString(), in, err)
	default:
		web.Problem(w, r, err)
	}
}

// requestOf reads the form; what cannot be read stays empty, and the check of
// the request names it.
func requestOf(in url.Values) dispatch.NewRequest {
	number := func(name string) *float64 {
		if v, err := strconv.ParseFloat(strings.TrimSpace(in.Get(name)), 64); err == nil {
			return &v
		}
		return nil
	}
	accuracy := 0.0
	if v := number("accuracy_m"); v != nil {
		accuracy = *v
	}
	on := func(name string) bool { return in.Get(name) != "" }
	return dispatch.NewRequest{
		Contact: dispatch.Contact{Name: in.Get("name"), Phone: in.Get("phone")},
		Vehicle: dispatch.Vehicle{Plate: in.Get("plate"), Energy: dispatch.Energy(in.Get("energy")), WeightClass: dispatch.WeightLight},
		Problem: dispatch.Problem(in.Get("problem")),
		Location: dispatch.NewLocation{
			Lat: number("lat"), Lng: number("lng"), Datum: geo.Datum(in.Get("datum")), AccuracyM: accuracy,
			Address: in.Get("address"), RoadClass: geo.RoadClass(in.Get("road_class")),
		},
		Safety: dispatch.Safety{LiveLane: on("live_lane"), Children: on("children"), AloneAtNight: on("alone_at_night"), Injury: on("injury")},
		Key:    in.Get("key"),
	}
}

func choices(words map[string]string, values ...string) []choice {
	out := make([]choice, len(values))
	for i, v := range values {
		out[i] = choice{v, words[v]}
	}
	return out
}

func names[T ~string](of []T) []string {
	out := make([]string, len(of))
	for i, v := range of {
		out[i] = string(v)
	}
	return out
}
