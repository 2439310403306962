package traffic

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"rescued/geo"
)

//go:embed data/montgomery_2016-02-24.csv.gz
var stormDay []byte

// StormDay is the calls of 24 February 2016, as they were made.
func StormDay() ([]Call, error) {
	z, err := gzip.NewReader(bytes.NewReader(stormDay))
	if err != nil {
		return nil, err
	}
	calls, bad, err := parseDemand(z, Selection{})
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("the built-in demand file has a bad row at line %d: %s", bad[0].Line, bad[0].Why)
	}
	return calls, err
}

const (
	demoCrews = 300
	// demoFrom is when the demonstration's day starts: four hours before the
	// storm's worst hour, so that something happens at once and builds up.
	demoFrom = 16 * time.Hour
)

// demoCity is Chengdu's centre (WGS-84): inland, with roads on every side, as
// wide as the county the calls come from.
var demoCity = geo.Point{Lat: 30.6598, Lng: 104.0633}

// Demo plays the storm day round and round on a Chinese city until ctx ends:
// its calls as they stand, their spacing in time and place kept, and 300 crews.
// Each day brings other cars.
func Demo(ctx context.Context, base, adminToken, partnerToken string, log *slog.Logger) error {
	calls, err := StormDay()
	if err != nil {
		return err
	}
	calls = RoundTheClock(Moved(calls, demoCity), demoFrom)
	api := NewAPI(base, adminToken)
	clock, err := NewClock(ctx, api)
	if err != nil {
		return err
	}
	around := make([]geo.Point, len(calls))
	for i, c := range calls {
		around[i] = c.At
	}
	fleet, err := Muster(ctx, api, clock, Plan{Key: "demo", Provider: "演示救援", Crews: demoCrews, Around: around, Plate: "川A救", Seed: 45}, log)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { clock.Keep(ctx); return nil })
	g.Go(func() error { return fleet.Run(ctx) })
	g.Go(func() error {
		// Started on another day of the business calendar, a run has cars of its own.
		for round := int(clock.Now().Unix()); ctx.Err() == nil; round++ {
			s := &Stream{API: api.As(partnerToken), Clock: clock, Calls: calls, Plate: "川A", Round: round}
			if err := s.Run(ctx); err != nil {
				return err
			}
			log.Info("a day of the demonstration is over", "rows", len(s.Rows()))
		}
		return nil
	})
	return g.Wait()
}
