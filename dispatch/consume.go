package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// IntakeType is the CloudEvents type of a request on the intake topic.
const IntakeType = "cn.rescue.request.asked.v1"

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
	if err != nil {
		return err
	}
	in, err := readRequest(env.Data)
	if err == nil {
		in.Key = key
		_, err = s.openIn(ctx, tx, by, in)
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

// readRequest decodes a request as another backend wrote it. A member that is
// unknown or of the wrong type is a wrong field, not a dead letter.
func readRequest(data []byte) (NewRequest, error) {
	var in NewRequest
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&in)
	if err == nil {
		return in, nil
	}
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) && typed.Field != "" {
		return in, fault.InvalidFields([]fault.Field{{Field: typed.Field, Code: "type",
			Detail: "is a " + typed.Value + "; it must be a " + typed.Type.String()}})
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return in, fault.InvalidFields([]fault.Field{{Field: strings.Trim(name, `"`), Code: "unknown",
			Detail: "is not a field of a request; leave it out"}})
	}
	return in, events.ErrUndecodable.Detailf("The payload is not a request: %v.", err).Because(err)
}

// sender is who acts, and under which idempotency key: the partner an event
// names as its source, /partners/ptn_…, when he is known; anybody else is the
// intake itself, for whom source and id together make the key.
func sender(ctx context.Context, tx pgx.Tx, env events.Envelope) (events.Actor, string, error) {
	if id, ok := strings.CutPrefix(env.Source, "/partners/"); ok {
		if ptn, err := events.ParseID[events.PartnerID](id); err == nil {
			known, err := partnerExists(ctx, tx, ptn)
			if err != nil || known {
				return events.Actor{Role: events.RolePartner, Subject: ptn.String()}, env.SenderID, err
			}
		}
	}
	return intake, env.ID.String(), nil
}
