package sla

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// Trial runs a policy over the rescues there were, without a trace in the
// books: what would it have promised, and what would that have cost?
type Trial struct {
	Policy   Policy
	From, To time.Time // rescues opened at or after From and before To; zero leaves that end open
	Under    string    // only those promised under this policy; empty for all
	// Rescue hears of each rescue in the order of opening; it may be missing.
	Rescue func(TrialRescue) error
	// Progress hears how many of all are done; it may be missing.
	Progress func(done, total int)
}

// TrialRescue is one rescue as it stands and as it would stand.
type TrialRescue struct {
	Guarantee Guarantee // as it stands
	Promise   events.Promise
	Verdict   Verdict // under the trial's policy
	Same      bool    // the trial's policy is not for this rescue, or a person has waived its promise: all stays
}

// TrialSum is what a trial comes to, for an area or in all.
type TrialSum struct {
	Area                    string // empty in all
	Rescues                 int
	LateNow, LateThen       int // with those that are excused
	ExcusedNow, ExcusedThen int
	NowFen, ThenFen         Fen // owed by the verdicts: as they stand, and under the trial's policy
	OverBudget              int // rescues the trial's budget would not cover; they would wait for finance
}

// Difference is what the trial's policy would add, in fen; negative when it
// would cost less.
func (s TrialSum) Difference() Fen { return s.ThenFen - s.NowFen }

const trialChunk = 500 // rescues read at once

// Try runs a trial over the stored timelines, in one snapshot and in constant
// memory, and tells what it comes to for each area, by its identifier, and in
// all. The promise is chosen anew, by the facts it was chosen by; the caps of
// a vehicle's month and of the budget are used up from nothing, in the order
// of opening.
func (s *Service) Try(ctx context.Context, t Trial) (areas []TrialSum, all TrialSum, err error) {
	defer fault.Wrap(&err, "trial of %s version %d", t.Policy.Name, t.Policy.Version)
	if err := checkPeriod(t.From, t.To); err != nil {
		return nil, all, err
	}
	by := map[string]*TrialSum{}
	spent := trialSpending{policy: t.Policy}
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		total, err := countTrial(ctx, tx, t)
		if err != nil {
			return err
		}
		for done, after := 0, (GuaranteePlace{}); ; {
			chunk, err := readTrial(ctx, tx, t, after, trialChunk)
			if err != nil || len(chunk) == 0 {
				return err
			}
			for _, r := range chunk {
				tried := spent.try(r)
				area := by[r.guarantee.Area]
				if area == nil {
					area = &TrialSum{Area: r.guarantee.Area}
					by[r.guarantee.Area] = area
				}
				area.add(tried)
				all.add(tried)
				if t.Rescue != nil {
					if err := t.Rescue(tried); err != nil {
						return err
					}
				}
			}
			last := chunk[len(chunk)-1].guarantee
			after = GuaranteePlace{last.OpenedAt, last.ID}
			if done += len(chunk); t.Progress != nil {
				t.Progress(done, total)
			}
		}
	})
	if err != nil {
		return nil, TrialSum{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		areas = append(areas, *by[name])
	}
	return areas, all, nil
}

func (s *TrialSum) add(r TrialRescue) {
	now, then := r.Guarantee.Verdict, r.Verdict
	s.Rescues++
	s.NowFen += now.Fen
	s.ThenFen += then.Fen
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	count(&s.LateNow, now.Outcome == OutcomeLate)
	count(&s.LateThen, then.Outcome == OutcomeLate)
	count(&s.ExcusedNow, now.Excluded != "")
	count(&s.ExcusedThen, then.Excluded != "")
	count(&s.OverBudget, then.OverBudget)
}

// stored is a rescue as it is stored.
type stored struct {
	guarantee Guarantee
	vehicle   string
	facts     []Fact
}

// trialSpending keeps what a trial has used up of its caps. Rescues come in
// the order of opening, so a vehicle's month needs keeping for that month only.
type trialSpending struct {
	policy   Policy
	budget   Fen
	month    time.Time
	vehicles map[string]Fen
}

// try judges one rescue under the trial's policy.
func (t *trialSpending) try(r stored) TrialRescue {
	g, p := r.guarantee, t.policy
	asked := g.asked()
	if g.State == Waived || !p.AppliesTo.holds(g.OpenedAt, asked, p.zone()) {
		return TrialRescue{Guarantee: g, Promise: g.Promise, Verdict: g.Verdict, Same: true}
	}
	if month := monthOf(g.OpenedAt); !month.Equal(t.month) {
		t.month, t.vehicles = month, map[string]Fen{}
	}
	timeline := Timeline{
		OpenedAt: g.OpenedAt, Promise: p.Promise(g.OpenedAt, asked), Facts: r.facts, Asked: asked,
		Spent: Spent{VehicleMonthFen: t.vehicles[r.vehicle], BudgetFen: t.budget},
	}
	v := p.Owed(timeline)
	if r.vehicle != "" && p.Caps.PerVehicleMonthFen > 0 {
		t.vehicles[r.vehicle] += v.Fen
	}
	t.budget += v.Fen
	return TrialRescue{Guarantee: g, Promise: timeline.Promise, Verdict: v}
}

const inTrial = `($1 = '' OR g.policy = $1) AND g.opened_at >= coalesce($2, '-infinity'::timestamptz) AND g.opened_at < coalesce($3, 'infinity'::timestamptz)`

func countTrial(ctx context.Context, db events.Querier, t Trial) (n int, err error) {
	err = db.QueryRow(ctx, `SELECT count(*) FROM sla.guarantees g WHERE `+inTrial, t.Under, nullable(t.From), nullable(t.To)).Scan(&n)
	return n, err
}

// readTrial reads the next rescues of a trial, in the order of opening.
func readTrial(ctx context.Context, tx pgx.Tx, t Trial, after GuaranteePlace, limit int) ([]stored, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+guaranteeColumns+` FROM sla.guarantees g
		WHERE `+inTrial+` AND (g.opened_at, g.id) > (coalesce($4, '-infinity'::timestamptz), coalesce($5, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY g.opened_at, g.id LIMIT $6`, t.Under, nullable(t.From), nullable(t.To), nullable(after.At), after.ID, limit)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanGuarantee)
	if err != nil {
		return nil, err
	}
	chunk, ids := make([]stored, len(list)), make([]events.RequestID, len(list))
	of := make(map[events.RequestID]*stored, len(list))
	for i, g := range list {
		chunk[i].guarantee, ids[i], of[g.RequestID] = g, g.RequestID, &chunk[i]
	}
	if rows, err = tx.Query(ctx, `SELECT `+factColumns+`, request_id FROM sla.facts WHERE request_id = ANY($1)`, ids); err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id events.RequestID
		f, err := scanFact(rows, &id)
		if err != nil {
			return nil, err
		}
		of[id].facts = append(of[id].facts, f)
	}
	if rows.Err() != nil {
		return nil, rows.Err()
	}
	if rows, err = tx.Query(ctx, `SELECT request_id, vehicle FROM sla.vehicles WHERE request_id = ANY($1)`, ids); err != nil {
		return nil, err
	}
	var id events.RequestID
	var vehicle string
	_, err = pgx.ForEachRow(rows, []any{&id, &vehicle}, func() error {
		of[id].vehicle = vehicle
		return nil
	})
	return chunk, err
}
