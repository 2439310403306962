package events

// Topic is a Kafka topic of this system.
type Topic string

// The topics. Each event type belongs to one of them; its Stream method says
// which, and under what key.
const (
	TopicIntake        Topic = "rescue.intake.v1"        // requests from other backends; keyed as the sender likes
	TopicRequests      Topic = "rescue.requests.v1"      // a request's life, keyed by area: one matcher sees all that waits there
	TopicCrews         Topic = "rescue.crews.v1"         // positions and changes of crews, keyed by crew
	TopicPromises      Topic = "rescue.promises.v1"      // guarantees, keyed by request
	TopicCompensations Topic = "rescue.compensations.v1" // compensations, keyed by request
	TopicHistory       Topic = "rescue.history.v1"       // past rescues brought in from elsewhere, keyed by area; never live
)

// TopicSpec is how a topic is created.
type TopicSpec struct {
	Topic      Topic
	Partitions int32
	About      string
	// Expires marks a topic whose records may be dropped after a day. Only
	// positions may: their offsets are never committed by anybody who must
	// not miss one, and they would fill the disk.
	Expires bool
}

// Topics lists every topic with its partitions.
func Topics() []TopicSpec {
	return []TopicSpec{
		{TopicIntake, 12, "Rescue requests from other backends, in the same shape as POST /v1/requests.", false},
		{TopicRequests, 24, "What happens to a request, from opened to done.", false},
		{TopicCrews, 24, "Where crews are and what they can do.", true},
		{TopicPromises, 12, "Arrival guarantees: armed, at risk, breached, settled.", false},
		{TopicCompensations, 12, "Late-arrival compensation: accrued, approved, paid, void.", false},
		{TopicHistory, 6, "Past rescues brought in from other systems and simulations, for trials, reports and learning; never live.", false},
	}
}
