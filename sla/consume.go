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
	id, fact, tells, err := factTold(env)
	if err != nil || !tells {
		return err
	}
	return s.hear(ctx, tx, id, env.ID, fact)
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

// factTold reads the fact that an event of dispatch tells, and of which
// request; tells is false for an event that tells none. Whoever replays the
// journal reads it through the same door.
func factTold(env events.Envelope) (id events.RequestID, f Fact, tells bool, err error) {
	read, tells := tellings[env.Type]
	if !tells {
		return id, f, false, nil
	}
	if id, f, err = read(env); err == nil && f.At.Before(time.Unix(0, 0)) {
		err = errNoTime
	}
	if f.Kind == FactReleased {
		f.By = env.Actor.Role // whoever took the crew off it bears the time that is lost by it
	}
	return id, f, true, err
}

// tellings says how each event type is read as a fact.
var tellings = map[string]func(events.Envelope) (events.RequestID, Fact, error){
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
	events.CrewArrived{}.EventType(): telling(func(ev events.CrewArrived) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactArrived, At: ev.ArrivedAt, Crew: ev.CrewID, Source: ev.Source}
	}),
	events.RequestReleased{}.EventType(): telling(func(ev events.RequestReleased) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactReleased, At: ev.ReleasedAt, Crew: ev.CrewID, Source: ev.FromState}
	}),
	events.RequestCancelled{}.EventType(): telling(func(ev events.RequestCancelled) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactCancelled, At: ev.CancelledAt}
	}),
	events.RequestFinished{}.EventType(): telling(func(ev events.RequestFinished) (events.RequestID, Fact) {
		return ev.RequestID, Fact{Kind: FactFinished, At: ev.FinishedAt, Crew: ev.CrewID, Source: ev.Outcome}
	}),
}

func telling[E events.Event](read func(E) (events.RequestID, Fact)) func(events.Envelope) (events.RequestID, Fact, error) {
	return func(env events.Envelope) (id events.RequestID, f Fact, err error) {
		ev, err := events.Decode[E](env)
		if err == nil {
			id, f = read(ev)
		}
		return id, f, err
	}
}
