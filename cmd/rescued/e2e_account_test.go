package main

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/events"
)

// What must hold however often replicas were killed. Each check reads the
// journal or the tables, not what the tests remember of their calls.

// noneForgotten: what was acknowledged is there, came to an end, and the API
// says the same as the tables. The one request that no crew can do is stranded.
func noneForgotten(t *testing.T, s *site, staff client, storm *storm) {
	t.Helper()
	acknowledged := storm.acknowledged()
	require.Len(t, acknowledged, storm.requests)
	states := map[string]string{}
	for _, r := range all[requestView](t, staff, "/v1/requests") {
		states[r.ID] = r.State
	}
	require.Len(t, states, storm.requests, "the API lists every request")
	require.Equal(t, storm.requests, s.count(`SELECT count(*) FROM dispatch.requests`))
	ended := map[string]int{}
	for _, id := range acknowledged {
		require.Contains(t, states, id, "acknowledged and gone")
		ended[states[id]]++
	}
	require.Equal(t, 1, ended["stranded"], "%v", ended)
	require.Equal(t, storm.requests-1, ended["done"]+ended["cancelled"], "%v", ended)
	require.LessOrEqual(t, ended["cancelled"], storm.cancelled, "%v", ended)
	queue := all[requestView](t, staff, "/v1/queue")
	require.Len(t, queue, 1)
	require.Equal(t, "stranded", states[queue[0].ID])
	require.Equal(t, 0, s.count(`SELECT count(*) FROM dispatch.crews WHERE state <> 'available'`), "every crew is free again")
	require.Equal(t, 0, s.count(`SELECT count(*) FROM dispatch.offers WHERE state = 'pending'`))
	staff.must(t, http.StatusOK, http.MethodGet, "/readyz", nil, nil)
}

// nobodyTwice replays the journal in the order of its commits: no crew is ever
// bound to two requests, no request to two crews, no crew asked twice for one.
func nobodyTwice(t *testing.T, s *site) {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), `
		SELECT feed_no, type, data->>'request_id', coalesce(data->>'crew_id', ''),
			coalesce(data->>'assigned_at', data->>'arrived_at', data->>'finished_at', data->>'cancelled_at')::timestamptz
		FROM events.journal WHERE type = ANY($1) ORDER BY feed_no`, []string{
		events.OfferMade{}.EventType(), events.RequestAssigned{}.EventType(), events.CrewDeparted{}.EventType(),
		events.CrewArrived{}.EventType(), events.RequestReleased{}.EventType(), events.RequestCancelled{}.EventType(),
		events.RequestFinished{}.EventType(),
	})
	require.NoError(t, err)
	defer rows.Close()
	jobOf, crewOf := map[string]string{}, map[string]string{}
	asked := map[[2]string]bool{}
	// had is from when to when a crew has had a request; to is zero while it has it.
	type spell struct{ from, to time.Time }
	had := map[[2]string]spell{}
	bound := 0
	for rows.Next() {
		var no int64
		var kind, request, crew string
		var at *time.Time // when it happened; nil for an offer, a departure, a release
		require.NoError(t, rows.Scan(&no, &kind, &request, &crew, &at))
		pair := [2]string{request, crew}
		switch kind {
		case events.OfferMade{}.EventType():
			require.False(t, asked[pair], "feed %d: %s asked twice for %s", no, crew, request)
			asked[pair] = true
		case events.RequestAssigned{}.EventType():
			require.Empty(t, jobOf[crew], "feed %d: %s gets %s while it has another", no, crew, request)
			require.Empty(t, crewOf[request], "feed %d: %s gets %s while it has another", no, request, crew)
			jobOf[crew], crewOf[request], had[pair] = request, crew, spell{from: *at}
			bound++
		case events.RequestReleased{}.EventType(), events.RequestFinished{}.EventType(), events.RequestCancelled{}.EventType():
			if crewOf[request] == "" {
				require.Equal(t, events.RequestCancelled{}.EventType(), kind, "feed %d: nobody had %s", no, request)
				continue
			}
			require.Equal(t, crewOf[request], crew, "feed %d: %s ends for another crew than had it", no, request)
			delete(jobOf, crew)
			delete(crewOf, request)
			if kind == (events.RequestReleased{}).EventType() {
				delete(had, pair)
			} else {
				had[pair] = spell{had[pair].from, *at}
			}
		case events.CrewArrived{}.EventType():
			// It may be proven only after the request was done or called off, when
			// its crew may have the next one, as long as it lies before that end.
			its, ok := had[pair]
			require.True(t, ok, "feed %d: %s by a crew that does not have it", no, kind)
			require.False(t, at.Before(its.from) || !its.to.IsZero() && at.After(its.to),
				"feed %d: %s at %s, but %s had %s from %s to %s", no, kind, at, crew, request, its.from, its.to)
		default: // only the crew that has it departs
			require.Equal(t, request, jobOf[crew], "feed %d: %s by a crew that does not have it", no, kind)
		}
	}
	require.NoError(t, rows.Err())
	require.Empty(t, jobOf, "every job has ended")
	require.Positive(t, bound)
	require.Zero(t, s.count(`SELECT count(*) FROM events.journal j WHERE j.data->>'reason' = 'swapped' AND NOT EXISTS (
		SELECT FROM events.journal o WHERE o.type = $1 AND o.data->>'request_id' = j.data->>'request_id'
		AND o.data->>'made_at' = coalesce(j.data->>'released_at', j.data->>'lapsed_at'))`, events.OfferMade{}.EventType()),
		"a request lost its crew to a swap and got no other at once")
	// In one look: the system is alive, and what it says in between is not numbered yet.
	require.Zero(t, s.count(`SELECT (max(feed_no) - count(feed_no))::int FROM events.journal`), "the feed has no gap")
	require.Zero(t, s.count(`SELECT count(*) FROM events.journal j WHERE feed_no IS NULL AND NOT EXISTS (
		SELECT FROM events.outbox o WHERE o.seq = j.seq)`), "an event that will never be numbered")
}

