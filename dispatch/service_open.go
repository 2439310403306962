package dispatch

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// intake is the actor of what comes in over the intake topic without naming a
// partner.
var intake = events.System("intake")

// Open opens a request: for the owner who asks, or for an owner by a partner,
// an operator or the intake. The promise it answers with is pinned.
//
// Errors: fault.Invalid with every wrong field; ErrOutside; ErrPlateOpen with
// request_id; ErrKeyReused; ErrForbidden. The same key and input again give
// the request as it is now, with Replayed set.
func (s *Service) Open(ctx context.Context, by events.Actor, in NewRequest) (r Request, err error) {
	defer fault.Wrap(&err, "open")
	if !by.Is(events.RoleOwner, events.RolePartner, events.RoleOperator, events.RoleAdmin, events.RoleSystem) {
		return Request{}, ErrForbidden
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		r, err = s.openIn(ctx, tx, by, in)
		return err
	})
	if err != nil {
		return Request{}, err
	}
	if !r.Replayed {
		s.cfg.Wake()
		s.queue.put(r.Area)
	}
	return r, nil
}

// openIn opens a request in a transaction of the caller's. When it refuses,
// the transaction is still good.
func (s *Service) openIn(ctx context.Context, tx pgx.Tx, by events.Actor, in NewRequest) (Request, error) {
	r, err := in.Check()
	if err != nil {
		return Request{}, err
	}
	if err := introduce(ctx, tx, by, &r); err != nil {
		return Request{}, err
	}
	if was, found, err := replayed(ctx, tx, by, r.key); err != nil || found {
		return was, err
	}
	place, err := s.locate(r.Place.Point)
	if err != nil {
		return Request{}, err
	}
	now := s.now()
	r.ID, r.Version, r.State = events.NewID[events.RequestID](), 1, RequestOpen
	r.Area, r.AreaName, r.Tier = place.Area.ID, place.Area.Name, place.Tier
	r.OpenedBy, r.OpenedAt, r.ChangedAt, r.walls.opened = by, now, now, wallNow()
	if r.Code, err = newCode(); err != nil {
		return Request{}, err
	}
	r.Promise, err = s.cfg.Promiser.Promise(ctx, tx, events.PromiseFacts{
		At: now, Area: string(r.Area), Tier: string(r.Tier), RoadClass: string(r.Road),
		Problem: string(r.Problem), Priority: int(r.Priority), PartnerID: r.Partner, Product: r.Product,
	})
	if err != nil {
		return Request{}, fmt.Errorf("ask for the promise: %w", err)
	}
	inserted, err := insertRequest(ctx, tx, &r)
	if err != nil {
		return Request{}, err
	}
	if !inserted {
		return alreadyThere(ctx, tx, by, &r)
	}
	opened := r.opened()
	opened.VehicleKey = s.vehicleKey(r.Vehicle.Plate)
	if in.intake != nil {
		opened.IntakeID, opened.Source = in.intake.id, in.intake.source
	}
	return r, events.Append(ctx, tx, by, now, r.Version, opened)
}

// alreadyThere says why a request could not be inserted: its key has just
// opened one, in a transaction that ran beside this one, or its plate has one
// open.
func alreadyThere(ctx context.Context, tx pgx.Tx, by events.Actor, r *Request) (Request, error) {
	if was, found, err := replayed(ctx, tx, by, r.key); err != nil || found {
		return was, err
	}
	id, err := selectOpenOfPlate(ctx, tx, r.Vehicle.Plate)
	if errors.Is(err, ErrNoRequest) {
		return Request{}, &fault.Error{Kind: fault.Busy, Code: "plate_just_closed", RetryAfter: time.Second,
			Detail: "This plate's request has just closed; send it again."}
	}
	if err != nil {
		return Request{}, err
	}
	return Request{}, ErrPlateOpen.With("request_id", id)
}

func (r *Request) opened() events.RequestOpened {
	e := events.RequestOpened{
		RequestID: r.ID, Area: string(r.Area), Tier: string(r.Tier), OpenedAt: r.OpenedAt, Priority: int(r.Priority),
		Problem: string(r.Problem), Capabilities: CapabilityNames(r.Need), Location: latLng(r.Place.Point),
		RoadClass: string(r.Road), Promise: r.Promise, PartnerRef: r.PartnerRef, Product: r.Product,
	}
	if !r.Partner.IsZero() {
		e.PartnerID = &r.Partner
	}
	return e
}

// vehicleKey stands for a car where its plate has no business: the same for
// the same car, and nobody without the key can tell which one. Limits per
// vehicle are counted by it.
func (s *Service) vehicleKey(plate string) string {
	mac := hmac.New(sha256.New, s.cfg.LinkKey)
	mac.Write([]byte("vehicle\x00"))
	mac.Write([]byte(plate))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// VehicleKey stands for the car of a plate as another system wrote it, as
// RequestOpened does for a car of this one; empty for what is no plate.
func (s *Service) VehicleKey(plate string) string {
	plate = normalPlate(plate)
	if !plateForm(plate) {
		return ""
	}
	return s.vehicleKey(plate)
}

// introduce fills in whose request it is. An owner's token names him; for
// everybody else a new owner is made, whose only key is the tracking link.
func introduce(ctx context.Context, tx pgx.Tx, by events.Actor, r *Request) (err error) {
	r.Owner = events.NewID[events.OwnerID]()
	switch by.Role {
	case events.RoleOwner:
		r.Owner, err = events.ParseID[events.OwnerID](by.Subject)
	case events.RolePartner:
		if r.Partner, err = events.ParseID[events.PartnerID](by.Subject); err != nil {
			break
		}
		known, err := partnerExists(ctx, tx, r.Partner)
		if err == nil && !known {
			err = ErrNoPartner
		}
		return err
	}
	return err
}

// replayed finds the request an idempotency key has opened.
func replayed(ctx context.Context, tx pgx.Tx, by events.Actor, key idempotency) (Request, bool, error) {
	if key.key == "" {
		return Request{}, false, nil
	}
	was, err := selectByKey(ctx, tx, by, key.key)
	if errors.Is(err, ErrNoRequest) {
		return Request{}, false, nil
	}
	if err == nil && !bytes.Equal(was.key.hash, key.hash) {
		return Request{}, true, ErrKeyReused.With("request_id", was.ID)
	}
	was.Replayed = true
	return was, true, err
}

// newCode draws the four digits an owner tells the crew.
func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(10_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%04d", n), nil
}
