package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"

	"rescued/geo"
)

// roadMeter shows where travel times come from and how far off the model was.
// It reads what is counted elsewhere, when asked.
type roadMeter struct {
	travel *geo.Routed
	learn  *learner
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("rescued_travel_"+name, help, labels, nil)
}

var (
	roadFigures  = desc("figures_total", "Travel times used, by who gave them and why not the engine.", "source")
	roadCalls    = desc("engine_calls_total", "Questions to the routing engine, answered or not.")
	roadSeconds  = desc("engine_seconds_total", "Wall time spent waiting for the routing engine.")
	roadFailures = desc("engine_failures_total", "Questions that gave nothing, by reason.", "reason")
	roadBreaker  = desc("engine_resting", "1 while the routing engine is left alone after failures.")
	roadKept     = desc("kept_pairs", "Pairs of cells whose figures are kept.")
	roadDrives   = desc("learned_drives", "Finished drives of the last 90 days, by road class.", "road_class")
	roadPassed   = desc("passed_drives", "Finished drives nothing was learned from, by reason.", "reason")
	roadMedian   = desc("error_median_seconds", "Median size of the error of the predicted drive.", "road_class", "model")
	roadBias     = desc("error_bias_seconds", "Mean of predicted minus actual drive: above 0 is predicted too long.", "road_class", "model")
	roadWithin   = desc("error_within_10min_ratio", "Share of drives predicted to within 10 minutes.", "road_class", "model")
)

// Describe implements prometheus.Collector.
func (m roadMeter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		roadFigures, roadCalls, roadSeconds, roadFailures, roadBreaker, roadKept,
		roadDrives, roadPassed, roadMedian, roadBias, roadWithin,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m roadMeter) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	stats := m.travel.Stats()
	for source, n := range stats.Figures {
		send(roadFigures, prometheus.CounterValue, float64(n), source.String())
	}
	if m.travel.Engine() != "" {
		send(roadCalls, prometheus.CounterValue, float64(stats.EngineCalls))
		send(roadSeconds, prometheus.CounterValue, stats.EngineTime.Seconds())
		for why, n := range stats.Failures {
			send(roadFailures, prometheus.CounterValue, float64(n), string(why))
		}
		resting := 0.0
		if stats.BreakerOpen {
			resting = 1
		}
		send(roadBreaker, prometheus.GaugeValue, resting)
		send(roadKept, prometheus.GaugeValue, float64(stats.Kept))
	}
	report := m.learn.now.Load().report
	for why, n := range report.NotLearned {
		send(roadPassed, prometheus.GaugeValue, float64(n), why)
	}
	for _, row := range report.Errors {
		class := string(row.Class)
		send(roadDrives, prometheus.GaugeValue, float64(row.Jobs), class)
		if row.Jobs == 0 {
			continue
		}
		for model, f := range map[string]geo.ErrorFigures{"straight_line": row.Before, "learned": row.After} {
			send(roadMedian, prometheus.GaugeValue, f.MedianAbs, class, model)
			send(roadBias, prometheus.GaugeValue, f.Bias, class, model)
			send(roadWithin, prometheus.GaugeValue, f.Within10, class, model)
		}
	}
}
