package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rescued/events"
	"rescued/internal/fault"
)

// Stats are the figures of the status line.
type Stats struct {
	Requests  int // ever opened
	Waiting   int // open, stranded or offered
	Stranded  int // of these, nobody can take them now
	Assigned  int // a crew is bound and not there yet
	OnScene   int
	Done      int
	Cancelled int

	// FirstOffers counts the first offers this process has made. OfferP50 and
	// OfferP99 are the wall time from opening a request to its first offer,
	// over the last thousand of them; 0 before the first.
	FirstOffers        int
	OfferP50, OfferP99 time.Duration
}

// Stats counts requests by state, and tells how fast this process offers.
func (s *Service) Stats(ctx context.Context) (st Stats, err error) {
	defer fault.Wrap(&err, "stats")
	counts, err := countStates(ctx, s.pool)
	if err != nil {
		return Stats{}, err
	}
	for state, n := range counts {
		st.Requests += n
		switch state {
		case RequestOpen, RequestOffered:
			st.Waiting += n
		case RequestStranded:
			st.Waiting += n
			st.Stranded = n
		case RequestAssigned, RequestEnRoute:
			st.Assigned += n
		case RequestOnScene:
			st.OnScene = n
		case RequestDone:
			st.Done = n
		case RequestCancelled:
			st.Cancelled = n
		}
	}
	st.FirstOffers, st.OfferP50, st.OfferP99 = s.meter.quantiles()
	return st, nil
}

// meter measures this process in wall time. It is safe for concurrent use.
type meter struct {
	offers prometheus.Histogram
	rounds prometheus.Histogram

	mu     sync.Mutex
	recent []time.Duration // the last recentOffers, as a ring
	count  int
}

const recentOffers = 1000

func newMeter(reg prometheus.Registerer) *meter {
	m := &meter{
		offers: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rescued_dispatch_offer_seconds", Help: "Wall time from opening a request to its first offer.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 16),
		}),
		rounds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rescued_dispatch_match_seconds", Help: "Wall time of one matching round that found something waiting.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.offers, m.rounds)
	}
	return m
}

func (m *meter) round(took time.Duration) { m.rounds.Observe(took.Seconds()) }

func (m *meter) offered(after []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range after {
		m.offers.Observe(d.Seconds())
		if len(m.recent) < recentOffers {
			m.recent = append(m.recent, d)
		} else {
			m.recent[m.count%recentOffers] = d
		}
		m.count++
	}
}

func (m *meter) quantiles() (count int, p50, p99 time.Duration) {
	m.mu.Lock()
	recent, count := slices.Clone(m.recent), m.count
	m.mu.Unlock()
	if len(recent) == 0 {
		return 0, 0, 0
	}
	slices.Sort(recent)
	rank := func(percent int) int { return (len(recent)*percent+99)/100 - 1 } // the nearest rank
	return count, recent[rank(50)], recent[rank(99)]
}

func countStates(ctx context.Context, db events.Querier) (map[RequestState]int, error) {
	counts := map[RequestState]int{}
	rows, err := db.Query(ctx, `SELECT state, count(*) FROM dispatch.requests GROUP BY state`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var state RequestState
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		counts[state] = n
	}
	return counts, rows.Err()
}
