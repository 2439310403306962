package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// producerOptions are for clients that write.
//
// They are not idempotent, on purpose: an idempotent record cannot be given
// up once it may have been sent, so with the broker away a wait has no end.
// A retry may then repeat a record; every reader here tells a repeat by its
// identifier. One request in flight per broker, which kgo then enforces,
// keeps the order within a partition across retries.
func producerOptions(limit time.Duration) []kgo.Opt {
	return []kgo.Opt{
		kgo.DisableIdempotentWrite(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.RecordDeliveryTimeout(limit),
		kgo.ProduceRequestTimeout(limit),
		kgo.RequestTimeoutOverhead(limit),
		kgo.MaxBufferedRecords(20_000),
	}
}

// errAckLate means that the broker was silent for the whole limit.
var errAckLate = errors.New("the broker did not acknowledge in time")

// produceAll sends records in order and waits until every one of them is
// acknowledged or failed, at most limit: kgo's own wait can outlast its
// context while the broker is away. After errAckLate some records may still
// be in the client, which should be closed.
func produceAll(ctx context.Context, client *kgo.Client, records []*kgo.Record, limit time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var (
		mu    sync.Mutex
		first error
		left  = len(records)
		done  = make(chan struct{})
	)
	if left == 0 {
		return nil
	}
	for _, r := range records {
		client.TryProduce(bounded, r, func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil && first == nil {
				first = fmt.Errorf("produce to %s: %w", r.Topic, err)
			}
			if left--; left == 0 {
				close(done)
			}
		})
	}
	// A grace beyond the records' own deadline, for their failures to arrive.
	timer := time.NewTimer(limit + limit/4)
	defer timer.Stop()
	select {
	case <-done:
		return first
	case <-timer.C:
		return errAckLate
	case <-ctx.Done():
		return ctx.Err()
	}
}
