package events

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// takeBatch hands the records of all a topic's partitions to the batch's
// handler at once. A failure that may mend holds all of them.
func (c *consumer) takeBatch(ctx context.Context, w *work, parts map[place]*held) {
	if len(parts) == 0 || ctx.Err() != nil {
		return
	}
	err := c.applyBatch(ctx, w, parts)
	for at, h := range parts {
		if err != nil {
			c.hold(w, at, h.records, h.failures+1, err)
			continue
		}
		c.client.MarkCommitRecords(h.records...)
		c.free(at, h)
	}
}

// applyBatch tries all readable records together and, when that fails for
// good, each alone, so that one bad event does not take the others with it.
func (c *consumer) applyBatch(ctx context.Context, w *work, parts map[place]*held) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handleLimit)
	defer cancel()
	var (
		envs    []Envelope
		records []*kgo.Record
	)
	for _, h := range parts {
		for _, r := range h.records {
			env, err := openRecord(w.sub.topic, r)
			if err != nil {
				if err := c.setAside(ctx, w, r, env.ID, err); err != nil {
					return err
				}
				c.metrics.handle(w.sub, "dead", 1, 0)
				continue
			}
			envs, records = append(envs, env), append(records, r)
		}
	}
	if len(envs) == 0 {
		return nil
	}
	err := guard(func() error { return w.batch(ctx, envs) })
	if err == nil || transient(err) {
		c.metrics.handle(w.sub, outcomeOf(err), len(envs), time.Since(began))
		return err
	}
	for i := range envs {
		err := guard(func() error { return w.batch(ctx, envs[i:i+1]) })
		if err != nil && transient(err) {
			return err
		}
		outcome := outcomeOf(err)
		if err != nil {
			outcome = "dead"
			if err := c.setAside(ctx, w, records[i], envs[i].ID, err); err != nil {
				return err
			}
		}
		c.metrics.handle(w.sub, outcome, 1, 0)
	}
	return nil
}

func outcomeOf(err error) string {
	if err != nil {
		return "retry"
	}
	return "applied"
}
