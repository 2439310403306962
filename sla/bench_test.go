package sla_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// BenchmarkOwed works out one verdict with its explanation.
func BenchmarkOwed(b *testing.B) {
	p := sla.Example45()
	t := timeline(p,
		sla.Fact{Kind: sla.FactAssigned, At: opened, Until: due, Crew: crewA},
		arrived(crewA, due.Add(5*time.Minute)), released(crewA, due.Add(6*time.Minute)), arrived(crewB, due.Add(11*time.Minute)))
	for b.Loop() {
		p.Owed(t)
	}
}

// BenchmarkLateRescue hears the opening, the assignment and the late arrival
// of one request, and books what is owed: three transactions.
func BenchmarkLateRescue(b *testing.B) {
	r := newRig(b)
	opening := r.open(events.NewID[events.RequestID](), "urban")
	for b.Loop() {
		id := events.NewID[events.RequestID]()
		opening.RequestID = id
		r.must(opening, asEvent(id, sla.Fact{Kind: sla.FactAssigned, At: opened, Until: due, Crew: crewA}),
			arrivedEvent(id, crewA, due.Add(11*time.Minute)))
	}
}

// BenchmarkQuietSweep looks at 20,000 armed guarantees none of which is due.
func BenchmarkQuietSweep(b *testing.B) {
	r := newRig(b)
	r.must(r.open(events.NewID[events.RequestID](), "urban"))
	if _, err := r.pool.Exec(b.Context(), `
		INSERT INTO sla.guarantees SELECT (r).* FROM (
			SELECT jsonb_populate_record(g, jsonb_build_object('id', gen_random_uuid(), 'request_id', gen_random_uuid())) AS r
			FROM sla.guarantees g, generate_series(1, 20000)) AS copies;
		ANALYZE sla.guarantees`); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.sweep(opened)
	}
}

// everyShape is a rescue under a policy that uses every shape, with a pause,
// its evidence, an alert and its notice.
func everyShape(b testing.TB) (sla.Policy, sla.Timeline) {
	p, err := sla.ParsePolicy(shippedPolicies(b)["policies/example-per-minute.json"])
	if err != nil {
		b.Fatal(err)
	}
	asked := sla.Facts{Area: "cn-3301", Tier: "urban", Priority: 2}
	at := func(minutes int) time.Time { return opened.Add(time.Duration(minutes) * time.Minute) }
	t := sla.Timeline{OpenedAt: opened, Asked: asked, Promise: p.Promise(opened, asked), Facts: []sla.Fact{
		{Kind: sla.FactLocated, At: at(1)},
		{Kind: sla.FactEvidence, At: at(18), Source: string(sla.CallUnanswered)},
		{Kind: sla.FactEvidence, At: at(20), Source: string(sla.CallUnanswered)},
		{Kind: sla.FactPaused, At: at(20), Until: at(26), Source: string(sla.OwnerUnreachable), By: events.RoleOperator},
		{Kind: sla.FactCondition, At: at(30), Source: string(sla.WeatherAlert), Level: "red"},
		{Kind: sla.FactEvidence, At: at(31), Source: string(sla.OfficialNotice)},
		{Kind: sla.FactAssigned, At: at(2), Until: at(40), Crew: crewA},
		{Kind: sla.FactArrived, At: at(70), Crew: crewA, Source: "gps"},
		{Kind: sla.FactFinished, At: at(90), Crew: crewA, Source: "fixed"},
	}}
	if v := p.Owed(t); v.Excluded != "red-alert" || len(v.Reasons) < 10 {
		b.Fatalf("%+v", v)
	}
	return p, t
}

// BenchmarkVerdict works out verdicts with their explanations.
func BenchmarkVerdict(b *testing.B) {
	p, t := everyShape(b)
	for b.Loop() {
		p.Owed(t)
	}
}

// BenchmarkBringIn brings rescues in, a thousand at a time.
func BenchmarkBringIn(b *testing.B) {
	r, ctx := newRig(b), context.Background()
	i := r.importer(clerk, pastSpec(false))
	rescues := make([]sla.PastRescue, 1000)
	n := 0
	for b.Loop() {
		for row := range rescues {
			rescues[row] = pastRescue(fmt.Sprint("rescue ", n), 30+n%30)
			n++
		}
		got, err := i.Add(ctx, rescues)
		require.NoError(b, err)
		require.Equal(b, len(rescues), got.Added)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rescues/s")
}
