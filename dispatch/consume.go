package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/internal/web"
)

// IntakeType is the CloudEvents type of a request on the intake topic.
const IntakeType = "cn.rescue.request.asked.v1"

// ErrIntakeType: an event of another type came over the intake topic.
var ErrIntakeType = fault.New(fault.Invalid, "event_type_unknown", "The intake does not take events of this type.")

// Handlers takes requests in from other backends.
func (s *Service) Handlers() []events.Handler {
	return []events.Handler{{Group: "dispatch.intake", Topic: events.TopicIntake, Handle: s.takeIn}}
}

// Batches hears of what waits in areas this process has not opened a request
// in, and weighs the positions of crews. Both may come twice or late without
// harm, so they need no inbox.
func (s *Service) Batches() []events.Batch {
	return []events.Batch{
		{Group: "dispatch.match", Topic: events.TopicRequests, Handle: s.trigger},
		newTrail(s).batch(),
	}
}

// trigger has an area matched after anything that leaves a request waiting.
func (s *Service) trigger(_ context.Context, envs []events.Envelope) error {
	for _, env := range envs {
		switch env.Type {
		case events.RequestOpened{}.EventType(), events.OfferLapsed{}.EventType(), events.RequestReleased{}.EventType():
			s.queue.put(geo.AreaID(env.Key))
		}
	}
	return nil
}

// HeardCrew takes in one event of the crews topic. Give it to events.Tail in
// every replica.
func (s *Service) HeardCrew(env events.Envelope) {
	switch env.Type {
	case events.CrewPositioned{}.EventType():
		e, err := events.Decode[events.CrewPositioned](env)
		if err != nil {
			s.log.Warn("a position that cannot be read", "err", err)
			return
		}
		p, err := geo.NewPoint(e.Location.Lat, e.Location.Lng)
		if err == nil {
			s.Sight(e.CrewID, Fix{At: e.FixedAt.UTC(), Point: p, Accuracy: e.AccuracyM})
		}
	case events.CrewChanged{}.EventType():
		e, err := events.Decode[events.CrewChanged](env)
		if err != nil {
			s.log.Warn("a change of a crew that cannot be read", "err", err)
			return
		}
		can, _, ok := ParseCapabilities(e.Capabilities)
		if !ok { // a newer replica knows one more; Postgres has the bits
			return
		}
		before, _ := s.fleet.lookup(e.CrewID)
		s.fleet.change(e.CrewID, e.Version, CrewState(e.State), can)
		if before.state != CrewAvailable && CrewState(e.State) == CrewAvailable {
			s.queue.free(e.CrewID)
		}
	}
}

// takeIn opens a request that came over the intake topic, in the transaction
// that notes the event as applied. One that cannot be opened is answered with
// RequestRefused, which names every wrong field; only what is no JSON object
// at all goes to the dead letters.
func (s *Service) takeIn(ctx context.Context, tx pgx.Tx, env events.Envelope) error {
	by, key, err := sender(ctx, tx, env)
	if err == nil && env.Type != IntakeType {
		err = ErrIntakeType.Detailf("ce_type is %.80q; the intake takes %s.", env.Type, IntakeType)
	}
	if err == nil {
		var in NewRequest
		if in, err = readRequest(env.Data); err == nil {
			in.Key, in.intake = key, &intakeSource{env.SenderID, env.Source}
			_, err = s.openIn(ctx, tx, by, in)
		}
	}
	var refusal *fault.Error
	if err == nil || !errors.As(err, &refusal) || errors.Is(err, events.ErrUndecodable) || pg.Transient(err) ||
		refusal.Kind == fault.Busy || refusal.Kind == fault.Limited || refusal.Kind == fault.Internal {
		return err
	}
	now := s.now()
	refused := events.RequestRefused{
		IntakeID: env.SenderID, Source: env.Source, Code: refusal.Code, Detail: refusal.Detail, RefusedAt: now,
	}
	for _, f := range refusal.Fields {
		refused.Fields = append(refused.Fields, events.RefusedField{Field: f.Field, Code: f.Code, Detail: f.Detail})
	}
	if id, ok := refusal.Facts["request_id"].(events.RequestID); ok {
		refused.RequestID = &id
	}
	return events.Append(ctx, tx, by, now, 0, refused)
}

// intakeMessage reads requests as POST /v1/requests does.
var intakeMessage = sync.OnceValue(web.NewMessage[NewRequest])

// readRequest decodes a request as another backend wrote it. A member that is
// unknown or of the wrong type is a wrong field, named together with all
// others, and not a dead letter.
func readRequest(data []byte) (NewRequest, error) {
	in, wrong, err := intakeMessage().Read(data)
	if err != nil {
		return in, events.ErrUndecodable.Detailf("The payload is not a request: %v.", err).Because(err)
	}
	if len(wrong) == 0 {
		return in, nil
	}
	wrong = append(wrong, wrongBeside(data, checked(in.Check))...)
	slices.SortStableFunc(wrong, func(a, b fault.Field) int { return strings.Compare(a.Field, b.Field) })
	return in, fault.InvalidFields(wrong)
}

// sender is who acts, and under which idempotency key: the partner an event
// names as its source, /partners/ptn_…; anybody else is the intake itself, for
// whom source and id together make the key.
func sender(ctx context.Context, tx pgx.Tx, env events.Envelope) (events.Actor, string, error) {
	name, isPartner := strings.CutPrefix(env.Source, "/partners/")
	if !isPartner {
		return intake, env.SenderKey(), nil
	}
	ptn, err := events.ParseID[events.PartnerID](name)
	if err != nil {
		return intake, "", ErrNoPartner
	}
	known, err := partnerExists(ctx, tx, ptn)
	if err == nil && !known {
		return intake, "", ErrNoPartner
	}
	return events.Actor{Role: events.RolePartner, Subject: ptn.String()}, env.SenderID, err
}
