package dispatch

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
)

// one reads the single row of a query; without a row the error is none.
func one[T any](ctx context.Context, db events.Querier, scan pgx.RowToFunc[T], none *fault.Error, sql string, args ...any) (T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		var zero T
		return zero, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, none
	}
	return row, err
}

// many reads every row of a query.
func many[T any](ctx context.Context, db events.Querier, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// utc turns times, as the driver reads them, into UTC.
func utc(times ...*time.Time) {
	for _, t := range times {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// actorText stores an actor as role:subject.
type actorText struct{ a *events.Actor }

// Scan implements sql.Scanner.
func (t actorText) Scan(src any) (err error) {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("an actor stored as %T", src)
	}
	*t.a, err = events.ParseActor(s)
	return err
}

// Value implements driver.Valuer.
func (t actorText) Value() (driver.Value, error) { return t.a.String(), nil }

// capabilityBits stores a set as the signed integer of the same bits.
type capabilityBits struct{ c *geo.Capabilities }

// Scan implements sql.Scanner.
func (b capabilityBits) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("capabilities stored as %T", src)
	}
	*b.c = geo.Capabilities(n)
	return nil
}

// Value implements driver.Valuer.
func (b capabilityBits) Value() (driver.Value, error) { return int64(*b.c), nil }

// nullText stores the empty text as NULL.
type nullText struct{ s *string }

// Scan implements sql.Scanner.
func (t nullText) Scan(src any) error {
	*t.s, _ = src.(string)
	return nil
}

// Value implements driver.Valuer.
func (t nullText) Value() (driver.Value, error) {
	if *t.s == "" {
		return nil, nil
	}
	return *t.s, nil
}

// evidenceJSON stores the evidence of an arrival as JSON.
type evidenceJSON struct{ e *events.ArrivalEvidence }

// Scan implements sql.Scanner.
func (j evidenceJSON) Scan(src any) error {
	*j.e = events.ArrivalEvidence{}
	switch v := src.(type) {
	case string:
		return json.Unmarshal([]byte(v), j.e)
	case []byte:
		return json.Unmarshal(v, j.e)
	}
	return fmt.Errorf("evidence stored as %T", src)
}

// Value implements driver.Valuer.
func (j evidenceJSON) Value() (driver.Value, error) {
	b, err := json.Marshal(j.e)
	return string(b), err
}
