package traffic

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"

	"rescued/geo"
)

// Plan says what fleet to have.
type Plan struct {
	Key      string // names the fleet in idempotency keys: the same key is the same fleet
	Provider string // name of the provider whose crews they are
	Crews    int
	Around   []geo.Point // places that need help; crews wait near them
	Plate    string      // prefix of the crews' number plates
	Seed     uint64
}

// Muster registers a provider and its crews, or finds those of an earlier run
// by the same plan, and brings them on shift. admin is an administrator's
// client: he registers providers and issues their tokens.
func Muster(ctx context.Context, admin *API, clock *Clock, plan Plan, log *slog.Logger) (*Fleet, error) {
	if len(plan.Around) == 0 || plan.Crews < 1 {
		return nil, fmt.Errorf("a fleet needs at least one crew and a place to wait")
	}
	var provider struct {
		ID string `json:"id"`
	}
	if _, err := admin.call(ctx, http.MethodPost, "/v1/providers", "fleet-"+plan.Key, map[string]any{"name": plan.Provider}, &provider); err != nil {
		return nil, fmt.Errorf("register the provider: %w", err)
	}
	var token struct {
		Token string `json:"token"`
	}
	const month = 30 * 24 * 3600
	if _, err := admin.call(ctx, http.MethodPost, "/v1/tokens", "", map[string]any{
		"role": "provider", "subject": provider.ID, "name": plan.Provider, "ttl_s": month,
	}, &token); err != nil {
		return nil, fmt.Errorf("issue the provider's token: %w", err)
	}
	r := rand.New(rand.NewPCG(plan.Seed, 300))
	f := &Fleet{
		api: admin.As(token.Token), clock: clock, log: log, rand: r, habit: usual,
		drivers: map[string]*driver{}, wake: make(chan struct{}, 1), slots: make(chan struct{}, fleetCalls),
	}
	crews := make([]newCrew, plan.Crews)
	for i := range crews {
		crews[i] = newCrewOf(plan, i, r)
	}
	return f, f.enlist(ctx, plan, crews)
}

type newCrew struct {
	Name         string   `json:"name"`
	Plate        string   `json:"plate"`
	Vehicle      string   `json:"vehicle"`
	Capabilities []string `json:"capabilities"`
	at           geo.Point
}

// newCrewOf equips a crew: most help on the spot, a third also tow.
func newCrewOf(plan Plan, i int, r *rand.Rand) newCrew {
	home := plan.Around[r.IntN(len(plan.Around))]
	c := newCrew{
		Name: fmt.Sprintf("%s %03d", plan.Provider, i+1), Plate: fmt.Sprintf("%s%04d", plan.Plate, i+1),
		Vehicle:      "service van",
		Capabilities: []string{"battery_jump", "battery_replace", "tyre", "fuel", "ev_charge", "ev_fault", "lockout"},
		at:           geo.Offset(home, 6000*(r.Float64()-0.5), 6000*(r.Float64()-0.5)),
	}
	switch n := i % 20; {
	case n < 8:
		c.Vehicle = "flatbed truck"
		c.Capabilities = append(c.Capabilities, "flatbed", "winch", "wheel_lift")
	case n < 10:
		c.Vehicle = "wheel-lift truck"
		c.Capabilities = append(c.Capabilities, "wheel_lift", "winch", "garage_extraction")
	case n == 10:
		c.Vehicle = "heavy recovery truck"
		c.Capabilities = append(c.Capabilities, "flatbed", "winch", "wheel_lift", "heavy")
	}
	return c
}

// enlist registers the crews (the key makes a second run find the first one's),
// says where they are, and brings them on shift.
func (f *Fleet) enlist(ctx context.Context, plan Plan, crews []newCrew) error {
	errs := make(chan error, len(crews))
	slots := make(chan struct{}, openAtOnce)
	for i, c := range crews {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs <- f.enlistOne(ctx, fmt.Sprintf("fleet-%s-%d-crew-%d", plan.Key, plan.Seed, i), c)
		}()
	}
	for range crews {
		if err := <-errs; err != nil {
			return fmt.Errorf("bring the crews on shift: %w", err)
		}
	}
	return nil
}

func (f *Fleet) enlistOne(ctx context.Context, key string, c newCrew) error {
	var crew struct {
		ID       string     `json:"id"`
		State    string     `json:"state"`
		Position *geo.Point `json:"position"`
	}
	if _, err := f.api.call(ctx, http.MethodPost, "/v1/crews", key, c, &crew); err != nil {
		return err
	}
	// The answer to a repeated key is the first one's; where it is now, and
	// whether it is on shift, is asked.
	if _, err := f.api.call(ctx, http.MethodGet, "/v1/crews/"+crew.ID, "", nil, &crew); err != nil {
		return err
	}
	at := c.at
	if crew.Position != nil && (geo.Point{}) != *crew.Position {
		at = *crew.Position
	}
	now := f.clock.Now()
	fix := position{CrewID: crew.ID, FixedAt: now, Lat: at.Lat, Lng: at.Lng, Datum: string(geo.WGS84), AccuracyM: 10}
	if _, err := f.api.call(ctx, http.MethodPost, "/v1/positions", "", map[string]any{"positions": []position{fix}}, nil); err != nil {
		return err
	}
	if crew.State == "off_duty" {
		if _, err := f.api.call(ctx, http.MethodPost, "/v1/crews/"+crew.ID+"/start-shift", "", nil, nil); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drivers[crew.ID] = &driver{id: crew.ID, at: at, lastFix: now}
	return nil
}
