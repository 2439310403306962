package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// positionLife is how long the topic of positions keeps its records.
	positionLife = 24 * time.Hour
	adminLimit   = 10 * time.Second
)

// TopicState is what EnsureTopics found or did.
type TopicState struct {
	Topic      Topic
	Name       string // at the broker, with the prefix
	Partitions int32  // as it stands
	Created    bool   // by this call
	Mend       string // what to change by hand; empty when all is well
}

// TopicLimits are the settings of new topics that depend on the broker.
type TopicLimits struct {
	// Replicas is the replication factor; 0 is the broker's default.
	Replicas int16
	// PositionBytes bounds each partition of the topic of positions, besides
	// its age; 0 leaves it to age alone.
	PositionBytes int64
}

// EnsureTopics creates the topics that are missing and reports on all, in the
// order of Topics. What exists is never changed: a topic with fewer
// partitions than wanted works, and one made larger would part a key's
// events.
func EnsureTopics(ctx context.Context, cfg ClientConfig, limits TopicLimits) ([]TopicState, error) {
	replicas := limits.Replicas
	if replicas == 0 {
		replicas = -1
	}
	states, err := topicStates(ctx, cfg, func(ctx context.Context, admin *kadm.Client, spec TopicSpec, name string) error {
		ctx, cancel := context.WithTimeout(ctx, adminLimit)
		defer cancel()
		_, err := admin.CreateTopic(ctx, spec.Partitions, replicas, spec.config(limits), name)
		if errors.Is(err, kerr.TopicAlreadyExists) { // another replica was quicker
			return nil
		}
		return err
	})
	if err != nil || !slices.ContainsFunc(states, func(s TopicState) bool { return s.Created }) {
		return states, err
	}
	return states, awaitTopics(ctx, cfg)
}

// awaitTopics waits until the broker shows every topic: it answers that one is
// created before all its own nodes know of it.
func awaitTopics(ctx context.Context, cfg ClientConfig) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	for {
		states, err := CheckTopics(ctx, cfg)
		if err == nil && !slices.ContainsFunc(states, func(s TopicState) bool { return s.Partitions == 0 }) {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("the broker does not show the topics it created within %s", adminLimit), err)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// CheckTopics is EnsureTopics without creating anything: a missing topic has
// its Mend.
func CheckTopics(ctx context.Context, cfg ClientConfig) ([]TopicState, error) {
	return topicStates(ctx, cfg, nil)
}

// config is a topic's settings. Only positions expire; everything else a
// group may still have to read, and its size is that of the rescues.
func (spec TopicSpec) config(limits TopicLimits) map[string]*string {
	settings := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1"}
	if spec.Expires {
		settings["retention.ms"] = strconv.FormatInt(positionLife.Milliseconds(), 10)
		if n := limits.PositionBytes; n > 0 {
			settings["retention.bytes"] = strconv.FormatInt(n, 10)
			// Only whole segments are ever deleted.
			settings["segment.bytes"] = strconv.FormatInt(max(n/8, 1<<20), 10)
		}
	}
	config := make(map[string]*string, len(settings))
	for name, value := range settings {
		config[name] = &value
	}
	return config
}

func topicStates(ctx context.Context, cfg ClientConfig, create func(context.Context, *kadm.Client, TopicSpec, string) error) ([]TopicState, error) {
	client, err := cfg.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var names []string
	for _, spec := range Topics() {
		names = append(names, cfg.topic(spec.Topic))
	}
	bounded, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	found, err := admin.ListTopics(bounded, names...)
	switch {
	// Some brokers only hang up on a wrong password.
	case errors.Is(err, kerr.SaslAuthenticationFailed), cfg.SASLMechanism != "" && errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the Kafka broker at %v refuses the user %q, correct the user, the mechanism or the password file: %w", cfg.Brokers, cfg.SASLUser, err)
	case err != nil:
		return nil, fmt.Errorf("the Kafka broker at %v does not answer, start it or correct its address: %w", cfg.Brokers, err)
	}
	var states []TopicState
	for _, spec := range Topics() {
		state := TopicState{Topic: spec.Topic, Name: cfg.topic(spec.Topic)}
		detail := found[state.Name]
		switch {
		case detail.Err == nil && detail.Topic != "":
			state.Partitions = int32(len(detail.Partitions))
			if state.Partitions < spec.Partitions {
				state.Mend = fmt.Sprintf("has %d partitions, %d are wanted for full parallelism; recreate it while it is empty", state.Partitions, spec.Partitions)
			}
		case detail.Err != nil && !errors.Is(detail.Err, kerr.UnknownTopicOrPartition):
			return states, fmt.Errorf("look at topic %s: %w", state.Name, detail.Err)
		case create == nil:
			state.Mend = "does not exist; run rescued topics"
		default:
			if err := create(ctx, admin, spec, state.Name); err != nil {
				return states, fmt.Errorf("create topic %s: %w", state.Name, err)
			}
			state.Created, state.Partitions = true, spec.Partitions
		}
		states = append(states, state)
	}
	return states, nil
}
