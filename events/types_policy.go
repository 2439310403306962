package events

import "time"

// PolicyChanged: a version of a promise policy was added, or activated by a
// second person, from when on requests may be promised under it. The document
// itself is at GET /v1/policies/{name}/{version}.
type PolicyChanged struct {
	Policy        string     `json:"policy"`
	PolicyVersion int        `json:"policy_version"`
	State         string     `json:"state"`  // added or activated
	Digest        string     `json:"digest"` // SHA-256 of the document, in hexadecimal
	EffectiveFrom *time.Time `json:"effective_from,omitempty"`
	EffectiveTo   *time.Time `json:"effective_to,omitempty"`
	ChangedAt     time.Time  `json:"changed_at"`
	Reason        string     `json:"reason,omitempty"` // of an activation
}

// EventType is the CloudEvents type.
func (PolicyChanged) EventType() string { return "cn.rescue.policy.changed.v1" }

// Stream is the topic of promises, keyed by policy.
func (e PolicyChanged) Stream() (Topic, string) { return TopicPromises, e.Policy }

// Subject is the policy, by its name.
func (e PolicyChanged) Subject() string { return e.Policy }
