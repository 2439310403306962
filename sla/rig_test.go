package sla_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/sla"
)

var (
	finance  = events.Actor{Role: events.RoleFinance, Subject: "lin"}
	finance2 = events.Actor{Role: events.RoleFinance, Subject: "zhou"}
	operator = events.Actor{Role: events.RoleOperator, Subject: "wei"}
	admin    = events.Actor{Role: events.RoleAdmin, Subject: "root"}
)

// rig is a service on a database of its own, with a clock the test moves and
// a door for what dispatch tells.
type rig struct {
	t    testing.TB
	pool *pgxpool.Pool
	*sla.Service
	clock atomic.Int64 // microseconds
	bank  *bank
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, pool: pgtest.New(t, events.Migrations, sla.Migrations), bank: newBank()}
	r.at(opened)
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Visible: onlyOwners, Payouts: []sla.Payout{r.bank}})
	require.NoError(t, r.Install(t.Context()))
	return r
}

func (r *rig) now() time.Time { return time.UnixMicro(r.clock.Load()).UTC() }

func (r *rig) at(now time.Time) { r.clock.Store(now.UnixMicro()) }

// wrap puts an event into an envelope as the runner would hand it over.
func wrap(ev events.Event) events.Envelope {
	data, err := json.Marshal(ev)
	if err != nil {
		panic(err)
	}
	topic, key := ev.Stream()
	return events.Envelope{ID: events.NewID[events.EventID](), Type: ev.EventType(), Topic: topic, Key: key, Data: data}
}

// tell hands one event over in a transaction of its own, as the runner does,
// but without the inbox: the slice must not depend on hearing things once.
func (r *rig) tell(ev events.Event) error { return r.deliver(wrap(ev)) }

func (r *rig) deliver(env events.Envelope) error {
	ctx := context.Background()
	for _, h := range r.Handlers() {
		if h.Topic == env.Topic {
			if err := pg.InTx(ctx, r.pool, func(tx pgx.Tx) error { return h.Handle(ctx, tx, env) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) must(evs ...events.Event) {
	r.t.Helper()
	for _, ev := range evs {
		require.NoError(r.t, r.tell(ev))
	}
}

func (r *rig) sweep(now time.Time) int {
	r.t.Helper()
	n, err := r.Sweep(context.Background(), now, 1000)
	require.NoError(r.t, err)
	return n
}

// inForce adds a policy document and has a second person activate it.
func (r *rig) inForce(document []byte) {
	r.t.Helper()
	v, err := r.AddPolicy(context.Background(), admin, document)
	require.NoError(r.t, err)
	_, err = r.ActivatePolicy(context.Background(), finance, v.Name, v.Version, "as agreed")
	require.NoError(r.t, err)
}

// open is the opening of a request at opened, under the policy in force.
func (r *rig) open(id events.RequestID, tier string) events.RequestOpened {
	r.t.Helper()
	var promise events.Promise
	require.NoError(r.t, pg.InTx(context.Background(), r.pool, func(tx pgx.Tx) (err error) {
		promise, err = r.Promise(context.Background(), tx, events.PromiseFacts{At: opened, Area: "cn-3301", Tier: tier})
		return err
	}))
	return events.RequestOpened{RequestID: id, Area: "cn-3301", Tier: tier, OpenedAt: opened, Priority: 2, Problem: "tyre", Promise: promise}
}

// late opens a request and lets help come that much after the deadline.
func (r *rig) late(by time.Duration) events.RequestID {
	r.t.Helper()
	id := events.NewID[events.RequestID]()
	r.must(r.open(id, "urban"), arrivedEvent(id, crewA, due.Add(by)))
	return id
}

func (r *rig) standing(id events.RequestID) sla.Standing {
	r.t.Helper()
	st, err := r.Standing(context.Background(), operator, id)
	require.NoError(r.t, err)
	return st
}

// live is the one compensation of a request that is not void; zero without one.
func (r *rig) live(id events.RequestID) sla.Compensation {
	r.t.Helper()
	c, _ := r.standing(id).Live()
	return c
}

// count says how many events of a type the journal has for a request.
func (r *rig) count(id events.RequestID, ev events.Event) int {
	r.t.Helper()
	told, err := events.ReadStream(context.Background(), r.pool, id.String(), 1000)
	require.NoError(r.t, err)
	n := 0
	for _, env := range told {
		if env.Type == ev.EventType() {
			n++
		}
	}
	return n
}

func arrivedEvent(id events.RequestID, crew events.CrewID, at time.Time) events.Event {
	return events.CrewArrived{RequestID: id, Area: "cn-3301", CrewID: crew, ArrivedAt: at, Source: "gps"}
}

func releasedEvent(id events.RequestID, crew events.CrewID, at time.Time) events.Event {
	return events.RequestReleased{RequestID: id, Area: "cn-3301", CrewID: crew, ReleasedAt: at, FromState: "on_scene"}
}

func cancelledEvent(id events.RequestID, at time.Time) events.Event {
	return events.RequestCancelled{RequestID: id, Area: "cn-3301", CancelledAt: at, Reason: "started again"}
}

// asEvent is how dispatch tells a fact.
func asEvent(id events.RequestID, f sla.Fact) events.Event {
	const area = "cn-3301"
	switch f.Kind {
	case sla.FactOffered:
		return events.OfferMade{RequestID: id, Area: area, CrewID: f.Crew, MadeAt: f.At, ExpectedAt: f.Until}
	case sla.FactLapsed:
		return events.OfferLapsed{RequestID: id, Area: area, CrewID: f.Crew, LapsedAt: f.At, Outcome: "declined"}
	case sla.FactAssigned:
		return events.RequestAssigned{RequestID: id, Area: area, CrewID: f.Crew, AssignedAt: f.At, ExpectedAt: f.Until}
	case sla.FactArrived:
		return events.CrewArrived{RequestID: id, Area: area, CrewID: f.Crew, ArrivedAt: f.At, Source: f.Source}
	case sla.FactReleased:
		return events.RequestReleased{RequestID: id, Area: area, CrewID: f.Crew, ReleasedAt: f.At, FromState: f.Source}
	case sla.FactCancelled:
		return cancelledEvent(id, f.At)
	case sla.FactFinished:
		return events.RequestFinished{RequestID: id, Area: area, CrewID: f.Crew, FinishedAt: f.At, Outcome: f.Source}
	}
	panic("no event tells " + string(f.Kind))
}

// onlyOwners stands for dispatch's word on who may see a request: owners may.
func onlyOwners(_ context.Context, by events.Actor, _ events.RequestID) error {
	if by.Is(events.RoleOwner) {
		return nil
	}
	return sla.ErrNoGuarantee
}

func joined(lines []string) string { return strings.Join(lines, "\n") }
