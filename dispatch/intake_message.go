package dispatch

import "rescued/events"

// IntakeMessage describes what other backends send to the intake topic, for
// the AsyncAPI document.
func IntakeMessage() events.Message {
	return events.Message{
		Name: "RequestSubmitted", Type: IntakeType, Topic: events.TopicIntake, Foreign: true, Payload: NewRequest{},
		About: "A request for help from another backend, in the shape of the body of POST /v1/requests. " +
			"ce_id is its idempotency key; ce_source names the partner as /partners/ptn_…, or else whoever sends. " +
			"Both come back as intake_id and source: in cn.rescue.request.opened.v1, or in cn.rescue.request.refused.v1, " +
			"which names every wrong field.",
	}
}
