package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
)

func TestAppendIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, events.Migrations)
	boom := errors.New("boom")
	err := pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		require.NoError(t, events.Append(ctx, tx, by, noon, 1, samples()...))
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.Zero(t, count(t, pool, `SELECT count(*) FROM events.journal`))
	appendAll(t, pool, samples()...)
	require.Equal(t, len(samples()), count(t, pool, `SELECT count(*) FROM events.journal`))
	require.Equal(t, len(samples()), count(t, pool, `SELECT count(*) FROM events.outbox`))
}

func TestReadStreamIsOneSubjectAcrossTopics(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, events.Migrations)
	var want []events.Event
	req := samples()[0].Subject()
	for _, ev := range samples() {
		if ev.Subject() == req {
			want = append(want, ev)
		}
	}
	appendAll(t, pool, samples()...)
	got, err := events.ReadStream(ctx, pool, req, 100)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i, env := range got {
		require.Equal(t, want[i], decodeAny(t, env))
		require.Equal(t, by, env.Actor)
		require.Equal(t, noon, env.At)
		require.Equal(t, int64(1), env.Version)
		require.Zero(t, env.FeedNo, "not numbered yet, and there all the same")
	}
	got, err = events.ReadStream(ctx, pool, req, 3)
	require.NoError(t, err)
	require.Len(t, got, 3)
}

func TestJournalIsAppendOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, events.Migrations)
	appendAll(t, pool, samples()[0])
	_, err := pool.Exec(ctx, `UPDATE events.journal SET feed_no = 1`)
	require.NoError(t, err, "a first number is given")
	for _, sql := range []string{
		`UPDATE events.journal SET feed_no = 2`,
		`UPDATE events.journal SET feed_no = NULL`,
		`UPDATE events.journal SET data = '{}'`,
		`UPDATE events.journal SET at = at + interval '1 second'`,
		`DELETE FROM events.journal`,
		`TRUNCATE events.journal CASCADE`,
	} {
		_, err := pool.Exec(ctx, sql)
		require.ErrorContains(t, err, "append-only", sql)
	}
}

func TestAppendRefusesWhatCouldNotBePublished(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t, events.Migrations)
	big := events.RequestReleased{RequestID: events.NewID[events.RequestID](), Reason: strings.Repeat("x", 300<<10)}
	require.NoError(t, pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		require.NoError(t, events.Append(ctx, tx, by, noon, 1))
		require.ErrorContains(t, events.Append(ctx, tx, by, noon, 1, big), "over the limit")
		require.ErrorContains(t, events.Append(ctx, tx, events.Actor{}, noon, 1, samples()[0]), "no actor")
		require.ErrorContains(t, events.Append(ctx, tx, by, time.Time{}, 1, samples()[0]), "no time")
		require.ErrorContains(t, events.Append(ctx, tx, by, noon, 1, stranger{}), "not registered")
		return nil
	}))
	require.Zero(t, count(t, pool, `SELECT count(*) FROM events.journal`))
}

type stranger struct{}

func (stranger) EventType() string              { return "cn.rescue.stranger.v1" }
func (stranger) Stream() (events.Topic, string) { return events.TopicRequests, "x" }
func (stranger) Subject() string                { return "x" }

func TestReadHeardTellsWhatAGroupHasApplied(t *testing.T) {
	t.Parallel()
	ctx, pool := context.Background(), pgtest.New(t, events.Migrations)
	a, b := departed("a", events.NewID[events.CrewID]()), departed("a", events.NewID[events.CrewID]())
	appendAll(t, pool, a, b, a)
	stream, err := events.ReadStream(ctx, pool, a.Subject(), 10)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `INSERT INTO events.inbox (consumer_group, event_id) VALUES ('sla', $1), ('other', $2)`, stream[0].ID, stream[1].ID)
	require.NoError(t, err)

	heard, err := events.ReadHeard(ctx, pool, "sla", []string{a.Subject()})
	require.NoError(t, err)
	require.Len(t, heard, 2)
	require.Equal(t, stream[0], heard[0].Envelope)
	require.True(t, heard[0].Applied)
	require.False(t, heard[1].Applied, "another group's note is not ours")
	all, err := events.ReadHeard(ctx, pool, "sla", []string{a.Subject(), b.Subject()})
	require.NoError(t, err)
	require.Len(t, all, 3)
}
