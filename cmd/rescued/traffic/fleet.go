package traffic

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"rescued/geo"
)

// Fleet drives simulated crews of one provider: it follows the provider's
// stream of offers and jobs, and does for each crew what a person would do.
type Fleet struct {
	api   *API // the provider's token
	clock *Clock
	log   *slog.Logger
	rand  *rand.Rand
	habit habits

	mu      sync.Mutex
	drivers map[string]*driver
	wake    chan struct{}
	fixes   []position
	sent    time.Time     // wall time of the last batch of positions
	slots   chan struct{} // calls under way
	calls   sync.WaitGroup
}

// position is one fix as POST /v1/positions takes it.
type position struct {
	CrewID    string    `json:"crew_id"`
	FixedAt   time.Time `json:"fixed_at"`
	Lat       float64   `json:"lat"`
	Lng       float64   `json:"lng"`
	Datum     string    `json:"datum"`
	AccuracyM float64   `json:"accuracy_m"`
}

// The stream's payloads, as far as a crew needs them.
type (
	jobCard struct {
		ID       string    `json:"id"`
		State    string    `json:"state"`
		Location geo.Point `json:"location"`
	}
	offerView struct {
		ID        string    `json:"id"`
		CrewID    string    `json:"crew_id"`
		ExpiresAt time.Time `json:"expires_at"`
		Request   jobCard   `json:"request"`
	}
	jobNote struct {
		Type    string  `json:"type"`
		CrewID  string  `json:"crew_id"`
		Request jobCard `json:"request"`
	}
)

const (
	fleetCalls = 32                     // calls to the service at the same moment
	fleetTick  = 20 * time.Millisecond  // wall time between looks at who is due
	fixEvery   = 200 * time.Millisecond // wall time between batches of positions
	fixBatch   = 500
)

// Run drives the crews until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	go f.api.stream(ctx, "/v1/offers/stream", f.heard)
	tick := time.NewTicker(fleetTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			f.calls.Wait()
			return nil
		case <-f.wake:
		case <-tick.C:
		}
		f.step(ctx)
	}
}

