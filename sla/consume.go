package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Handlers keeps promises from what dispatch tells. What an event says
// becomes a fact of the request's timeline; the verdict follows from all
// facts, so it does not matter in which order they come, or how often.
func (s *Service) Handlers() []events.Handler {
	return []events.Handler{{Group: "sla", Topic: events.TopicRequests, Handle: s.handle}}
}

// handle applies one event; what bears on no promise is passed over.
func (s *Service) handle(ctx context.Context, tx pgx.Tx, env events.Envelope) (err error) {
	defer fault.Wrap(&err, "sla: %s %s", env.Type, env.ID)
	switch env.Type {
	case events.RequestOpened{}.EventType():
		ev, err := events.Decode[events.RequestOpened](env)
		if err != nil {
			return err
		}
		return s.arm(ctx, tx, ev)
	case events.RequestWarned{}.EventType():
		ev, err := events.Decode[events.RequestWarned](env)
		if err != nil {
			return err
		}
		return s.warned(ctx, tx, ev)
	}
	id, facts, tells, err := factsTold(env)
	if err != nil || !tells {
		return err
	}
	return s.hear(ctx, tx, id, env.ID, facts...)
}

// warned raises the alarm of a guarantee for what dispatch has seen coming: a
// crew that stands still, a queue that is too long. It is no fact of the
// timeline, for it says nothing of what happened; it bears on no verdict. The
// sweep's own alarm remains, for when nobody warns.
func (s *Service) warned(ctx context.Context, tx pgx.Tx, ev events.RequestWarned) error {
	if len(ev.Reasons) == 0 {
		return nil // an alarm stays raised; the queue shows that the danger is over
	}
	if err := lockRequest(ctx, tx, ev.RequestID); err != nil {
		return err
	}
	g, err := lockGuarantee(ctx, tx, ev.RequestID)
	if pg.NotFound(err) {
		return nil // the opening has not been heard yet; the sweep will see to it
	}
	now := s.now()
	if err != nil || !g.AtRiskAt.IsZero() || !g.mayAlarm(now) {
		return err
	}
	g.AtRiskAt = now
	told := events.GuaranteeAtRisk{
		GuaranteeID: g.ID, RequestID: g.RequestID, Area: g.Area,
		DueAt: g.Verdict.DueAt, NoticedAt: now, Reason: ev.Reasons[0].Code,
	}
	if ev.Remedy != nil {
		told.RemedyZH, told.RemedyEN = ev.Remedy.ZH, ev.Remedy.EN
	}
	return noteGuarantee(ctx, tx, g, now, told)
}

var errNoTime = fault.New(fault.Invalid, "event_without_time", "The event does not say when it happened.")

// factsTold reads the facts that an event of dispatch tells, and of which
// request; tells is false for an event that tells none. Whoever replays the
// journal reads it through the same door.
func factsTold(env events.Envelope) (id events.RequestID, facts []Fact, tells bool, err error) {
	read, tells := tellings[env.Type]
	if !tells {
		return id, nil, false, nil
	}
	if id, facts, err = read(env); err != nil {
		return id, nil, true, err
	}
	for i := range facts {
		if facts[i].At.Before(time.Unix(0, 0)) {
			return id, nil, true, errNoTime
		}
		if facts[i].Kind == FactReleased && facts[i].By == "" {
			facts[i].By = env.Actor.Role // whoever took the crew off it bears the time that is lost by it
		}
	}
	return id, facts, true, nil
}

// tellings says how each event type is read as facts.
var tellings = map[string]func(events.Envelope) (events.RequestID, []Fact, error){
	events.OfferMade{}.EventType(): telling(func(ev events.OfferMade) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactOffered, At: ev.MadeAt, Until: ev.ExpectedAt, Crew: ev.CrewID}
	}),
	events.OfferLapsed{}.EventType(): telling(func(ev events.OfferLapsed) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactLapsed, At: ev.LapsedAt, Crew: ev.CrewID, Source: ev.Outcome}
	}),
	events.RequestAssigned{}.EventType(): telling(func(ev events.RequestAssigned) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactAssigned, At: ev.AssignedAt, Until: ev.ExpectedAt, Crew: ev.CrewID, Provider: ev.ProviderID}
	}),
	events.CrewDeparted{}.EventType(): telling(func(ev events.CrewDeparted) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactDeparted, At: ev.DepartedAt, Crew: ev.CrewID}
	}),
	events.CrewArrived{}.EventType(): tellingAll(func(ev events.CrewArrived) (events.RequestID, []Fact) { return ev.RequestID, proofsOf(ev) }),
	events.RequestReleased{}.EventType(): telling(func(ev events.RequestReleased) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactReleased, At: ev.ReleasedAt, Crew: ev.CrewID, Source: ev.FromState, By: causedBy[ev.Cause]}
	}),
	events.RequestCancelled{}.EventType(): telling(func(ev events.RequestCancelled) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactCancelled, At: ev.CancelledAt}
	}),
	events.RequestFinished{}.EventType(): telling(func(ev events.RequestFinished) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactFinished, At: ev.FinishedAt, Crew: ev.CrewID, Source: ev.Outcome}
	}),
}

// causedBy is on whose account a crew was taken off, where the desk says what
// for: it could not go on, or the owner asked for another. The desk's own choice
// is put down to the desk, as is what it gives no cause for.
var causedBy = map[string]events.Role{"crew": events.RoleCrew, "owner": events.RoleOwner}

func telling[E events.Event](read func(E) (events.RequestID, Fact)) func(events.Envelope) (events.RequestID, []Fact, error) {
	return tellingAll(func(ev E) (events.RequestID, []Fact) {
		id, f := read(ev)
		return id, []Fact{f}
	})
}

func tellingAll[E events.Event](read func(E) (events.RequestID, []Fact)) func(events.Envelope) (events.RequestID, []Fact, error) {
	return func(env events.Envelope) (id events.RequestID, facts []Fact, err error) {
		ev, err := events.Decode[E](env)
		if err == nil {
			id, facts = read(ev)
		}
		return id, facts, err
	}
}

// proofsOf reads an arrival as all its proofs: the earliest, by which dispatch
// goes, and the others it lays beside it, since a policy may rank them
// otherwise. A crew's bare claim is no proof.
func proofsOf(ev events.CrewArrived) []Fact {
	proof := Fact{Kind: FactArrived, At: ev.ArrivedAt, Crew: ev.CrewID, Source: ev.Source}
	facts := []Fact{proof}
	byOwner := "owner"
	if ev.Source == "code" {
		byOwner = "code"
	}
	for _, other := range []struct {
		source string
		at     *time.Time
	}{{"gps", ev.Evidence.GPSAt}, {byOwner, ev.Evidence.OwnerAt}, {"operator", ev.Evidence.OperatorAt}} {
		if other.at != nil && other.source != ev.Source {
			proof.Source, proof.At = other.source, *other.at
			facts = append(facts, proof)
		}
	}
	return facts
}
