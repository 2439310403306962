package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rescued/events"
)

// whySooner is how many sooner crews an offer's reason names.
const whySooner = 3

// whyChosen says in words why this crew, whose figure that rests on, and what
// the crews do that would be there sooner.
func (b *board) whyChosen(i int) string {
	seat := b.seats[i]
	to := seat.sent
	var said strings.Builder
	b.sayTurned(&said, i)
	sooner := 0
	for _, r := range seat.free {
		if r.Travel >= to.travel || b.crews[r.Crew].Key == to.crew {
			break
		}
		sooner++
	}
	if sooner == 0 {
		fmt.Fprintf(&said, "soonest by road: %s", to.travel.Round(time.Second))
	} else {
		fmt.Fprintf(&said, "%s by road, number %d of the soonest", to.travel.Round(time.Second), sooner+1)
	}
	if to.source.By != "" {
		fmt.Fprintf(&said, " (%s)", to.source)
	}
	for _, r := range seat.free[:min(sooner, whySooner)] {
		crew := b.crews[r.Crew].Key
		fmt.Fprintf(&said, "; %s (%s) %s", crew, r.Travel.Round(time.Second), b.sayNot(crew))
	}
	if sooner > whySooner {
		fmt.Fprintf(&said, "; %d more serve others", sooner-whySooner)
	}
	if to.late {
		said.WriteString("; the promise is broken, and the crew can be spared")
	}
	return said.String()
}

// sayTurned says what a swap does to the crews of a seat.
func (b *board) sayTurned(said *strings.Builder, i int) {
	sw := b.swapFor(i)
	if sw == nil {
		return
	}
	seat := b.seats[i]
	said.WriteString("swapped: ")
	if seat.job >= 0 {
		crew := b.jobs[seat.job].crew
		fmt.Fprintf(said, "takes over from %s", crew)
		if k := b.seatOf(crew); k >= 0 {
			fmt.Fprintf(said, ", which is sent to %s", b.seats[k].r.ID)
		}
		said.WriteString("; ")
	}
	for id, crew := range sw.from {
		if crew == seat.sent.crew {
			fmt.Fprintf(said, "turned round from %s, which %s takes; ", id, b.takes(id))
		}
	}
}

// takes is who is sent to a request of the board.
func (b *board) takes(id events.RequestID) events.CrewID {
	for _, seat := range b.seats {
		if seat.r.ID == id && seat.sent != nil {
			return seat.sent.crew
		}
	}
	return events.CrewID{}
}

// seatOf is the seat a crew is sent to; -1 for none.
func (b *board) seatOf(crew events.CrewID) int {
	return slices.IndexFunc(b.seats, func(s *seat) bool { return s.sent != nil && s.sent.crew == crew })
}

// sayNot says why a free crew that would be sooner is not sent.
func (b *board) sayNot(crew events.CrewID) string {
	k := b.seatOf(crew)
	switch {
	case k < 0:
		return "is kept where calls are likely"
	case b.onlyItKeeps(k):
		return fmt.Sprintf("is sent to %s, whose promise only it can keep", b.seats[k].r.ID)
	}
	return fmt.Sprintf("is sent to %s, which it serves better", b.seats[k].r.ID)
}

// onlyItKeeps reports whether of all crews weighed for a seat the one sent is
// the only one that keeps its promise.
func (b *board) onlyItKeeps(i int) bool {
	seat := b.seats[i]
	left := seat.r.Promise.DueAt.Sub(b.m.at) - b.terms.Turnout
	if seat.sent.travel > left {
		return false
	}
	for _, r := range seat.free {
		if b.crews[r.Crew].Key != seat.sent.crew && r.Travel <= left {
			return false
		}
	}
	for _, r := range seat.soon {
		job := &b.jobs[r.Crew]
		if job.crew != seat.sent.crew && job.freeAt.Sub(b.m.at)+r.Travel <= left {
			return false
		}
	}
	return true
}
