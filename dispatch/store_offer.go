package dispatch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

const offerColumns = `id, version, state, request_id, crew_id, round, made_at, expires_at, expected_at, travel_s, metres, why, ended_at, reason`

func scanOffer(row pgx.CollectableRow) (o Offer, err error) {
	var travel int
	err = row.Scan(&o.ID, &o.Version, &o.State, &o.Request, &o.Crew, &o.Round, &o.MadeAt, &o.ExpiresAt, &o.ExpectedAt,
		&travel, &o.Metres, &o.Why, &o.EndedAt, &o.Reason)
	o.Travel = time.Duration(travel) * time.Second
	utc(&o.MadeAt, &o.ExpiresAt, &o.ExpectedAt, o.EndedAt)
	return o, err
}

func insertOffer(ctx context.Context, tx pgx.Tx, o *Offer) error {
	_, err := tx.Exec(ctx, `INSERT INTO dispatch.offers (`+offerColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		o.ID, o.Version, o.State, o.Request, o.Crew, o.Round, o.MadeAt, o.ExpiresAt, o.ExpectedAt,
		int(o.Travel/time.Second), o.Metres, o.Why, o.EndedAt, o.Reason)
	return err
}

func (o *Offer) save(ctx context.Context, tx pgx.Tx) (bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE dispatch.offers SET state = $3, ended_at = $4, reason = $5, version = $2
		WHERE id = $1 AND version = $2 - 1`, o.ID, o.Version, o.State, o.EndedAt, o.Reason)
	return tag.RowsAffected() == 1, err
}

func selectOffer(ctx context.Context, db events.Querier, id events.OfferID) (Offer, error) {
	return one(ctx, db, scanOffer, ErrNoOffer, `SELECT `+offerColumns+` FROM dispatch.offers WHERE id = $1`, id)
}

func lockOffer(ctx context.Context, tx pgx.Tx, id events.OfferID) (Offer, error) {
	return one(ctx, tx, scanOffer, ErrNoOffer,
		`SELECT `+offerColumns+` FROM dispatch.offers WHERE id = $1 FOR NO KEY UPDATE`, id)
}

// selectPending finds the offer that is out for a request; the request's lock
// keeps it from changing.
func selectPending(ctx context.Context, tx pgx.Tx, id events.RequestID) (Offer, error) {
	return one(ctx, tx, scanOffer, ErrNoOffer,
		`SELECT `+offerColumns+` FROM dispatch.offers WHERE request_id = $1 AND state = 'pending'`, id)
}

// lockPendingOf locks the offers that are out for requests whose rows are
// locked, by ascending identifier.
func lockPendingOf(ctx context.Context, tx pgx.Tx, ids []events.RequestID) ([]Offer, error) {
	return many(ctx, tx, scanOffer, `SELECT `+offerColumns+` FROM dispatch.offers
		WHERE request_id = ANY($1) AND state = 'pending' ORDER BY id FOR NO KEY UPDATE`, ids)
}

// listRunOut is the pending offers whose time was up by now, oldest first.
func listRunOut(ctx context.Context, db events.Querier, now time.Time, limit int) ([]events.OfferID, error) {
	return many(ctx, db, pgx.RowTo[events.OfferID], `SELECT id FROM dispatch.offers
		WHERE state = 'pending' AND expires_at <= $1 ORDER BY expires_at, id LIMIT $2`, now, limit)
}

// listOffersOf is a crew's pending offer and its last answered ones, newest first.
func listOffersOf(ctx context.Context, db events.Querier, crew events.CrewID, limit int) ([]Offer, error) {
	return many(ctx, db, scanOffer, `SELECT `+offerColumns+` FROM dispatch.offers
		WHERE crew_id = $1 AND state = 'pending' ORDER BY made_at DESC LIMIT $2`, crew, limit)
}

// asked is one crew that has had an offer for a request.
type asked struct {
	request events.RequestID
	crew    events.CrewID
}

// listAsked is who has had an offer for any of the requests.
func listAsked(ctx context.Context, db events.Querier, ids []events.RequestID) ([]asked, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (a asked, err error) {
		err = row.Scan(&a.request, &a.crew)
		return a, err
	}, `SELECT request_id, crew_id FROM dispatch.offers WHERE request_id = ANY($1)`, ids)
}

// ordered is an identifier: rows of one kind are locked in its order.
type ordered[K any] interface {
	comparable
	Compare(K) int
}

func sortedKeys[K ordered[K], V any](m map[K]V) []K {
	return slices.SortedFunc(maps.Keys(m), K.Compare)
}

// texts turns states into text for an array argument, never nil.
func texts[T ~string](of []T) []string {
	out := make([]string, len(of))
	for i, w := range of {
		out[i] = string(w)
	}
	return out
}

// pageSize bounds a page.
func pageSize(limit int) int {
	if limit <= 0 {
		return 50
	}
	return min(limit, 200)
}
