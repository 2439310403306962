package events

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/internal/pg"
)

// numberCommitted gives feed numbers to at most limit committed rows and
// reports how many.
//
// The row lock on events.feed makes this one at a time whoever calls, and the
// second statement's snapshot is taken under it, so numbers have no gap and a
// reader that sees number n sees all below n.
//
// Why ordering by seq keeps an aggregate's order although seq is drawn before
// commit: its second writer waits on its row until the first has committed,
// and only then draws. So either both are seen here, first before second, or
// the first alone. Rows of different aggregates may be numbered against seq:
//
//	T1 draws 7 · T2 draws 8, commits · numbering: 8 is 1st · T1 commits · numbering: 7 is 2nd
//
// A reader that remembered "I have seen 8" would have lost 7; one that
// remembers feed numbers loses nothing.
func numberCommitted(ctx context.Context, pool *pgxpool.Pool, limit int) (numbered int, err error) {
	err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		var last int64
		// These tables swing between empty and a long backlog, faster than
		// their statistics follow, and the planner then reads all of them for
		// each thousand. Walking the indexes is right in both states. What has
		// no index then counts as very dear, and must not be compiled for it.
		err := tx.QueryRow(ctx, `
			SELECT last_no FROM events.feed, LATERAL (SELECT
				set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
				set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
				set_config('jit', 'off', true)) AS walk
			FOR UPDATE OF feed`).Scan(&last)
		if err != nil {
			return fmt.Errorf("lock the feed: %w", err)
		}
		tag, err := tx.Exec(ctx, `
			WITH unnumbered AS (
				SELECT seq FROM events.outbox WHERE feed_no IS NULL ORDER BY seq LIMIT $2
			), next AS (
				SELECT seq, $1 + row_number() OVER (ORDER BY seq) AS feed_no FROM unnumbered
			), entry AS (
				UPDATE events.outbox o SET feed_no = next.feed_no FROM next WHERE o.seq = next.seq
			)
			UPDATE events.journal j SET feed_no = next.feed_no FROM next WHERE j.seq = next.seq`, last, limit)
		if err != nil {
			return fmt.Errorf("number the journal: %w", err)
		}
		if numbered = int(tag.RowsAffected()); numbered == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE events.feed SET last_no = $1`, last+int64(numbered)); err != nil {
			return fmt.Errorf("advance the feed: %w", err)
		}
		return nil
	})
	return numbered, err
}

// hasUnnumbered asks without a transaction or lock, so that an idle relay
// writes nothing.
func hasUnnumbered(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var some bool
	err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM events.outbox WHERE feed_no IS NULL)`).Scan(&some)
	return some, err
}

// outboxEntry is a numbered event that waits for the broker.
type outboxEntry struct {
	seq int64
	env Envelope
}

// listUnpublished is the lowest of what is numbered and not yet acknowledged.
// OFFSET 0 makes Postgres look up each row of the journal by its key, whatever
// its statistics say of the outbox.
func listUnpublished(ctx context.Context, db Querier, limit int) ([]outboxEntry, error) {
	rows, err := db.Query(ctx, `
		SELECT `+journalColumns+`, seq
		FROM (SELECT seq AS entry, feed_no AS place FROM events.outbox
		      WHERE feed_no IS NOT NULL ORDER BY feed_no LIMIT $1) o
		CROSS JOIN LATERAL (SELECT * FROM events.journal WHERE seq = o.entry OFFSET 0) j
		ORDER BY place`, limit)
	if err != nil {
		return nil, fmt.Errorf("list the outbox: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (outboxEntry, error) {
		var entry outboxEntry
		env, err := scanEnvelope(row, &entry.seq)
		entry.env = env
		return entry, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the outbox: %w", err)
	}
	return entries, nil
}

func deletePublished(ctx context.Context, db Querier, entries []outboxEntry) error {
	seqs := make([]int64, len(entries))
	for i, entry := range entries {
		seqs[i] = entry.seq
	}
	if _, err := db.Exec(ctx, `DELETE FROM events.outbox WHERE seq = ANY($1)`, seqs); err != nil {
		return fmt.Errorf("clear the outbox: %w", err)
	}
	return nil
}

// countOutbox is how many events wait for the broker.
func countOutbox(ctx context.Context, db Querier) (waiting int64, err error) {
	err = db.QueryRow(ctx, `SELECT count(*) FROM events.outbox`).Scan(&waiting)
	return waiting, err
}

// republishChunk bounds one transaction of Republish.
const republishChunk = 10_000

// Republish puts the journal's range of feed numbers from..to (both included)
// into the outbox again, for a broker that lost data. The relay sends it in
// feed order. Consumers that had it already do nothing with it. It reports
// how many events were put there.
func Republish(ctx context.Context, pool *pgxpool.Pool, from, to int64) (int, error) {
	latest, err := LatestFeedNo(ctx, pool)
	if err != nil {
		return 0, err
	}
	total := 0
	for from, to := max(from, 1), min(to, latest); from <= to; from += republishChunk {
		tag, err := pool.Exec(ctx, `
			INSERT INTO events.outbox (seq, feed_no)
			SELECT seq, feed_no FROM events.journal WHERE feed_no BETWEEN $1 AND $2
			ORDER BY feed_no
			ON CONFLICT (seq) DO NOTHING`, from, min(to, from+republishChunk-1))
		if err != nil {
			return total, fmt.Errorf("republish from %d: %w", from, err)
		}
		total += int(tag.RowsAffected())
	}
	return total, nil
}

// RepublishUnapplied puts into the outbox every event that some group among
// handlers has neither applied nor set aside: exactly what is lost to them
// when a broker comes back empty. The inbox is the record of what was
// applied, so nothing else need be sent, however long the journal is.
func RepublishUnapplied(ctx context.Context, pool *pgxpool.Pool, handlers []Handler) (int, error) {
	total := 0
	seen := map[subscription]bool{}
	for _, h := range handlers {
		sub := subscription{h.Group, h.Topic}
		if seen[sub] {
			continue
		}
		seen[sub] = true
		tag, err := pool.Exec(ctx, `
			INSERT INTO events.outbox (seq, feed_no)
			SELECT seq, feed_no FROM events.journal j
			WHERE topic = $1 AND feed_no IS NOT NULL
			  AND NOT EXISTS (SELECT FROM events.inbox i WHERE i.consumer_group = $2 AND i.event_id = j.event_id)
			  AND NOT EXISTS (SELECT FROM events.dead_letters d WHERE d.consumer_group = $2 AND d.event_id = j.event_id)
			ORDER BY feed_no
			ON CONFLICT (seq) DO NOTHING`, string(h.Topic), h.Group)
		if err != nil {
			return total, fmt.Errorf("republish %s for %s: %w", h.Topic, h.Group, err)
		}
		total += int(tag.RowsAffected())
	}
	return total, nil
}
