package dispatch

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

	// Offers counts the first offers this process has made; OfferP50 and
	// OfferP99 are the wall time from opening to first offer over the last
	// thousand of them, 0 before the first.
	Offers             int
	OfferP50, OfferP99 time.Duration
}

// meter measures this process in wall time.
type meter struct {
	mu     sync.Mutex
	recent []time.Duration // a ring
	offers int
}

func newMeter(prometheus.Registerer) *meter { return &meter{} }
