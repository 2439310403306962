package dispatch

import (
	"context"

	"rescued/events"
	"rescued/internal/fault"
)

// Refresh reads from Postgres what has changed since the last call: crews and
// the cover. The first call reads everything; a replica is ready after it.
func (s *Service) Refresh(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "refresh")
	if err := s.refreshCrews(ctx); err != nil {
		return err
	}
	return s.refreshAreas(ctx)
}

// refreshCrews reads on from the horizon of the reading before. A transaction
// that was open then has an identifier at or after it, so that its changes,
// whenever they commit, fall into a later reading; some rows are read twice.
func (s *Service) refreshCrews(ctx context.Context) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	next, err := readHorizon(ctx, s.pool)
	if err != nil {
		return err
	}
	since := s.horizon
	if since == "" {
		since = "0"
	}
	crews, err := listChangedCrews(ctx, s.pool, since)
	if err != nil {
		return err
	}
	for i := range crews {
		s.learnAndTell(&crews[i])
	}
	s.horizon = next
	return nil
}

// learnAndTell takes in a crew and, when that makes it free, has the areas
// looked at where it could help.
func (s *Service) learnAndTell(c *Crew) {
	before, known := s.fleet.lookup(c.ID)
	s.fleet.learn(c)
	if known && before.state != CrewAvailable && c.State == CrewAvailable {
		s.queue.free(c.ID)
	}
}

// relearn reads crews of which the index was wrong.
func (s *Service) relearn(ctx context.Context, ids []events.CrewID) error {
	crews, err := listCrewsByID(ctx, s.pool, ids)
	for i := range crews {
		s.fleet.learn(&crews[i])
	}
	return err
}
