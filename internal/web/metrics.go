package web

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry is a registry that already watches the process and the Go
// runtime; slices add their own.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// meter counts and times exchanges.
type meter struct {
	took *prometheus.HistogramVec
	open prometheus.Gauge
}

func newMeter(r *prometheus.Registry) (*meter, error) {
	m := &meter{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rescued_http_request_duration_seconds",
			Help:    "Wall time from a request's headers to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rescued_http_requests_open",
			Help: "Requests being answered now, open streams included.",
		}),
	}
	for _, c := range []prometheus.Collector{m.took, m.open} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// methodLabel keeps a client from inventing label values.
func methodLabel(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "other"
}
