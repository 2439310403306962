package pages

import (
	"net/http"
	"strconv"
	"strings"

	"rescued/dispatch"
	"rescued/internal/web"
)

// queueRow is one row of the wall, in words.
type queueRow struct {
	ID, Tier, JSON                  string
	Shape, TierWord, Left           string
	Plate, Problem, Priority, Place string
	Crew, Risk, Expected, Opened    string
	ExpectedWord, OpenedWord        string // the columns' names, where there is no room for columns
}

// counter is one of the figures above the queue; it filters it too.
type counter struct {
	Name, Word, Shape string
	N                 int
}

type queuePage struct {
	common
	Summary  string
	Counters []counter
	Columns  []string
	Rows     []queueRow
	Blank    queueRow
	Ready    *ready
}

// queue shows the live queue: by slack, with counters that filter.
func (p *pages) queue(w http.ResponseWriter, r *http.Request) {
	t := language(w, r)
	if _, err := web.Require(r.Context(), staff...); err != nil {
		p.fail(w, r, t, err)
		return
	}
	snap, err := p.API.Queue(r.Context())
	if err != nil {
		p.fail(w, r, t, err)
		return
	}
	page := queuePage{common: p.common(t, t.QueueTitle), Columns: t.Columns, Blank: named(t, queueRow{}), Ready: p.ready(r, t)}
	for _, row := range snap.Rows {
		shown, err := p.queueRow(t, row, snap)
		if err != nil {
			p.fail(w, r, t, err)
			return
		}
		page.Rows = append(page.Rows, shown)
	}
	c := snap.Counts
	page.Counters = []counter{
		{"all", t.Filters["all"], "", c.All},
		{"unassigned", t.Filters["unassigned"], "", c.Unassigned},
		{"breached", t.Tiers["breached"], shapes["breached"], c.Breached},
		{"risk10", t.Tiers["risk10"], shapes["risk10"], c.Risk10},
		{"risk20", t.Tiers["risk20"], shapes["risk20"], c.Risk20},
		{"at_risk", t.Filters["at_risk"], "", c.AtRisk},
		{"stranded", t.Filters["stranded"], "", c.Stranded},
		{"unproven", t.Filters["unproven"], "", c.Unproven},
	}
	page.Summary = fill(t.Summary, "all", strconv.Itoa(c.All), "breached", strconv.Itoa(c.Breached), "stranded", strconv.Itoa(c.Stranded))
	p.show(w, r, http.StatusOK, "queue", page)
}

func (p *pages) queueRow(t text, row dispatch.QueueRow, snap dispatch.QueueSnapshot) (queueRow, error) {
	data, err := jsonOf(row)
	if err != nil {
		return queueRow{}, err
	}
	tier := string(row.Tier)
	out := queueRow{
		ID: row.ID.String(), Tier: tier, JSON: data, Shape: shapes[tier], TierWord: t.Tiers[tier],
		Left: left(row.DueAt.Sub(snap.Now)), Plate: row.PlateMasked, Problem: t.Problems[row.Problem],
		Place: joined(row.AreaName, row.Address), Expected: p.expected(t, row.ExpectedAt, snap.Now), Opened: p.clock(&row.OpenedAt),
	}
	if row.Priority >= 0 && row.Priority < len(t.Priorities) {
		out.Priority = t.Priorities[row.Priority]
	}
	switch {
	case row.Unproven:
		out.Crew = t.Live["unproven"]
	case row.Crew != nil:
		out.Crew = joined(row.Crew.Name, t.States[row.State])
	case row.Offer != nil:
		out.Crew = joined(t.Live["offered"]+" "+left(row.Offer.ExpiresAt.Sub(snap.Now)), fill(t.Live["round"], "n", strconv.Itoa(row.Offer.Round)))
	case row.Held != nil:
		out.Crew = p.held(t, row.Held)
	case row.StrandedAt != nil:
		out.Crew = t.Live["stranded"]
	default:
		out.Crew = t.Live["waiting"]
	}
	out.Risk = t.risk(row.AtRisk)
	return named(t, out), nil
}

// held says why a request waits although crews could go.
func (p *pages) held(t text, h *dispatch.Held) string {
	free := t.Live["now"]
	if h.FreeAt != nil {
		free = p.clock(h.FreeAt)
	}
	expected := ""
	if h.ExpectedAt != nil {
		expected = p.clock(h.ExpectedAt)
	}
	return fill(t.Live["held_"+h.Why], "time", expected, "free", free)
}

func named(t text, row queueRow) queueRow {
	row.ExpectedWord, row.OpenedWord = t.ExpectedWord, t.OpenedWord
	return row
}

// risk says what endangers a promise and what could be done.
func (t text) risk(w *dispatch.Warning) string {
	if w == nil {
		return ""
	}
	said := make([]string, 0, len(w.Reasons)+1)
	for _, reason := range w.Reasons {
		said = append(said, t.either(reason.ZH, reason.EN))
	}
	if m := w.Remedy; m != nil {
		said = append(said, fill(t.Live["remedy"], "crew", m.CrewName, "what", t.either(m.ZH, m.EN)))
	}
	return joined(said...)
}

func joined(parts ...string) string {
	var said []string
	for _, s := range parts {
		if s != "" {
			said = append(said, s)
		}
	}
	return strings.Join(said, " · ")
}
