package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"rescued/events"
	"rescued/internal/web"
)

type offersStreamInput struct {
	web.Resume
	Crew events.CrewID `query:"crew" doc:"Whose; left out, all that the caller may see."`
}

// offersSnapshot is what a crew's device needs to know at once.
type offersSnapshot struct {
	Now    time.Time   `json:"now"`
	Speed  float64     `json:"speed"`
	Offers []OfferView `json:"offers"`
	Jobs   []jobNote   `json:"jobs"`
}

// offerNote is an offer that was made.
type offerNote struct {
	Now   time.Time `json:"now"`
	Offer OfferView `json:"offer"`
}

// offerEnded is an offer that lapsed.
type offerEnded struct {
	OfferID   events.OfferID   `json:"offer_id"`
	RequestID events.RequestID `json:"request_id"`
	CrewID    events.CrewID    `json:"crew_id"`
	Outcome   string           `json:"outcome"`
	Reason    string           `json:"reason,omitempty"`
}

// jobNote is what became of a crew's request.
type jobNote struct {
	Type    string        `json:"type,omitempty"` // CloudEvents type; empty in a snapshot
	CrewID  events.CrewID `json:"crew_id"`
	Request JobCard       `json:"request"`
}

// jobTypes are the events that tell a crew about its job.
var jobTypes = []string{
	events.RequestAssigned{}.EventType(), events.CrewDeparted{}.EventType(), events.ArrivalUnproven{}.EventType(),
	events.CrewArrived{}.EventType(), events.RequestReleased{}.EventType(), events.RequestCancelled{}.EventType(),
	events.RequestFinished{}.EventType(),
}

// followOffers streams what crews have to answer and to do: a snapshot, then
// offer, offer_ended and job, so that a device need not ask again and again.
func (a *API) followOffers(ctx context.Context, in *offersStreamInput) (func(*web.Stream) error, error) {
	crew, provider, err := crewScope(caller(ctx), in.Crew)
	if err != nil {
		return nil, err
	}
	return func(st *web.Stream) error {
		defer a.beat(st)()
		scope := offerScope{api: a, crew: crew, provider: provider, providers: map[events.CrewID]events.ProviderID{}}
		after, resumed := in.Last()
		return a.followFrom(st, after, resumed, func(ctx context.Context) (int64, any, error) {
			no, err := events.LatestFeedNo(ctx, a.svc.pool) // before the reading, which may be newer
			if err != nil {
				return 0, nil, err
			}
			snap, err := a.offersNow(ctx, crew, provider)
			return no, snap, err
		}, func(ctx context.Context, env events.Envelope) error {
			name, note, err := scope.note(ctx, env)
			if err != nil || name == "" {
				return err
			}
			return st.Send(env.FeedNo, name, note)
		})
	}, nil
}

func (a *API) offersNow(ctx context.Context, crew events.CrewID, provider events.ProviderID) (offersSnapshot, error) {
	snap := offersSnapshot{Now: a.svc.now(), Speed: a.cfg.Speed, Jobs: []jobNote{}}
	var err error
	if snap.Offers, err = a.offersOut(ctx, crew, provider); err != nil {
		return snap, err
	}
	bound, err := listBound(ctx, a.svc.pool, crew, provider)
	if err != nil {
		return snap, err
	}
	crews := sortedKeys(bound)
	cards, err := listJobCards(ctx, a.svc.pool, mapped(crews, func(c events.CrewID) events.RequestID { return bound[c] }))
	if err != nil {
		return snap, err
	}
	for _, c := range crews {
		if card, ok := cards[bound[c]]; ok {
			snap.Jobs = append(snap.Jobs, jobNote{CrewID: c, Request: card})
		}
	}
	return snap, nil
}

// offerScope picks the events that concern a stream's crews.
type offerScope struct {
	api       *API
	crew      events.CrewID
	provider  events.ProviderID
	providers map[events.CrewID]events.ProviderID // of crews met so far; it never changes
}

// note turns an event into what the stream sends; an empty name is nothing.
func (s *offerScope) note(ctx context.Context, env events.Envelope) (name string, note any, err error) {
	made, ended := env.Type == (events.OfferMade{}).EventType(), env.Type == (events.OfferLapsed{}).EventType()
	if !made && !ended && !slices.Contains(jobTypes, env.Type) {
		return "", nil, nil
	}
	var about struct {
		OfferID   events.OfferID   `json:"offer_id"`
		RequestID events.RequestID `json:"request_id"`
		CrewID    *events.CrewID   `json:"crew_id"`
		Outcome   string           `json:"outcome"`
		Reason    string           `json:"reason"`
	}
	if err := json.Unmarshal(env.Data, &about); err != nil {
		return "", nil, err
	}
	if about.CrewID == nil {
		return "", nil, nil // cancelled before any crew had it
	}
	if mine, err := s.includes(ctx, *about.CrewID); err != nil || !mine {
		return "", nil, err
	}
	if ended {
		return "offer_ended", offerEnded{about.OfferID, about.RequestID, *about.CrewID, about.Outcome, about.Reason}, nil
	}
	cards, err := listJobCards(ctx, s.api.svc.pool, []events.RequestID{about.RequestID})
	if err != nil {
		return "", nil, err
	}
	card := cards[about.RequestID]
	if !made {
		return "job", jobNote{Type: env.Type, CrewID: *about.CrewID, Request: card}, nil
	}
	o, err := selectOffer(ctx, s.api.svc.pool, about.OfferID)
	if err != nil {
		return "", nil, err
	}
	view := viewOffer(o)
	view.Request = &card
	return "offer", offerNote{s.api.svc.now(), view}, nil
}

func (s *offerScope) includes(ctx context.Context, crew events.CrewID) (bool, error) {
	if !s.crew.IsZero() && s.crew != crew {
		return false, nil
	}
	if s.provider.IsZero() {
		return true, nil
	}
	provider, known := s.providers[crew]
	if !known {
		of, err := listProviderOf(ctx, s.api.svc.pool, []events.CrewID{crew})
		if err != nil {
			return false, err
		}
		provider = of[crew]
		s.providers[crew] = provider
	}
	return provider == s.provider, nil
}
