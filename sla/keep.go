package sla

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// clockActor is who settles: the clock of this slice, by policy.
var clockActor = events.System("sla")

// arm begins to keep a promise exactly as it was shown, and applies whatever
// was heard before. A request that has a guarantee keeps it.
func (s *Service) arm(ctx context.Context, tx pgx.Tx, ev events.RequestOpened) error {
	if err := lockRequest(ctx, tx, ev.RequestID); err != nil {
		return err
	}
	policy, err := s.policy(ctx, tx, ev.Promise.Policy, ev.Promise.PolicyVersion)
	if err != nil {
		return err
	}
	now := s.now()
	g := openedAs(ev)
	g.ID, g.State, g.Version, g.ChangedAt = events.NewID[events.GuaranteeID](), Armed, 1, now
	g.Verdict = policy.Owed(g.timeline(nil))
	added, err := insertGuarantee(ctx, tx, g)
	if err != nil || !added {
		return err
	}
	if ev.VehicleKey != "" {
		if err := insertVehicle(ctx, tx, ev.RequestID, ev.VehicleKey); err != nil {
			return err
		}
	}
	if err := events.Append(ctx, tx, clockActor, now, g.Version, g.armed(now)); err != nil {
		return err
	}
	if err := s.learn(ctx, tx, g); err != nil {
		return err
	}
	return s.reckon(ctx, tx, ev.RequestID)
}

// openedAs is the promise as an opening tells it.
func openedAs(ev events.RequestOpened) Guarantee {
	g := Guarantee{
		RequestID: ev.RequestID, Area: ev.Area, Tier: ev.Tier, Priority: ev.Priority, RoadClass: ev.RoadClass, Problem: ev.Problem,
		Product: ev.Product, Weather: ev.Promise.Weather, OpenedAt: micro(ev.OpenedAt), Promise: ev.Promise,
	}
	g.Promise.DueAt = micro(g.Promise.DueAt)
	if ev.PartnerID != nil {
		g.PartnerID = *ev.PartnerID
	}
	return g
}

// hear adds facts to what is known of a request and reckons anew. Facts that
// are known already change nothing; those whose request is not known yet are
// kept until it is.
func (s *Service) hear(ctx context.Context, tx pgx.Tx, id events.RequestID, told events.EventID, facts ...Fact) error {
	if err := lockRequest(ctx, tx, id); err != nil {
		return err
	}
	news := false
	for _, f := range facts {
		added, err := insertFact(ctx, tx, id, f, told, s.now())
		if err != nil {
			return err
		}
		news = news || added
	}
	if !news {
		return nil
	}
	return s.reckon(ctx, tx, id)
}

// lockRequest makes what is heard of one request happen one after the other.
// A row lock would not do: when a fact and the opening are heard at once,
// neither sees the other's row, and the fact would wait for ever.
func lockRequest(ctx context.Context, tx pgx.Tx, id events.RequestID) error {
	return pg.LockTx(ctx, tx, "sla "+id.String())
}

// reckon brings a guarantee, and what it owes, to the verdict of all that is
// known. Call it with the request locked.
func (s *Service) reckon(ctx context.Context, tx pgx.Tx, id events.RequestID) error {
	g, err := lockGuarantee(ctx, tx, id)
	if pg.NotFound(err) {
		return nil // the facts wait for the opening
	}
	if err != nil || g.State == Waived || !g.ImportID.IsZero() { // what was imported stands as it was told
		return err
	}
	facts, err := listFacts(ctx, tx, id)
	if err != nil {
		return err
	}
	policy, err := s.policy(ctx, tx, g.Promise.Policy, g.Promise.PolicyVersion)
	if err != nil {
		return err
	}
	weighed := g.SpentVehicleFen // by the verdict that was told last
	if g.SpentVehicleFen, err = lockSpentOfVehicle(ctx, tx, policy, g); err != nil {
		return err
	}
	timeline := g.timeline(facts)
	verdict, expected := policy.Owed(timeline), timeline.Expected()
	provider := timeline.Provider(verdict)
	now := s.now()
	before := g.Verdict.Fen
	ev := g.step(verdict)
	was := g.Verdict.DueAt
	if ev == "" && g.State != Waived && verdict.Outcome == OutcomePending && !verdict.DueAt.Equal(was) && g.amendable(verdict, now) {
		ev = evAmend
	}
	if ev == "" && verdict.same(g.Verdict) && expected.Equal(g.ExpectedAt) && provider == g.ProviderID {
		return nil
	}
	g.Verdict, g.ExpectedAt, g.ProviderID = verdict, expected, provider
	switch { // what it was weighed against is told with the verdict, or has no bearing on it
	case verdict.Outcome == OutcomePending:
		g.SpentVehicleFen = 0
	case ev == "":
		g.SpentVehicleFen = weighed
	}
	if ev == "" {
		return noteGuarantee(ctx, tx, g, now)
	}
	if ev == evReopen || ev == evAmend { // the clock runs again, and may alarm again
		g.AtRiskAt, g.BreachedAt = time.Time{}, time.Time{}
	}
	var moved []events.Event
	if ev == evAmend {
		moved = []events.Event{events.DeadlineMoved{
			GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area, DueAt: verdict.DueAt, WasDueAt: was, MovedAt: now, Reasons: verdict.Reasons,
		}}
	}
	if g, err = stepGuarantee(ctx, tx, g, ev, clockActor, now, moved...); err != nil {
		return err
	}
	if verdict.Fen == before {
		return nil
	}
	return s.owe(ctx, tx, g, now)
}

