package sim

import (
	"time"

	"rescued/events"
	"rescued/sla"
)

// Row is what became of one request.
type Row struct {
	Request    int
	Crew       string // who arrived; empty when nobody ever could
	CalledAt   time.Time
	AssignedAt time.Time // when the crew that arrived was last committed
	ArrivedAt  time.Time
	FreedAt    time.Time
	Late       time.Duration // beyond the promise; 0 in time
	Fen        sla.Fen       // what the policy pays for it
	Swaps      int           // how often a crew on its way was taken from it
}

// Served reports whether a crew arrived.
func (r Row) Served() bool { return r.Crew != "" }

// Response is the time from call to arrival of a request that was served.
func (r Row) Response() time.Duration { return r.ArrivedAt.Sub(r.CalledAt) }

// Result is what a run came to.
type Result struct {
	Rows []Row
	// WorkingMs and PresentMs are the time the fleet had a job, and was on shift
	// or finishing a job after it, from the first call to the last crew freed.
	WorkingMs, PresentMs int64
	// DrivenM is how many metres of road the fleet drove, detour included, and
	// MovedM how many of them without a job.
	DrivenM, MovedM float64
}

// record writes down the job a crew has finished.
func (e *engine) record(c *Crew) {
	row := &e.rows[c.Request]
	row.Crew, row.AssignedAt, row.ArrivedAt, row.FreedAt = c.ID, c.CommittedAt, c.ArrivesAt, e.view.Now
	due := e.view.Requests[c.Request].Due
	row.Swaps = e.view.Requests[c.Request].Swaps
	if row.ArrivedAt.After(due) {
		row.Late = row.ArrivedAt.Sub(due)
		row.Fen = e.world.owed(*row, due)
	}
}

// owed prices an arrival as the service would, from the promise as it was
// shown and the proof of the arrival.
func (w World) owed(row Row, due time.Time) sla.Fen {
	return w.Pays.Owed(sla.Timeline{
		OpenedAt: row.CalledAt,
		Promise: events.Promise{
			Minutes: int(w.Promised / time.Minute), DueAt: due,
			Policy: w.Pays.Name, PolicyVersion: w.Pays.Version,
		},
		Facts: []sla.Fact{{Kind: sla.FactArrived, At: row.ArrivedAt, Source: "gps"}},
	}).Fen
}

func (e *engine) result() *Result {
	r := &Result{Rows: e.rows, DrivenM: e.driven, MovedM: e.moved}
	for _, c := range e.view.Crews {
		r.WorkingMs += c.working
		r.PresentMs += c.present
		if c.State != Off {
			r.PresentMs += milliseconds(e.view.Now.Sub(c.since))
		}
	}
	return r
}
