package sla

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// What a verdict is weighed against is an input that no event tells: what other
// requests of the car had used up of its month when the verdict was told. It
// follows from the journal all the same. Whoever weighs a car's month or leaves
// room in it holds that month until he commits, so the journal has the
// amounts and the verdicts in the order in which they were weighed.

// monthEvents are the events by which a car's month is used up.
var monthEvents = []string{
	events.RequestOpened{}.EventType(), events.HistoryImported{}.EventType(), events.ImportChanged{}.EventType(),
	events.CompensationAccrued{}.EventType(), events.CompensationChanged{}.EventType(), events.GuaranteeSettled{}.EventType(),
}

// monthUse is what one request has used up of its car's month.
type monthUse struct {
	key      carMonth
	live     map[events.CompensationID]Fen
	imported Fen // by its verdict, until it accrues
	importID events.ImportID
	payable  bool
	accrued  bool
	weighed  Fen // what others had used when its last verdict was told
}

// monthReplay replays what cars' months were used up by.
type monthReplay struct {
	policyOf func(name string, version int) (Policy, error)
	uses     map[string]*monthUse // by subject
	of       map[carMonth][]string
	rejected map[events.ImportID]bool
}

// used is what others than one request have used up of a car's month.
func (m *monthReplay) used(key carMonth, except string, history bool) (sum Fen) {
	for _, subject := range m.of[key] {
		u := m.uses[subject]
		if subject == except {
			continue
		}
		for _, fen := range u.live {
			sum += fen
		}
		if !u.accrued && (history || u.payable) && !m.rejected[u.importID] {
			sum += u.imported
		}
	}
	return sum
}

// begin takes a request in, whose promise is held against its car's month.
func (m *monthReplay) begin(g Guarantee, vehicle string) (*monthUse, Policy, error) {
	p, err := m.policyOf(g.Promise.Policy, g.Promise.PolicyVersion)
	key, capped := g.capped(p, vehicle)
	subject := g.RequestID.String()
	if err != nil || !capped || m.uses[subject] != nil {
		return nil, p, err
	}
	u := &monthUse{key: key, live: map[events.CompensationID]Fen{}, importID: g.ImportID}
	m.uses[subject] = u
	m.of[key] = append(m.of[key], subject)
	return u, p, nil
}

// hear takes the next event in.
func (m *monthReplay) hear(env events.Envelope) error {
	switch env.Type {
	case events.RequestOpened{}.EventType():
		ev, err := events.Decode[events.RequestOpened](env)
		if err == nil {
			_, _, err = m.begin(openedAs(ev), ev.VehicleKey)
		}
		return err
	case events.HistoryImported{}.EventType():
		ev, err := events.Decode[events.HistoryImported](env)
		if err != nil {
			return err
		}
		g := importedAs(ev)
		u, p, err := m.begin(g, ev.VehicleKey)
		if err != nil || u == nil {
			return err
		}
		u.payable = ev.Payable
		u.weighed = m.used(u.key, env.Subject, !ev.Payable)
		g.SpentVehicleFen = u.weighed
		u.imported = p.Owed(g.timeline(pastFacts(ev))).Fen
		return nil
	case events.ImportChanged{}.EventType():
		ev, err := events.Decode[events.ImportChanged](env)
		if ev.State == string(ImportRejected) {
			m.rejected[ev.ImportID] = true
		}
		return err
	}
	u := m.uses[env.Subject]
	if u == nil {
		return nil // no cap, or another car
	}
	switch env.Type {
	case events.CompensationAccrued{}.EventType():
		ev, err := events.Decode[events.CompensationAccrued](env)
		u.live[ev.CompensationID], u.accrued = Fen(ev.Fen), true
		return err
	case events.CompensationChanged{}.EventType():
		ev, err := events.Decode[events.CompensationChanged](env)
		if ev.State == string(Voided) {
			delete(u.live, ev.CompensationID)
		}
		return err
	case events.GuaranteeSettled{}.EventType():
		u.weighed = m.used(u.key, env.Subject, false)
	}
	return nil
}

// replayMonths says of each of some promises that are held against a car's
// month what that had used up when their verdict was told, by request.
func (s *Service) replayMonths(ctx context.Context, tx pgx.Tx, list []kept) (map[events.RequestID]Fen, error) {
	policyOf := func(name string, version int) (Policy, error) { return s.policy(ctx, tx, name, version) }
	var cars []string
	for _, k := range list {
		p, err := policyOf(k.guarantee.Promise.Policy, k.guarantee.Promise.PolicyVersion)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.guarantee.RequestID, err)
		}
		if key, capped := k.guarantee.capped(p, k.vehicle); capped {
			cars = append(cars, key.vehicle)
		}
	}
	if len(cars) == 0 {
		return nil, nil
	}
	slices.Sort(cars)
	subjects, err := listSubjectsOfCars(ctx, tx, slices.Compact(cars))
	if err != nil {
		return nil, err
	}
	told, err := events.ReadOrdered(ctx, tx, monthEvents, subjects)
	if err != nil {
		return nil, err
	}
	m := monthReplay{policyOf, map[string]*monthUse{}, map[carMonth][]string{}, map[events.ImportID]bool{}}
	for _, env := range told {
		if err := m.hear(env); err != nil {
			return nil, fmt.Errorf("%s %s: %w", env.Type, env.ID, err)
		}
	}
	weighed := make(map[events.RequestID]Fen, len(list))
	for _, k := range list {
		if u := m.uses[k.guarantee.RequestID.String()]; u != nil {
			weighed[k.guarantee.RequestID] = u.weighed
		}
	}
	return weighed, nil
}

// listSubjectsOfCars gives the requests of some cars and the imports that
// brought them in, as the journal names them.
func listSubjectsOfCars(ctx context.Context, db events.Querier, cars []string) (subjects []string, err error) {
	rows, err := db.Query(ctx, `
		SELECT g.request_id, g.import_id FROM sla.vehicles v JOIN sla.guarantees g ON g.request_id = v.request_id
		WHERE v.vehicle = ANY($1) ORDER BY g.request_id`, cars)
	if err != nil {
		return nil, err
	}
	var request events.RequestID
	var imp events.ImportID
	imports := map[events.ImportID]bool{}
	_, err = pgx.ForEachRow(rows, []any{&request, &imp}, func() error {
		subjects = append(subjects, request.String())
		if !imp.IsZero() && !imports[imp] {
			imports[imp] = true
			subjects = append(subjects, imp.String())
		}
		return nil
	})
	return subjects, err
}
