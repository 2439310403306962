package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// businessClock is the one clock that every business time and timeout comes
// from. In production it is the wall clock in UTC, to the microsecond. The
// demonstration may run it faster, so that a 45-minute promise lasts 45 s.
type businessClock struct {
	mu       sync.Mutex
	business time.Time // business time at wall
	wall     time.Time // with its monotonic reading
	speed    float64
}

// wallClock is the production clock.
func wallClock() *businessClock {
	now := time.Now()
	return &businessClock{business: now, wall: now, speed: 1}
}

// fastClock starts at from, or at the wall time if that is later, and runs
// speed times as fast as the wall. It never goes back over a restart: the
// caller passes the latest business time that anything was recorded at.
func fastClock(from time.Time, speed float64) *businessClock {
	c := wallClock()
	c.speed = speed
	if from.After(c.business) {
		c.business = from
	}
	return c
}

// Now is the business time: UTC, microseconds.
func (c *businessClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := time.Duration(float64(time.Since(c.wall)) * c.speed)
	return c.business.Add(since).UTC().Truncate(time.Microsecond)
}

// Speed is how many business seconds pass in one wall second.
func (c *businessClock) Speed() float64 { return c.speed }

// The demonstration's clock stands still while the system is down, so that a
// night's pause does not break every promise. Its reading is kept in a table
// of its own, once a wall second.
const (
	createClock = `CREATE SCHEMA IF NOT EXISTS dev;
		CREATE TABLE IF NOT EXISTS dev.clock (one boolean PRIMARY KEY DEFAULT true CHECK (one), business_at timestamptz NOT NULL)`
	readClock = `SELECT greatest(
		(SELECT max(business_at) FROM dev.clock),
		(SELECT max(at) FROM events.journal))`
	saveClock = `INSERT INTO dev.clock (business_at) VALUES ($1)
		ON CONFLICT (one) DO UPDATE SET business_at = greatest(dev.clock.business_at, excluded.business_at)`
)

// resumeClock goes on from where the demonstration's clock stood.
func resumeClock(ctx context.Context, pool *pgxpool.Pool, speed float64) (*businessClock, error) {
	if _, err := pool.Exec(ctx, createClock); err != nil {
		return nil, fmt.Errorf("create the demonstration clock: %w", err)
	}
	var last *time.Time
	if err := pool.QueryRow(ctx, readClock).Scan(&last); err != nil {
		return nil, fmt.Errorf("read the demonstration clock: %w", err)
	}
	if last == nil {
		return fastClock(time.Time{}, speed), nil
	}
	return fastClock(last.Add(time.Microsecond), speed), nil
}

// keepClock records the clock's reading every wall second until ctx ends.
func keepClock(ctx context.Context, pool *pgxpool.Pool, c *businessClock, log *slog.Logger) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := pool.Exec(ctx, saveClock, c.Now()); err != nil && ctx.Err() == nil {
			log.Warn("the demonstration clock was not recorded", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
