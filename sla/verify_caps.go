package sla

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// verifyCaps follows through the journal what has been approved of each
// programme, and of each car's month: what every compensation was weighed
// against as it accrued, and what is counted as spent now.
func (s *Service) verifyCaps(ctx context.Context, r *Report) error {
	return r.snapshot(ctx, func(tx pgx.Tx) error {
		c := capReplay{claims: map[events.CompensationID]*approvable{}, spent: map[carMonth]Fen{}}
		types := []string{events.CompensationAccrued{}.EventType(), events.CompensationChanged{}.EventType()}
		for after := int64(0); ; {
			told, last, err := events.ReadAfter(ctx, tx, types, after, 10*verifyChunk)
			if err != nil {
				return err
			}
			if len(told) == 0 {
				break
			}
			after = last
			n, err := s.replayCaps(ctx, tx, r, &c, told)
			if err != nil {
				return err
			}
			r.did(n, 0)
		}
		return c.compare(ctx, tx, r)
	})
}

// approvable is a compensation that may count as spent, until it is void or
// paid.
type approvable struct {
	programme, car carMonth // car is zero when it is not known
	fen            Fen
	counted        bool
}

// capReplay is what the journal says was spent, so far.
type capReplay struct {
	claims map[events.CompensationID]*approvable
	spent  map[carMonth]Fen
}

// replayCaps takes the next events in, and says how many accruals there were.
func (s *Service) replayCaps(ctx context.Context, tx pgx.Tx, r *Report, c *capReplay, told []events.Envelope) (n int, err error) {
	accrued := make([]events.CompensationAccrued, len(told))
	var ids []events.CompensationID
	for i, env := range told {
		if env.Type == (events.CompensationAccrued{}).EventType() {
			if accrued[i], err = events.Decode[events.CompensationAccrued](env); err != nil {
				return 0, err
			}
			ids = append(ids, accrued[i].CompensationID)
		}
	}
	stored, err := findCompensations(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	for i, env := range told {
		if ev := accrued[i]; !ev.CompensationID.IsZero() {
			claimed, found := stored[ev.CompensationID]
			if !found {
				claimed = Compensation{Policy: ev.Policy} // the check of promises names it
			}
			policy, err := s.policy(ctx, tx, ev.Policy, ev.PolicyVersion)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", ev.CompensationID, err)
			}
			a := c.accrue(ev, claimed)
			if found {
				used := spent{programme: c.spent[a.programme], vehicle: c.spent[a.car]}
				wanted := policy.queue(claim{fen: a.fen, imported: !claimed.ImportID.IsZero(), spent: used})
				compareQueued(r, claimed, wanted)
				if len(claimed.Queued) == 0 && len(wanted) == 0 { // approved at once; those that accrued with it found it spent
					c.count(a, true)
				}
			}
			continue
		}
		ev, err := events.Decode[events.CompensationChanged](env)
		if err != nil {
			return 0, err
		}
		c.change(ev)
	}
	return len(ids), nil
}

func (c *capReplay) accrue(ev events.CompensationAccrued, stored Compensation) *approvable {
	a := &approvable{programme: carMonth{policy: ev.Policy}, fen: Fen(ev.Fen)}
	if stored.Vehicle != "" {
		a.car = carMonth{ev.Policy, stored.Vehicle, stored.Month.UTC()}
	}
	c.claims[ev.CompensationID] = a
	return a
}

func (c *capReplay) change(ev events.CompensationChanged) {
	a := c.claims[ev.CompensationID]
	if a == nil {
		return
	}
	state := CompensationState(ev.State)
	counts := state == Approved || state == Batched || state == Paid
	c.count(a, counts)
	if state == Voided || state == Paid {
		delete(c.claims, ev.CompensationID) // nothing more comes of it
	}
}

// count lets a compensation count as spent, or no more.
func (c *capReplay) count(a *approvable, counts bool) {
	if counts == a.counted {
		return
	}
	more := a.fen
	if !counts {
		more = -a.fen
	}
	c.spent[a.programme] += more
	if a.car != (carMonth{}) {
		c.spent[a.car] += more
	}
	a.counted = counts
}

// compareQueued holds why a compensation was said to wait as it accrued against
// what follows from its policy and the journal; all but whether a person had to
// look at its verdict, which may be another by now.
func compareQueued(r *Report, c Compensation, wanted []events.Reason) {
	stored := slices.DeleteFunc(slices.Clone(c.Queued), func(reason events.Reason) bool { return reason.Code == "review" })
	if slices.EqualFunc(stored, wanted, sameReason) {
		return
	}
	words := func(list []events.Reason) string {
		text := ""
		for _, reason := range list {
			text += strconv.Quote(reason.EN)
		}
		return text
	}
	r.differ(c.RequestID.String(), "why "+c.ID.String()+" waits", words(stored), words(wanted))
}

// compare holds what is counted as spent against what the journal says.
func (c *capReplay) compare(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, `SELECT policy, vehicle, nullif(month, '-infinity'), fen FROM sla.spent ORDER BY policy, vehicle, month`)
	if err != nil {
		return err
	}
	var key carMonth
	var month *time.Time
	var fen Fen
	if _, err := pgx.ForEachRow(rows, []any{&key.policy, &key.vehicle, &month, &fen}, func() error {
		key.month = utc(month)
		if wanted := c.spent[key]; fen != wanted {
			r.differ(key.policy, key.what(), owedWords(fen), owedWords(wanted))
		}
		delete(c.spent, key)
		return nil
	}); err != nil {
		return err
	}
	for key, wanted := range c.spent { // no row at all
		if wanted != 0 {
			r.differ(key.policy, key.what(), "", owedWords(wanted))
		}
	}
	return nil
}

func (k carMonth) what() string {
	if k.vehicle == "" {
		return "spent of the programme"
	}
	return "spent of " + k.month.Format("2006-01") + " for the car " + k.vehicle
}

// findCompensations gives compensations by their identifiers.
func findCompensations(ctx context.Context, db events.Querier, ids []events.CompensationID) (map[events.CompensationID]Compensation, error) {
	rows, err := db.Query(ctx, `SELECT `+compensationColumns+` FROM sla.compensations WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanCompensation)
	if err != nil {
		return nil, err
	}
	by := make(map[events.CompensationID]Compensation, len(list))
	for _, c := range list {
		by[c.ID] = c
	}
	return by, nil
}
