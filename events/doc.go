// Package events carries facts between the slices, and out to whoever reads
// Kafka: typed payloads, their journal in Postgres, and the way to the topics
// and back.
//
//	Append ─ journal + outbox, in the caller's transaction
//	   │
//	Relay ── numbers what has committed (feed_no, gapless) ──► FeedTail: consoles, without Kafka
//	   │
//	   └──── publishes it, at least once ──► Kafka ──► Runner ─ inbox + handler, in one transaction
//	                                            ▲  └─► Tail: every replica reads all, no group
//	Publisher ─ positions, straight ────────────┘
//
// What a reader may rely on: an event is published if and only if its
// transaction committed; it may come more than once and is applied once per
// consumer group; events of one aggregate come in the order of their commits.
// With Kafka away nothing is lost and the feed stays live. A record that no
// retry can mend is set aside as a dead letter and its partition goes on.
//
// Times in envelopes are business time, UTC, in microseconds. Limits, retries
// and dead letters use wall time.
package events