// promisesOnce: one guarantee per request, armed once, as it was shown; each
// late one compensated once, no other; the books balance.
func promisesOnce(t *testing.T, s *site, leastLate int) {
	t.Helper()
	none := func(what, sql string, args ...any) {
		t.Helper()
		require.Zero(t, s.count(`SELECT count(*) FROM (`+sql+`) AS wrong`, args...), what)
	}
	none("a request without its guarantee, or with another promise than was shown", `
		SELECT r.id FROM dispatch.requests r LEFT JOIN sla.guarantees g ON g.request_id = r.id
		WHERE g.promise_due_at IS DISTINCT FROM r.due_at`)
	none("a guarantee that was not armed exactly once", `
		SELECT g.id FROM sla.guarantees g LEFT JOIN events.journal j
			ON j.type = $1 AND (substr(j.data->>'guarantee_id', 5))::uuid = g.id
		GROUP BY g.id HAVING count(j.seq) <> 1`, events.GuaranteeArmed{}.EventType())
	none("a late guarantee without exactly one compensation of what is owed, or another with one", `
		SELECT g.id FROM sla.guarantees g LEFT JOIN sla.compensations c ON c.guarantee_id = g.id AND c.state <> 'void'
		GROUP BY g.id HAVING count(c.id) <> (g.owed_fen > 0)::int OR coalesce(sum(c.fen), 0) <> g.owed_fen`)
	none("a compensation accrued other than once", `
		SELECT c.id FROM sla.compensations c LEFT JOIN events.journal j
			ON j.type = $1 AND (substr(j.data->>'compensation_id', 5))::uuid = c.id
		GROUP BY c.id HAVING count(j.seq) <> 1`, events.CompensationAccrued{}.EventType())
	none("a guarantee late by another measure than its request", `
		SELECT g.id FROM sla.guarantees g JOIN dispatch.requests r ON r.id = g.request_id
		WHERE r.state = 'done' AND (g.outcome = 'late') <> (r.arrived_at > r.due_at)`)
	require.Zero(t, s.count(`SELECT coalesce(sum(fen), 0)::int FROM sla.ledger_entries`), "the ledger sums to zero")
	none("what is owed is not what the books say", `
		SELECT FROM (SELECT coalesce(sum(fen), 0) AS owed FROM sla.compensations WHERE state <> 'void') c,
			(SELECT coalesce(-sum(fen), 0) AS booked FROM sla.ledger_entries WHERE account = 'owner_payable') l
		WHERE owed <> booked`)
	late := s.count(`SELECT count(*) FROM sla.guarantees WHERE outcome = 'late'`)
	require.GreaterOrEqual(t, late, leastLate, "the test itself: some arrivals were to be late")
}

// requirePublished: the broker has every event of the journal.
func requirePublished(t *testing.T, s *site) {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), `SELECT event_id, topic FROM events.journal`)
	require.NoError(t, err)
	missing := map[string]string{}
	for rows.Next() {
		var id events.EventID
		var topic string
		require.NoError(t, rows.Scan(&id, &topic))
		missing[id.String()] = topic
	}
	require.NoError(t, rows.Err())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.records(ctx, []events.Topic{events.TopicRequests, events.TopicCrews, events.TopicPromises, events.TopicCompensations}, func(r *kgo.Record) bool {
		delete(missing, ceHeader(r, "ce_id"))
		return len(missing) > 0
	})
	require.Empty(t, missing, "in the journal and not on the broker")
}

// records reads topics from their beginning, as any Kafka client may, until
// each says that it has enough or ctx ends.
func (s *site) records(ctx context.Context, topics []events.Topic, each func(*kgo.Record) (more bool)) {
	s.t.Helper()
	var names []string
	for _, topic := range topics {
		names = append(names, s.kafka.Prefix+string(topic))
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.kafka.Brokers...), kgo.ConsumeTopics(names...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500*time.Millisecond))
	require.NoError(s.t, err)
	defer reader.Close()
	for {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		if slices.ContainsFunc(fetches.Records(), func(r *kgo.Record) bool { return !each(r) }) {
			return
		}
	}
}

func ceHeader(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
