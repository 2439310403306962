package dispatch

import (
	"context"
	"time"

	"rescued/events"
	"rescued/geo"
)

// Bodies follow file by file; this file goes.

func (s *Service) Open(ctx context.Context, by events.Actor, in NewRequest) (Request, error) {
	panic("follows")
}
func (s *Service) Cancel(ctx context.Context, by events.Actor, id events.RequestID, reason string, version int64) (Request, error) {
	panic("follows")
}
func (s *Service) Release(ctx context.Context, by events.Actor, id events.RequestID, reason string, version int64) (Request, error) {
	panic("follows")
}
func (s *Service) Reassign(ctx context.Context, by events.Actor, id events.RequestID, to events.CrewID, reason string, version int64) (Request, error) {
	panic("follows")
}
func (s *Service) Accept(ctx context.Context, by events.Actor, id events.OfferID) (Request, error) {
	panic("follows")
}
func (s *Service) Decline(ctx context.Context, by events.Actor, id events.OfferID, reason string) (Offer, error) {
	panic("follows")
}
func (s *Service) Withdraw(ctx context.Context, by events.Actor, id events.OfferID, reason string) (Offer, error) {
	panic("follows")
}
func (s *Service) Depart(ctx context.Context, by events.Actor, id events.RequestID) (Request, error) {
	panic("follows")
}
func (s *Service) ClaimArrival(ctx context.Context, by events.Actor, id events.RequestID, arrivedAt time.Time) (Request, error) {
	panic("follows")
}
func (s *Service) ConfirmArrival(ctx context.Context, by events.Actor, id events.RequestID, arrivedAt time.Time) (Request, error) {
	panic("follows")
}
func (s *Service) ConfirmByCode(ctx context.Context, by events.Actor, id events.RequestID, code string, arrivedAt time.Time) (Request, error) {
	panic("follows")
}
func (s *Service) DecideArrival(ctx context.Context, by events.Actor, id events.RequestID, accept bool, arrivedAt time.Time, reason string) (Request, error) {
	panic("follows")
}
func (s *Service) NoteFixes(ctx context.Context, crew events.CrewID, fixes []Fix) error {
	panic("follows")
}
func (s *Service) SampleFixes(ctx context.Context, last map[events.CrewID]Fix) error {
	panic("follows")
}
func (s *Service) Finish(ctx context.Context, by events.Actor, id events.RequestID, outcome Outcome) (Request, error) {
	panic("follows")
}
func (s *Service) RegisterProvider(ctx context.Context, by events.Actor, in NewProvider) (Provider, error) {
	panic("follows")
}
func (s *Service) RegisterPartner(ctx context.Context, by events.Actor, in NewPartner) (Partner, error) {
	panic("follows")
}
func (s *Service) RegisterCrew(ctx context.Context, by events.Actor, in NewCrew) (Crew, error) {
	panic("follows")
}
func (s *Service) UpdateCrew(ctx context.Context, by events.Actor, id events.CrewID, change CrewChange, version int64) (Crew, error) {
	panic("follows")
}
func (s *Service) StartShift(ctx context.Context, by events.Actor, id events.CrewID) (Crew, error) {
	panic("follows")
}
func (s *Service) EndShift(ctx context.Context, by events.Actor, id events.CrewID) (Crew, error) {
	panic("follows")
}
func (s *Service) Request(ctx context.Context, by events.Actor, id events.RequestID) (Request, error) {
	panic("follows")
}
func (s *Service) Requests(ctx context.Context, by events.Actor, f RequestFilter) ([]Request, error) {
	panic("follows")
}
func (s *Service) Crew(ctx context.Context, by events.Actor, id events.CrewID) (Crew, error) {
	panic("follows")
}
func (s *Service) Crews(ctx context.Context, by events.Actor, f CrewFilter) ([]Crew, error) {
	panic("follows")
}
func (s *Service) Offers(ctx context.Context, by events.Actor, crew events.CrewID) ([]Offer, error) {
	panic("follows")
}
func (s *Service) History(ctx context.Context, by events.Actor, id events.RequestID) ([]events.Envelope, error) {
	panic("follows")
}
func (s *Service) Considered(ctx context.Context, by events.Actor, id events.RequestID) ([]Round, error) {
	panic("follows")
}
func (s *Service) ImportAreas(ctx context.Context, by events.Actor, in AreaFile) (AreaSet, error) {
	panic("follows")
}
func (s *Service) CurrentAreas(ctx context.Context) ([]AreaSet, error)         { panic("follows") }
func (s *Service) Stats(ctx context.Context) (Stats, error)                    { panic("follows") }
func (s *Service) Match(ctx context.Context, area geo.AreaID) ([]Offer, error) { panic("follows") }
func (s *Service) Sweep(ctx context.Context, limit int) (int, error)           { panic("follows") }
func (s *Service) Refresh(ctx context.Context) error                           { panic("follows") }
func (s *Service) Run(ctx context.Context) error                               { panic("follows") }
func (s *Service) Follow(ctx context.Context) error                            { panic("follows") }
func (s *Service) Handlers() []events.Handler                                  { panic("follows") }
func (s *Service) Batches() []events.Batch                                     { panic("follows") }

// HeardCrew is for events.Tail on the crews topic, in every replica.
func (s *Service) HeardCrew(env events.Envelope) { panic("follows") }

// Sight records a crew's position in this replica at once; false when a later one is known.
func (s *Service) Sight(crew events.CrewID, f Fix) bool { panic("follows") }

// LastFix is the latest position this replica has heard of a crew.
func (s *Service) LastFix(crew events.CrewID) (Fix, bool) { panic("follows") }
