package dispatch

import "slices"

// ReleaseCause is what a request was taken off its crew for, as far as the desk
// knows. Whoever works out who lost the time goes by it; the reason beside it is
// for people.
type ReleaseCause string

// The causes. None is the rule: what a crew or its provider gives back is
// theirs, what the desk takes away is the platform's.
const (
	CauseCrew   ReleaseCause = "crew"   // it could not go on: a breakdown, an accident, no word from it
	CauseOwner  ReleaseCause = "owner"  // the owner asked for another crew
	CauseChoice ReleaseCause = "choice" // the desk chose so, for the plan's sake
)

// ReleaseCauses lists every cause.
func ReleaseCauses() []ReleaseCause { return []ReleaseCause{CauseCrew, CauseOwner, CauseChoice} }

// checkRelease is checkReason, of a cause as well, which may be missing.
func checkRelease(reason string, cause ReleaseCause) (string, error) {
	var c checker
	reason = c.text("reason", reason, 1, 500)
	if cause != "" && !slices.Contains(ReleaseCauses(), cause) {
		oneOf(&c, "cause", cause, ReleaseCauses())
	}
	return reason, c.err()
}
