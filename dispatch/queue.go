package dispatch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rescued/events"
)

// Tier says how urgent a waiting request is.
type Tier string

// The tiers, most urgent first. A job at which help has arrived has none.
const (
	TierBreached Tier = "breached" // the deadline has passed
	TierRisk10   Tier = "risk10"   // at most 10 minutes to spare, or help is expected late
	TierRisk20   Tier = "risk20"   // at most 20 minutes to spare
	TierOK       Tier = "ok"
)

// nominalReach is how long help is taken to need for a request that no crew
// has yet: it orders such a request before one whose crew will be there sooner.
const nominalReach = 15 * time.Minute

// QueueRow is one request of the live queue as a screen shows it. It carries
// neither name nor phone, and only part of the plate.
type QueueRow struct {
	ID          events.RequestID `json:"id"`
	State       string           `json:"state"`
	Priority    int              `json:"priority"`
	Problem     string           `json:"problem"`
	PlateMasked string           `json:"plate_masked"`
	Area        string           `json:"area"`
	AreaName    string           `json:"area_name"`
	Address     string           `json:"address,omitempty"`
	Location    events.LatLng    `json:"location"`
	OpenedAt    time.Time        `json:"opened_at"`
	DueAt       time.Time        `json:"due_at"`
	// ExpectedAt is when the crew, assigned or asked, is expected; nil without.
	ExpectedAt *time.Time `json:"expected_at"`
	// ReachS is how many seconds help is taken to need, counted from now, while
	// there is no ExpectedAt; else 0.
	ReachS int `json:"reach_s"`
	// SlackS is due − expected arrival in seconds, at the moment of the answer.
	// A screen keeps it going: due_at − max(expected_at, now + reach_s).
	SlackS int         `json:"slack_s"`
	Tier   Tier        `json:"tier"`
	Crew   *QueueCrew  `json:"crew"`
	Offer  *QueueOffer `json:"offer"`
	// AtRisk is what endangers the promise, with what could be done; nil when
	// nothing does.
	AtRisk      *Warning   `json:"at_risk,omitempty"`
	StrandedAt  *time.Time `json:"stranded_at,omitempty"`
	StrandedWhy string     `json:"stranded_why,omitempty"`
	// Held says why it waits though somebody could go; nil otherwise.
	Held         *Held  `json:"held,omitempty"`
	Unproven     bool   `json:"unproven"`
	PromiseState string `json:"promise_state,omitempty"`
	OwedFen      int64  `json:"owed_fen"`
	Version      int64  `json:"version"`
}

// QueueCrew is the crew that has the request.
type QueueCrew struct {
	ID   events.CrewID `json:"id"`
	Name string        `json:"name"`
}

// QueueOffer is the offer that is out for the request.
type QueueOffer struct {
	CrewID    events.CrewID `json:"crew_id"`
	ExpiresAt time.Time     `json:"expires_at"`
	Round     int           `json:"round"`
}

// slack is the time to spare at a moment; negative when help is expected late.
func (r QueueRow) slack(now time.Time) time.Duration {
	expected := now.Add(time.Duration(r.ReachS) * time.Second)
	if r.ExpectedAt != nil && r.ExpectedAt.After(expected) {
		expected = *r.ExpectedAt
	}
	return r.DueAt.Sub(expected)
}

// tier names the row's urgency at a moment. A deadline that has not passed is
// not called breached, even when nobody can be there in time any more.
func (r QueueRow) tier(now time.Time) Tier {
	switch slack := r.slack(now); {
	case now.After(r.DueAt):
		return TierBreached
	case slack <= 10*time.Minute:
		return TierRisk10
	case slack <= 20*time.Minute:
		return TierRisk20
	}
	return TierOK
}

// atRisk reports whether the promise is in danger and can still be kept.
func (r QueueRow) atRisk(now time.Time) bool { return r.AtRisk != nil && !now.After(r.DueAt) }

// asOf fills what depends on the moment of the answer.
func (r QueueRow) asOf(now time.Time) QueueRow {
	r.SlackS, r.Tier = int(r.slack(now).Round(time.Second)/time.Second), r.tier(now)
	return r
}

// bySlack sorts rows as a queue shows them: least to spare first; requests of
// one slack by identifier, so that the order is total.
func bySlack(rows []QueueRow, now time.Time) {
	slices.SortFunc(rows, func(a, b QueueRow) int {
		return cmp.Or(cmp.Compare(a.slack(now), b.slack(now)), a.ID.Compare(b.ID))
	})
}

// QueueCounts counts the live queue, for the counters above it. They are also
// what the filters of the queue would find.
type QueueCounts struct {
	All        int `json:"all"`        // waiting for help to arrive
	Unassigned int `json:"unassigned"` // of these, no crew has accepted
	Stranded   int `json:"stranded"`   // of these, nobody can take it now
	Unproven   int `json:"unproven"`   // a crew said it arrived and nothing bears it out
	AtRisk     int `json:"at_risk"`    // something endangers the promise, which is not broken yet
	Breached   int `json:"breached"`
	Risk10     int `json:"risk10"`
	Risk20     int `json:"risk20"`
	OK         int `json:"ok"`
}

// count counts rows as of a moment.
func count(rows []QueueRow, now time.Time) QueueCounts {
	c := QueueCounts{All: len(rows)}
	for _, r := range rows {
		if r.Crew == nil {
			c.Unassigned++
		}
		if r.StrandedAt != nil {
			c.Stranded++
		}
		if r.Unproven {
			c.Unproven++
		}
		if r.atRisk(now) {
			c.AtRisk++
		}
		switch r.tier(now) {
		case TierBreached:
			c.Breached++
		case TierRisk10:
			c.Risk10++
		case TierRisk20:
			c.Risk20++
		case TierOK:
			c.OK++
		}
	}
	return c
}

// whyText writes how many crews were ruled out, the most frequent reason first.
func whyText(counts map[string]int) string {
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var b strings.Builder
	for i, reason := range reasons {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", reason, counts[reason])
	}
	return b.String()
}

// MaskPlate keeps the first two and the last two characters of a plate:
// enough to recognise a car one sees, too little to look its owner up.
func MaskPlate(plate string) string {
	const keep = 2
	runes := []rune(plate)
	if !utf8.ValidString(plate) || len(runes) <= 2*keep {
		return "***"
	}
	return string(runes[:keep]) + "***" + string(runes[len(runes)-keep:])
}
