package sla

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

// TestFactsAreStoredAsASet stores facts that differ in one field each, twice
// and in two orders, and reads one and the same set.
func TestFactsAreStoredAsASet(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, events.Migrations, Migrations)
	at := time.Date(2026, 3, 2, 7, 12, 0, 1000, time.UTC)
	var facts []Fact
	for _, kind := range FactKinds() {
		facts = append(facts, Fact{Kind: kind, At: at, Ref: uuid.UUID{1}})
	}
	base := Fact{Kind: FactPaused, At: at, Source: string(RoadClosed)}
	for _, change := range []func(*Fact){
		func(*Fact) {},
		func(f *Fact) { f.At = at.Add(time.Microsecond) },
		func(f *Fact) { f.Until = at.Add(time.Hour) },
		func(f *Fact) { f.Crew = events.NewID[events.CrewID]() },
		func(f *Fact) { f.Source = string(OwnerDeciding) },
		func(f *Fact) { f.Ref = uuid.UUID{2} },
		func(f *Fact) { f.By = events.RoleOperator },
		func(f *Fact) { f.SaidAt = at.Add(time.Minute) },
		func(f *Fact) { f.Level = "red" },
		func(f *Fact) { f.Metres = 7 },
		func(f *Fact) { f.Fen = 9 },
	} {
		f := base
		change(&f)
		facts = append(facts, f)
	}
	backwards := slices.Clone(facts)
	slices.Reverse(backwards)
	for _, told := range [][]Fact{facts, backwards} {
		id := events.NewID[events.RequestID]()
		require.NoError(t, pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			for n, f := range slices.Concat(told, told) {
				added, err := insertFact(t.Context(), tx, id, f, events.NewID[events.EventID](), at)
				require.NoError(t, err)
				require.Equal(t, n < len(told), added, "%+v", f)
			}
			return nil
		}))
		stored, err := listFacts(t.Context(), pool, id)
		require.NoError(t, err)
		require.ElementsMatch(t, facts, stored)
	}
}

// TestWhatWasWithdrawnNeverCounted withdraws one of two pauses.
func TestWhatWasWithdrawnNeverCounted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 7, 12, 0, 0, time.UTC)
	wrong, right := uuid.UUID{1}, uuid.UUID{2}
	facts := []Fact{
		{Kind: FactWithdrawn, At: at.Add(time.Hour), Ref: wrong},
		{Kind: FactPaused, At: at, Ref: wrong},
		{Kind: FactPaused, At: at, Ref: right},
		{Kind: FactPaused, At: at},
	}
	require.Equal(t, []Fact{facts[3], facts[2]}, setOf(facts))
}
