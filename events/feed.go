package events

import (
	"context"
	"fmt"
)

// ReadFeed is the journal after a feed number, in feed order, at most limit
// events. The numbers have no gap: a short answer is the end for now, and the
// last FeedNo is where to go on.
func ReadFeed(ctx context.Context, db Querier, after int64, limit int) ([]Envelope, error) {
	return readJournal(ctx, db, `WHERE feed_no > $1 ORDER BY feed_no LIMIT $2`, after, limit)
}

// LatestFeedNo is the highest feed number given so far, 0 for none.
func LatestFeedNo(ctx context.Context, db Querier) (int64, error) {
	var last int64
	if err := db.QueryRow(ctx, `SELECT last_no FROM events.feed`).Scan(&last); err != nil {
		return 0, fmt.Errorf("read the feed's end: %w", err)
	}
	return last, nil
}