// heard takes one event of the stream.
func (f *Fleet) heard(event string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch event {
	case "snapshot":
		var snap struct {
			Offers []offerView `json:"offers"`
			Jobs   []jobNote   `json:"jobs"`
		}
		if json.Unmarshal(data, &snap) == nil {
			f.adopt(snap.Offers, snap.Jobs)
		}
	case "offer":
		var note struct {
			Offer offerView `json:"offer"`
		}
		if json.Unmarshal(data, &note) == nil {
			f.asked(note.Offer)
		}
	case "offer_ended":
		var note struct {
			OfferID string `json:"offer_id"`
			CrewID  string `json:"crew_id"`
		}
		if json.Unmarshal(data, &note) == nil {
			if d := f.drivers[note.CrewID]; d != nil && d.phase == deciding && d.offer == note.OfferID {
				d.drop(f.clock.Now())
			}
		}
	case "job":
		var note jobNote
		if json.Unmarshal(data, &note) == nil {
			f.told(note)
		}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// adopt brings every crew in line with what the service says: a fleet that
// starts again, or lost the stream, goes on with the jobs in hand.
func (f *Fleet) adopt(offers []offerView, jobs []jobNote) {
	busy := map[string]bool{}
	for _, o := range offers {
		busy[o.CrewID] = true
		if d := f.drivers[o.CrewID]; d != nil && d.offer != o.ID {
			f.asked(o)
		}
	}
	for _, j := range jobs {
		busy[j.CrewID] = true
		if d := f.drivers[j.CrewID]; d != nil && d.job != j.Request.ID {
			d.drop(f.clock.Now())
			f.told(j)
		}
	}
	for id, d := range f.drivers {
		if d.phase != idle && !busy[id] {
			d.drop(f.clock.Now())
		}
	}
}

func (f *Fleet) asked(o offerView) {
	if d := f.drivers[o.CrewID]; d != nil && (d.phase == idle || d.phase == deciding) {
		d.consider(o.ID, o.Request.ID, o.Request.Location, f.clock.Now(), o.ExpiresAt, f.habit, f.rand)
	}
}

// released is the type of the note that a crew has lost its request.
const released = "cn.rescue.request.released.v1"

// told follows what the service says of a crew's job: a new one is started,
// one that ended elsewhere is dropped.
func (f *Fleet) told(j jobNote) {
	d := f.drivers[j.CrewID]
	if d == nil {
		return
	}
	now := f.clock.Now()
	mine := d.job == j.Request.ID && d.phase > deciding
	// The card is as of now: released and given to another crew at once, the
	// request may look assigned.
	if j.Type == released {
		if mine {
			d.drop(now)
		}
		return
	}
	switch j.Request.State {
	case "assigned":
		if !mine {
			d.take(j.Request.ID, j.Request.Location, now, f.habit, f.rand)
		}
	case "en_route":
		if !mine {
			d.take(j.Request.ID, j.Request.Location, now, f.habit, f.rand)
			d.phase = driving
		}
	case "on_scene":
		if !mine {
			d.take(j.Request.ID, j.Request.Location, now, f.habit, f.rand)
			d.at, d.phase, d.arrives, d.tapped = d.to, working, now, true
			d.done = now.Add(15 * time.Minute)
		}
	default: // open again, done or cancelled
		if mine {
			d.drop(now)
		}
	}
}

// step lets every crew that is due act, and sends the fixes gathered.
func (f *Fleet) step(ctx context.Context) {
	f.mu.Lock()
	now := f.clock.Now()
	for _, d := range f.drivers {
		for range 4 { // what is due at once is done at once; the rest at the next look
			at, what := d.next(f.habit)
			if at.After(now) {
				break
			}
			f.act(ctx, d, what, at, now)
		}
	}
	var fixes []position
	if time.Since(f.sent) >= fixEvery {
		fixes, f.fixes, f.sent = f.fixes, nil, time.Now()
	}
	f.mu.Unlock()
	for len(fixes) > 0 {
		n := min(len(fixes), fixBatch)
		f.send(ctx, reportOf(fixes[:n:n]...))
		fixes = fixes[n:]
	}
}

// errand is one call to the service, and what to do with its outcome, which is
// learnt while the fleet is locked.
type errand struct {
	path string
	body any
	then func(error)
}

func reportOf(fixes ...position) errand {
	return errand{path: "/v1/positions", body: map[string]any{"positions": fixes}}
}

// act does one thing of a crew's. Times are those at which it was due: a crew's
// clock does not wait for this program's turn.
func (f *Fleet) act(ctx context.Context, d *driver, what act, due, now time.Time) {
	request := "/v1/requests/" + d.job
	switch what {
	case actFix:
		f.fix(d, now)
	case actAnswer:
		f.answer(ctx, d, now)
	case actDepart:
		d.phase = driving
		f.fix(d, now)
		f.send(ctx, errand{path: request + "/depart"})
	case actArrive:
		d.phase = working
		f.fix(d, due)
	case actTap:
		d.tapped = true
		d.lastFix = due
		f.send(ctx, reportOf(f.fixAt(d, due)), errand{request + "/arrive", map[string]any{"arrived_at": due}, f.dropIfOver(d)})
	case actFinish:
		f.fix(d, now)
		d.done = now.Add(5 * time.Minute) // asked again if the service does not agree yet
		job, over := d.job, f.dropIfOver(d)
		f.send(ctx, errand{request + "/finish", map[string]any{"outcome": "fixed"}, func(err error) {
			if err == nil && d.job == job {
				d.drop(f.clock.Now())
			}
			over(err)
		}})
	}
}

// dropIfOver frees a crew that is told that its present job is over already,
// or another crew's by now: the stream was behind.
func (f *Fleet) dropIfOver(d *driver) func(error) {
	job := d.job
	return func(err error) {
		if jobIsOver(err) && d.job == job {
			d.drop(f.clock.Now())
		}
	}
}

// fix notes where a crew is at a moment; fixes of a crew only go forward.
func (f *Fleet) fix(d *driver, at time.Time) {
	if !at.After(d.lastFix) {
		return
	}
	d.lastFix = at
	f.fixes = append(f.fixes, f.fixAt(d, at))
}

func (f *Fleet) fixAt(d *driver, at time.Time) position {
	p := d.where(at)
	return position{CrewID: d.id, FixedAt: at, Lat: p.Lat, Lng: p.Lng, Datum: string(geo.WGS84), AccuracyM: 5 + 10*f.rand.Float64()}
}

// jobIsOver reports whether a command was refused because its request is over
// or another crew's. An arrival that is not proven yet is no end: the crew
// stays and asks again.
func jobIsOver(err error) bool {
	r, refused := refusedAs(err, "state_refused", "request_closed", "request_not_found")
	return refused && r.State != "assigned" && r.State != "en_route"
}

func (f *Fleet) answer(ctx context.Context, d *driver, now time.Time) {
	offer, request, to, refuses := d.offer, d.job, d.to, d.refuses
	d.drop(now)
	if refuses == "no_answer" {
		return
	}
	if refuses != "" {
		f.send(ctx, errand{path: "/v1/offers/" + offer + "/decline", body: map[string]any{"reason": refuses}})
		return
	}
	d.take(request, to, now, f.habit, f.rand)
	f.send(ctx, errand{path: "/v1/offers/" + offer + "/accept", then: func(err error) {
		// Too late, or somebody changed his mind: the crew is free again.
		if r, _ := refusedAs(err); r != nil && d.job == request && d.phase == preparing {
			d.drop(f.clock.Now())
		}
	}})
}

// send runs errands one after the other in the background.
func (f *Fleet) send(ctx context.Context, errands ...errand) {
	f.calls.Add(1)
	go func() {
		defer f.calls.Done()
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		case <-ctx.Done():
			return
		}
		for _, e := range errands {
			_, err := f.api.call(ctx, http.MethodPost, e.path, "", e.body, nil)
			if err != nil && ctx.Err() == nil {
				f.log.Info("a simulated crew was refused", "call", e.path, "why", err)
			}
			if e.then != nil {
				f.mu.Lock()
				e.then(err)
				f.mu.Unlock()
			}
		}
	}()
}
