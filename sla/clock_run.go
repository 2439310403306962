package sla

import "time"

// run is how the promise clock ran: from its start, through its pauses, to
// the deadline.
type run struct {
	start   ClockStart
	started time.Time // zero while it waits
	by      *Fact     // what started it, when a fact did
	itself  bool      // it had waited as long as it may
	late    []Fact    // facts that would have started it anew and came after the deadline
	due     time.Time
	pauses  []pause // those that moved the deadline
	refused []pause // those that do not count
}

// clock works out how the clock ran, up to the moment it was stopped, zero
// while it has not been.
//
// A fact that starts the clock after the deadline comes too late, as a pause
// does. A time agreed anew moves the start; of every other start the first
// counts. No clock starts before acceptance.
func (p Policy) clock(t Timeline, facts []Fact, stopped time.Time) run {
	opened := micro(t.OpenedAt)
	promised := micro(t.Promise.DueAt).Sub(opened)
	start, missing := p.starting(t.Promise.Rule)
	r := run{start: start}
	count, refused := p.pauses(opened, facts, stopped)
	r.refused = refused
	settle := func(at time.Time) {
		r.started = at
		r.due, r.pauses = movedBy(count, at, promised)
	}
	longest := time.Time{} // when a clock that waits starts by itself
	switch {
	case start.fact() == "" || missing.Then != MissingWait:
		settle(opened)
	case missing.LongestS > 0:
		longest = opened.Add(seconds(missing.LongestS))
	}
	byItself := func() {
		r.itself = true
		settle(longest)
	}
	for i, f := range facts {
		if start.fact() == "" || f.Kind != start.fact() || !stopped.IsZero() && f.At.After(stopped) {
			continue
		}
		if r.started.IsZero() && !longest.IsZero() && f.At.After(longest) {
			byItself()
		}
		again := r.by != nil || r.itself
		switch {
		case !r.started.IsZero() && f.At.After(r.due):
			r.late = append(r.late, f)
		case start == StartScheduled:
			r.by = &facts[i]
			settle(later(opened, f.Until))
		case !again:
			r.by = &facts[i]
			settle(later(opened, f.At))
		}
	}
	if r.started.IsZero() && !longest.IsZero() && (stopped.IsZero() || stopped.After(longest)) {
		byItself()
	}
	if r.started.IsZero() {
		r.due = opened.Add(promised)
	}
	return r
}

// movedBy is the deadline of a clock that has to run for the promised time
// from its start and stands still in the union of the pauses; and the pauses
// that moved it. A pause that begins at or after the deadline comes too late.
// A pause that still lasts counts to its longest length, or to the moment the
// clock was stopped. One that restarts the clock lets it begin anew when it
// ends.
func movedBy(pauses []pause, start time.Time, promised time.Duration) (due time.Time, moved []pause) {
	due = start.Add(promised)
	reached := start // everything before it is accounted for
	for _, ps := range pauses {
		if !ps.from.Before(due) {
			break
		}
		from := later(ps.from, reached)
		if !from.Before(ps.to) {
			continue
		}
		due = due.Add(ps.to.Sub(from))
		if ps.rule.Restarts {
			due = later(due, ps.to.Add(promised))
		}
		reached = ps.to
		ps.from = from
		moved = append(moved, ps)
	}
	return due, moved
}
