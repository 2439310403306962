package dispatch

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// moment is by whom and when (business time) a transaction acts.
type moment struct {
	by events.Actor
	at time.Time
}

// lived is a row with a lifecycle.
type lived[E ~string] interface {
	// advance follows the lifecycle table, or refuses.
	advance(ev E) error
	note
}

// note is a row that can be saved as a new version of itself.
type note interface {
	// changed counts the version up and returns it.
	changed(at time.Time) int64
	// save writes the row over its previous version; false when that is gone.
	save(ctx context.Context, tx pgx.Tx) (bool, error)
	// facts is what every change of the row tells.
	facts(at time.Time) []events.Event
}

// step moves a row along its lifecycle, saves it over the version it was read
// in, and writes what happened to the journal and the outbox. Nothing else
// changes a state. It is called with the row locked, and rows are locked in
// one order everywhere: requests, crews, offers, each by ascending identifier.
func step[E ~string](ctx context.Context, tx pgx.Tx, m moment, row lived[E], ev E, evs ...events.Event) error {
	if err := row.advance(ev); err != nil {
		return err
	}
	return amend(ctx, tx, m, row, evs...)
}

// amend saves a change that leaves the state as it is.
func amend(ctx context.Context, tx pgx.Tx, m moment, row note, evs ...events.Event) error {
	version := row.changed(m.at)
	saved, err := row.save(ctx, tx)
	if err != nil {
		return err
	}
	if !saved {
		return ErrStale
	}
	return events.Append(ctx, tx, m.by, m.at, version, append(evs, row.facts(m.at)...)...)
}