// stepGuarantee moves a locked guarantee by its table, with whatever else of
// it has changed, and tells so, or what tell says instead. Nothing else writes
// its state.
func stepGuarantee(ctx context.Context, tx pgx.Tx, g Guarantee, ev GuaranteeEvent, by events.Actor, now time.Time, tell ...events.Event) (Guarantee, error) {
	next, err := guaranteeTable.Next(g.State, ev)
	if err != nil {
		return g, err
	}
	g.State, g.Version, g.ChangedAt = next, g.Version+1, now
	if err := updateGuarantee(ctx, tx, g); err != nil {
		return g, err
	}
	if len(tell) == 0 {
		tell = []events.Event{g.told(now)}
	}
	return g, events.Append(ctx, tx, by, now, g.Version, tell...)
}

// noteGuarantee keeps what changed of a locked guarantee besides its state:
// an expected arrival, a line of explanation, an alarm. tell may be empty.
func noteGuarantee(ctx context.Context, tx pgx.Tx, g Guarantee, now time.Time, tell ...events.Event) error {
	g.Version, g.ChangedAt = g.Version+1, now
	if err := updateGuarantee(ctx, tx, g); err != nil {
		return err
	}
	return events.Append(ctx, tx, clockActor, now, g.Version, tell...)
}

// told is the event that says what state the guarantee has come to.
func (g Guarantee) told(now time.Time) events.Event {
	switch g.State {
	case Armed:
		return g.armed(now)
	case Breached:
		return events.GuaranteeBreached{
			GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area, DueAt: g.Verdict.DueAt, NoticedAt: now,
		}
	}
	v := g.Verdict
	return events.GuaranteeSettled{
		GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area, Outcome: string(g.State),
		DueAt: v.DueAt, StoppedAt: nullable(v.StoppedAt), LateS: int64(v.Late / time.Second),
		OwedFen: int64(v.Fen), Reasons: v.Reasons,
	}
}

func (g Guarantee) armed(now time.Time) events.Event {
	return events.GuaranteeArmed{
		GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area, ArmedAt: now, Promise: g.Promise,
	}
}

// owe brings the compensation of a guarantee to its new verdict: another
// amount voids the live one and accrues a new one, so that what finance saw
// and decided stays as it was. Money that is on its way or gone is never
// taken back by a verdict: the difference is noted for a person, and the note
// closes by itself when the verdicts agree again.
func (s *Service) owe(ctx context.Context, tx pgx.Tx, g Guarantee, now time.Time) error {
	live, err := lockLive(ctx, tx, g.ID)
	none := pg.NotFound(err)
	if err != nil && !none {
		return err
	}
	owed := g.Verdict.Fen
	if !none {
		if live.Fen == owed {
			return closeDifference(ctx, tx, live.ID, "The present verdict owes what was paid.", now)
		}
		ev := live.withdrawal()
		if ev == "" {
			return upsertDifference(ctx, tx, live, owed, now)
		}
		why := fmt.Sprintf("The verdict changed from %s to %s.", live.Fen, owed)
		if _, err := stepCompensation(ctx, tx, live, ev, clockActor, why, now); err != nil {
			return err
		}
	}
	if owed == 0 {
		return nil
	}
	return s.accrue(ctx, tx, []Guarantee{g}, clockActor.String(), now)
}

// Waive sets a guarantee aside before any verdict, because somebody decided
// that the promise does not bind: a duplicate, a test, an agreement with the
// owner. Operators and finance may, with a reason; it stands whatever is
// heard later. seen is the version the caller saw.
func (s *Service) Waive(ctx context.Context, by events.Actor, id events.RequestID, seen int64, why string) (g Guarantee, err error) {
	defer fault.Wrap(&err, "waive the guarantee of %s", id)
	if !by.Is(events.RoleOperator, events.RoleFinance) {
		return Guarantee{}, forbidden(by)
	}
	if why, err = checkReason(why); err != nil {
		return Guarantee{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := lockRequest(ctx, tx, id); err != nil {
			return err
		}
		g, err = lockGuarantee(ctx, tx, id)
		if pg.NotFound(err) {
			return ErrNoGuarantee
		}
		if err != nil {
			return err
		}
		if !g.ImportID.IsZero() {
			return ErrPast
		}
		if g.Version != seen {
			return ErrStale.With("version", g.Version)
		}
		now := s.now()
		g.WaivedAt, g.WaivedWhy, g.Verdict.Review = now, why, ""
		g.Verdict.Reasons = append(g.Verdict.Reasons, events.Reason{At: &now, Code: "waived", ZH: "承诺已免除：" + why, EN: "The promise was set aside: " + why})
		g, err = stepGuarantee(ctx, tx, g, evWaive, by, now)
		return err
	})
	return g, err
}
