package events

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are this package's Prometheus collectors. A nil *Metrics counts
// nothing, so that tests and tools need none.
type Metrics struct {
	outbox    prometheus.Gauge
	numbered  prometheus.Counter
	published prometheus.Counter
	failures  prometheus.Counter
	lag       prometheus.Histogram
	handled   *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
}

// NewMetrics registers the collectors; nil means the default registry.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	if reg == nil {
		reg = prometheus.DefaultRegisterer
	}
	m := &Metrics{
		outbox: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rescued_outbox_events",
			Help: "Committed events the broker has not acknowledged yet."}),
		numbered: prometheus.NewCounter(prometheus.CounterOpts{Name: "rescued_feed_numbered_total",
			Help: "Events given their place in the journal's feed."}),
		published: prometheus.NewCounter(prometheus.CounterOpts{Name: "rescued_relay_published_total",
			Help: "Events the broker acknowledged, repeats included."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "rescued_relay_failures_total",
			Help: "Batches the relay could not publish and will send again."}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rescued_relay_batch_seconds",
			Help: "Wall time from reading an outbox batch to its removal.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rescued_events_handled_total",
			Help: "Records by consumer group, topic and outcome (applied, repeat, retry, dead)."}, []string{"group", "topic", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rescued_event_handle_seconds",
			Help: "Wall time to apply one record, its transaction included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"group", "topic"}),
	}
	reg.MustRegister(m.outbox, m.numbered, m.published, m.failures, m.lag, m.handled, m.seconds)
	return m
}

func (m *Metrics) setOutbox(n int64) {
	if m != nil {
		m.outbox.Set(float64(n))
	}
}

func (m *Metrics) addNumbered(n int) {
	if m != nil {
		m.numbered.Add(float64(n))
	}
}

func (m *Metrics) batch(n int, took time.Duration, err error) {
	switch {
	case m == nil:
	case err != nil:
		m.failures.Inc()
	default:
		m.published.Add(float64(n))
		m.lag.Observe(took.Seconds())
	}
}

// handle counts n records with one outcome; took is for all of them.
func (m *Metrics) handle(sub subscription, outcome string, n int, took time.Duration) {
	if m == nil {
		return
	}
	m.handled.WithLabelValues(sub.group, string(sub.topic), outcome).Add(float64(n))
	m.seconds.WithLabelValues(sub.group, string(sub.topic)).Observe(took.Seconds())
}
