// Package fsm holds lifecycle tables. A slice writes its table once, beside
// the states; a pair that is not listed is refused, and a state without a row
// is final.
package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rescued/internal/fault"
)

// Table maps a state and an event to the next state.
type Table[S, E ~string] map[S]map[E]S

// Refused is the cause carried by the error of Next: which event met which state.
type Refused[S, E ~string] struct {
	From S
	Ev   E
}

// Error implements error.
func (r Refused[S, E]) Error() string { return fmt.Sprintf("%s refuses %s", r.From, r.Ev) }

// Next gives the state that follows from on ev. A pair that is not in the
// table is a fault.Conflict with code "state_refused" that names the state
// and what would be allowed in it.
func (t Table[S, E]) Next(from S, ev E) (S, error) {
	if to, ok := t[from][ev]; ok {
		return to, nil
	}
	may := "nothing: it is final"
	if row := t[from]; len(row) > 0 {
		evs := make([]string, 0, len(row))
		for e := range row {
			evs = append(evs, string(e))
		}
		slices.Sort(evs)
		may = strings.Join(evs, ", ")
	}
	return from, &fault.Error{
		Kind:   fault.Conflict,
		Code:   "state_refused",
		Detail: fmt.Sprintf("In state %s, %s is not possible; possible: %s.", from, ev, may),
		Facts:  map[string]any{"state": string(from), "event": string(ev)},
		Err:    Refused[S, E]{From: from, Ev: ev},
	}
}

// Final reports whether nothing follows state s.
func (t Table[S, E]) Final(s S) bool { return len(t[s]) == 0 }

// States lists every state that the table names, sorted.
func (t Table[S, E]) States() []S {
	set := map[S]struct{}{}
	for from, row := range t {
		set[from] = struct{}{}
		for _, to := range row {
			set[to] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(set))
}
