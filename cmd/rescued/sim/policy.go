package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rescued/geo"
)

// Policy decides who goes where. It is asked once at every instant at which
// something happened (a call, an arrival, a crew freed, a shift beginning or
// ending) or for which it asked itself, after all of that has happened. What
// it sees in the View is of that instant and must not be kept or changed; a
// Policy serves one run and may remember what it likes in itself.
type Policy interface {
	Decide(v *View, out *Orders)
}

// Orders is what a policy wants done now, all at once. Each crew may be named
// once.
type Orders struct {
	commits []commitment
	moves   []move
	wakes   []time.Time
}

type commitment struct{ crew, request int }

type move struct {
	crew int
	to   geo.Point
}

// nobody stands for no request of a crew, and no crew of a request.
const nobody = -1

// Commit sends a crew, idle or driving, to a waiting request, or to one whose
// crew these same orders send elsewhere. A crew that drives is diverted: it
// starts from where it is, turnout included, and the request it leaves waits
// again, with one more swap.
func (o *Orders) Commit(crew, request int) { o.commits = append(o.commits, commitment{crew, request}) }

// Recall stops a crew that drives to a request, which waits again, with one
// more swap. The crew is idle where it is.
func (o *Orders) Recall(crew int) { o.commits = append(o.commits, commitment{crew, nobody}) }

// Move sends an idle crew, standing or moving, towards a point, after its
// turnout. It stays idle, and may be committed from wherever it then is.
func (o *Orders) Move(crew int, to geo.Point) { o.moves = append(o.moves, move{crew, to}) }

// WakeAt asks to be asked again at t, rounded up to the millisecond. A time
// that is not after now is ignored.
func (o *Orders) WakeAt(t time.Time) { o.wakes = append(o.wakes, notBefore(t)) }

func (o *Orders) reset() {
	o.commits, o.moves, o.wakes = o.commits[:0], o.moves[:0], o.wakes[:0]
}

// The policies by name.
const (
	Nearest = "nearest" // in call order, each takes the free crew with the least travel
	Closest = "closest" // the pair with the least travel, again and again
	Promise = "promise" // the service's own
)

// PolicyNames lists the policies.
func PolicyNames() []string { return []string{Nearest, Closest, Promise} }

// NewPolicy makes the policy of a name for one run.
func NewPolicy(name string) (Policy, error) {
	switch name {
	case Nearest:
		return &nearest{}, nil
	case Closest:
		return &closest{}, nil
	case Promise:
		return &promise{}, nil
	}
	return nil, fmt.Errorf("policy %q is unknown; it must be one of %s", name, strings.Join(PolicyNames(), ", "))
}

// marks is a set of small numbers that empties at once.
type marks struct {
	at    []int
	round int
}

func (m *marks) reset(size int) {
	m.round++
	m.at = slices.Grow(m.at, max(0, size-len(m.at)))
	m.at = m.at[:max(len(m.at), size)]
}

func (m *marks) set(i int)      { m.at[i] = m.round }
func (m *marks) has(i int) bool { return m.at[i] == m.round }
