package dispatch

import (
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// OfferState is where an offer stands.
type OfferState string

// The states of an offer. All but pending are final.
const (
	OfferPending   OfferState = "pending"
	OfferAccepted  OfferState = "accepted"
	OfferDeclined  OfferState = "declined"
	OfferExpired   OfferState = "expired"
	OfferWithdrawn OfferState = "withdrawn"
)

// OfferEvent is what can happen to an offer.
type OfferEvent string

// The events of an offer.
const (
	OfferAccept   OfferEvent = "accept"
	OfferDecline  OfferEvent = "decline"
	OfferExpire   OfferEvent = "expire"
	OfferWithdraw OfferEvent = "withdraw"
)

// OfferLife is the lifecycle of an offer.
var OfferLife = fsm.Table[OfferState, OfferEvent]{
	OfferPending: {OfferAccept: OfferAccepted, OfferDecline: OfferDeclined, OfferExpire: OfferExpired, OfferWithdraw: OfferWithdrawn},
}

// Errors about offers.
var (
	// ErrNoOffer: there is no such offer, or it is not the caller's.
	ErrNoOffer = fault.New(fault.NotFound, "offer_not_found", "There is no such offer.")
	// ErrOfferGone: the offer was answered, ran out or was withdrawn. Fact
	// state says which.
	ErrOfferGone = fault.New(fault.Conflict, "offer_gone", "The offer is no longer open.")
)

// Offer asks one crew to take one request until it expires.
type Offer struct {
	ID         events.OfferID
	Version    int64
	State      OfferState
	Request    events.RequestID
	Crew       events.CrewID
	Round      int // 1 for a request's first offer
	MadeAt     time.Time
	ExpiresAt  time.Time
	ExpectedAt time.Time     // expected arrival, if accepted at once
	Travel     time.Duration // expected drive
	Metres     float64       // great circle when it was made
	Why        string        // why this crew
	EndedAt    *time.Time
	Reason     string // of a refusal or withdrawal
}

func (o *Offer) advance(ev OfferEvent) (err error) {
	o.State, err = OfferLife.Next(o.State, ev)
	return err
}

func (o *Offer) changed(time.Time) int64 {
	o.Version++
	return o.Version
}

func (o *Offer) facts(time.Time) []events.Event { return nil }
