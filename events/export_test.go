package events

import "github.com/twmb/franz-go/pkg/kgo"

// Doors for tests of the wire form.
var (
	OpenRecord = openRecord
	Enclose    = enclose
)

// Record writes the envelope as a Kafka record of its topic.
func (env Envelope) Record() *kgo.Record { return env.record(string(env.Topic)) }
