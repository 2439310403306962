package dispatch

import (
	"fmt"
	"time"

	"rescued/geo"
)

const (
	// readyHorizon is how far ahead moves are weighed, in readySlots parts.
	readyHorizon = 45 * time.Minute
	readySlots   = 3
	// leastBusy and mostBusy bound how likely a crew is taken to be busy: none is
	// ever sure to be there, nor sure to be gone.
	leastBusy, mostBusy = 0.05, 0.95
	// driveShare is how large a part of the promise the drive to a job is taken
	// to need, to say how long a job binds a crew: a third.
	driveShare = 3
	// mostMoves is how many moves are advised at once.
	mostMoves = 5
	// readyTargets is how many places are tried: those where one more crew would
	// help most, so many metres apart.
	readyTargets = 24
	targetsApart = 4000.0
	// shortestMove is a drive that is not worth the trouble.
	shortestMove = 4 * time.Minute
	// restAfterMove is how long a crew that was moved is left alone, counted from
	// the beginning of its move.
	restAfterMove = 40 * time.Minute
	// leastGain is what a move must gain, in promises kept an hour, after
	// driveGain is taken off for each hour of driving.
	leastGain, driveGain = 0.01, 0.05
)

// ReadyCalls is how many places Ready.Calls may sensibly hold.
const ReadyCalls = 400

// Ready asks where idle crews should stand so that the calls to come find them
// in time.
type Ready struct {
	Now     time.Time
	Promise time.Duration   // from a call to arrival
	Turnout time.Duration   // from being sent to driving off
	Service time.Duration   // from arrival to free
	Pace    float64         // of a drive, in metres of the great circle a second
	Calls   []ExpectedCalls // in the next readyHorizon, each place and need once
	Idle    []IdleCrew
	Busy    []BusyCrew
}

// IdleCrew is a crew that could take a call now.
type IdleCrew struct {
	At  geo.Point
	Can geo.Capabilities
	// To is where it is under way to, and ArrivesAt when it will be there; the
	// zero time for one that stands.
	To        geo.Point
	ArrivesAt time.Time
	// MovedAt is when it last set out on a move; the zero time for never.
	MovedAt time.Time
	// Stays is set for one that is counted and not moved: it is another's.
	Stays bool
}

// BusyCrew is a crew that will be free for the next call at FreeAt, where its
// job is.
type BusyCrew struct {
	At     geo.Point
	Can    geo.Capabilities
	FreeAt time.Time
}

// Move is advice: an idle crew should stand elsewhere.
type Move struct {
	Crew   int      // index in Ready.Idle
	To     geo.Cell // towards this cell
	At     geo.Point
	Travel time.Duration
	Gain   float64 // promises kept an hour that would be broken without it
	// Reaches are the calls it would be in time for there and is not where it
	// stands, Leaves those it would no longer be in time for.
	Reaches, Leaves Reached
}

// Reached is a part of the calls to be expected.
type Reached struct {
	PerHour float64 // calls
	// Others is how many other crews would be in time for such a call, on
	// average, if none of them were taken by then.
	Others float64
}

// Why says in words what a move is good for.
func (m Move) Why() string {
	said := fmt.Sprintf("from there it is in time for %.2f calls an hour that it does not reach from where it stands, and %.1f other crews do",
		m.Reaches.PerHour, m.Reaches.Others)
	if m.Leaves.PerHour > 0 {
		said += fmt.Sprintf("; it leaves %.2f calls an hour to %.1f others", m.Leaves.PerHour, m.Leaves.Others)
	}
	return said
}

// Advise lists the moves that gain most, best first: at most a handful, each
// counting on those before it, none of a crew that was moved lately.
//
// A call is lost when none of the crews that would be in time for it is there
// when it comes. As in the maximal expected covering location problem (Daskin,
// Transportation Science 17, 1983), crews are taken to be busy independently
// of each other, so k of them leave a call lost with probability qᵏ; as in its
// dynamic form (Jagtenberg, Bhulai and van der Mei, Operations Research for
// Health Care 4, 2015), moves are weighed one at a time at the margin, from
// where all crews are now. The next readyHorizon is looked at in slots: a busy
// crew counts from when it could be in time, a crew under way counts where it
// set out for the first half of its drive and where it goes for the second,
// and q is what the calls expected until a slot take of the crews that are
// free by then.
//
// It is a pure function.
func (r Ready) Advise() []Move {
	if len(r.Calls) == 0 || len(r.Idle) == 0 || r.Pace <= 0 {
		return nil
	}
	b := r.cover()
	targets := b.targets()
	var moves []Move
	for len(moves) < mostMoves {
		m, reach := b.best(targets)
		if m.Gain == 0 {
			break
		}
		m.Reaches, m.Leaves = b.compare(m.Crew, reach)
		b.move(m.Crew, reach, firstSlot(r.Turnout+m.Travel))
		b.rank(targets)
		moves = append(moves, m)
	}
	return moves
}

// best is the move that gains most, its drive paid for, and what is in reach
// from there; none gains nothing. Of equal moves it is the first.
func (b *readyBoard) best(targets []readyTarget) (best Move, reach []bool) {
	most := 0.0
	for _, t := range targets {
		if t.help <= max(most, leastGain) {
			break // nor can any after it
		}
		for c := range b.Idle {
			if b.from[c] == nil {
				continue
			}
			drive := b.drive(c, t)
			first, price := firstSlot(b.Turnout+drive), driveGain*drive.Hours()
			if drive < shortestMove || first == readySlots || t.help-price <= max(most, leastGain) {
				continue
			}
			if gain := b.gain(c, t.reach, first); gain-price >= leastGain && gain-price > most {
				most, best, reach = gain-price, Move{Crew: c, To: t.cell, At: t.at, Travel: drive, Gain: gain}, t.reach
			}
		}
	}
	return best, reach
}

// slotMiddle is how far ahead the middle of a slot is.
func slotMiddle(s int) time.Duration {
	return readyHorizon * time.Duration(2*s+1) / (2 * readySlots)
}

// firstSlot is the slot from which a crew counts where it goes, when it will
// be there after so long; readySlots for none.
func firstSlot(after time.Duration) int {
	s := 0
	for s < readySlots && slotMiddle(s) < after/2 {
		s++
	}
	return s
}
