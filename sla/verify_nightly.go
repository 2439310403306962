package sla

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rescued/internal/pg"
)

// verifyHour is when the books are verified, in the business zone: few
// rescues are under way then.
const verifyHour = 3

// nights verifies every night until ctx ends, in one replica at a time. A
// difference is an error in the log and a figure in the metrics; nothing is
// mended by itself.
func (s *Service) nights(ctx context.Context) error {
	for {
		timer := time.NewTimer(time.Until(nextNight(time.Now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := s.VerifyOnce(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("the nightly verification did not finish; rescued verify does it by hand", "error", err)
		}
	}
}

// nextNight is the next verifyHour after a moment.
func nextNight(now time.Time) time.Time {
	local := now.In(businessZone)
	night := time.Date(local.Year(), local.Month(), local.Day(), verifyHour, 0, 0, 0, businessZone)
	if !night.After(now) {
		night = night.AddDate(0, 0, 1)
	}
	return night
}

// VerifyOnce verifies as the nightly run does: it logs each difference, and
// sets rescued_verify_differences and rescued_verify_finished_timestamp_seconds.
// It does nothing while another replica is at it.
func (s *Service) VerifyOnce(ctx context.Context) error {
	lock, ok, err := pg.TryLock(ctx, s.pool, "sla verify")
	if err != nil || !ok {
		return err
	}
	defer lock.Release()
	began, found := time.Now(), 0
	_, err = s.Verify(lock.Context(), Verify{Found: func(d Discrepancy) {
		found++
		s.cfg.Log.Error("verification: what is stored is not what the journal says", "difference", d.String())
	}})
	if err != nil {
		return err
	}
	s.cfg.Log.Info("verified", "differences", found, "took", time.Since(began).Round(time.Millisecond))
	s.meter("rescued_verify_differences", "Differences the last nightly verification found.").Set(float64(found))
	s.meter("rescued_verify_finished_timestamp_seconds", "When this replica last finished a nightly verification.").SetToCurrentTime()
	return nil
}

// meter gives a gauge that is registered when it is first set: a replica that
// never verified must not say that there were no differences.
func (s *Service) meter(name, help string) prometheus.Gauge {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	if s.cfg.Meters == nil {
		return gauge
	}
	if err := s.cfg.Meters.Register(gauge); err != nil {
		if was, ok := err.(prometheus.AlreadyRegisteredError); ok {
			return was.ExistingCollector.(prometheus.Gauge)
		}
		s.cfg.Log.Warn("a meter cannot be registered", "meter", name, "error", err)
	}
	return gauge
}
