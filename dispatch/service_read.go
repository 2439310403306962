package dispatch

import (
	"context"

	"rescued/events"
	"rescued/internal/fault"
)

// historyLimit bounds a timeline; a request has a dozen events or two.
const historyLimit = 1000

// Request is one request as it is now, for those who may see it.
func (s *Service) Request(ctx context.Context, by events.Actor, id events.RequestID) (r Request, err error) {
	defer fault.Wrap(&err, "request %s", id)
	if r, err = selectRequest(ctx, s.pool, id); err != nil {
		return Request{}, err
	}
	if err := s.sees(ctx, s.pool, by, &r); err != nil {
		return Request{}, err
	}
	return r, nil
}

// Requests lists requests, newest first: an owner's, a partner's, a crew's or
// a provider's own, all for staff and finance.
func (s *Service) Requests(ctx context.Context, by events.Actor, f RequestFilter) (list []Request, err error) {
	defer fault.Wrap(&err, "list requests")
	return listRequests(ctx, s.pool, by, f)
}

// History is a request's timeline: every event, in the order of commit.
func (s *Service) History(ctx context.Context, by events.Actor, id events.RequestID) (list []events.Envelope, err error) {
	defer fault.Wrap(&err, "history of %s", id)
	if _, err := s.Request(ctx, by, id); err != nil {
		return nil, err
	}
	return events.ReadStream(ctx, s.pool, id.String(), historyLimit)
}

// Considered is who was weighed for a request and why not, round by round.
// It is for those who run the service, not for owners or crews.
func (s *Service) Considered(ctx context.Context, by events.Actor, id events.RequestID) (list []Round, err error) {
	defer fault.Wrap(&err, "considered for %s", id)
	if !by.Is(staff...) {
		return nil, ErrForbidden
	}
	if _, err := s.Request(ctx, by, id); err != nil {
		return nil, err
	}
	return listRounds(ctx, s.pool, id)
}
