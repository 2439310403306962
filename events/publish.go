package events

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/internal/fault"
)

// ErrBrokerAway is the fault of a publication the broker did not take.
var ErrBrokerAway = &fault.Error{
	Kind: fault.Busy, Code: "broker_away", RetryAfter: 5 * time.Second,
	Detail: "The event broker does not answer; try again in a few seconds.",
}

// publishLimit bounds Publish, in wall time: a device waits for the answer.
const publishLimit = 2 * time.Second

// Publisher sends crew positions straight to their topic, without journal or
// outbox: a lost fix is made good by the next one. It is safe for concurrent
// use.
type Publisher struct {
	cfg    ClientConfig
	client *kgo.Client
}

// NewPublisher makes a publisher; it connects at first use. Close it.
func NewPublisher(cfg ClientConfig) (*Publisher, error) {
	client, err := cfg.connect(producerOptions(publishLimit)...)
	if err != nil {
		return nil, fmt.Errorf("connect the publisher: %w", err)
	}
	return &Publisher{cfg: cfg, client: client}, nil
}

// Close gives up what is still unsent.
func (p *Publisher) Close() { p.client.Close() }

// Publish sends positions, each as its crew's own word at the time of its
// fix, and waits for the broker at most about two seconds. ErrBrokerAway
// (fault.Busy) means that some or all may be missing on the topic.
func (p *Publisher) Publish(ctx context.Context, positions ...CrewPositioned) error {
	records := make([]*kgo.Record, len(positions))
	for i, position := range positions {
		env, err := enclose(Actor{RoleCrew, position.CrewID.String()}, position.FixedAt, 0, position)
		if err != nil {
			return err
		}
		records[i] = env.record(p.cfg.topic(env.Topic))
	}
	err := produceAll(ctx, p.client, records, publishLimit)
	if err != nil && ctx.Err() == nil {
		return ErrBrokerAway.Because(err)
	}
	return err
}
