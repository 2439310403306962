package sla

import "rescued/events"

// Provider is whose crew stopped the clock of verdict v by its arrival, or
// else whose was sent last; zero when nobody is known to have been sent.
func (t Timeline) Provider(v Verdict) (last events.ProviderID) {
	facts := setOf(t.Facts)
	var came events.CrewID
	for _, f := range facts {
		if f.Kind == FactArrived && !v.Cancelled && f.At.Equal(v.StoppedAt) {
			came = f.Crew
			break
		}
	}
	for _, f := range facts {
		if f.Kind == FactAssigned && (came.IsZero() || f.Crew == came && !f.At.After(v.StoppedAt)) {
			last = f.Provider
		}
	}
	return last
}
