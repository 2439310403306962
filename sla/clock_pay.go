package sla

import "slices"

// settlement is how an amount came about: how it ended, and what that pays.
type settlement struct {
	ending  ending
	rule    PayRule  // what that ending pays
	payment *payment // by lateness; nil when the ending pays something else
	excuse  *excuse
	refused []refusal // exclusions before it that do not apply
	capped  string    // the cap that cut it: per_case or per_vehicle_month
}

// ending is how a promise ended, as far as pay goes.
type ending string

const (
	endedArrival    ending = "arrival"
	endedGone       ending = "gone_on_arrival"
	endedEarly      ending = "early_cancellation"
	endedLate       ending = "late_cancellation"
	endedNoCoverage ending = "no_coverage"
)

// reckon works out what a verdict's outcome pays. A fixed amount for calling
// off is paid whatever the lateness; everything else is for lateness, and only
// lateness can be excused.
func (p Policy) reckon(v *Verdict, a *account) {
	if v.Outcome == OutcomePending {
		return
	}
	s := &a.settled
	s.ending, s.rule = p.ended(*v, a)
	switch {
	case s.rule.Pays == PayFixed:
		v.RawFen = s.rule.Fen
	case s.rule.Pays == PayTierReached && v.Outcome == OutcomeLate:
		paid := p.Compensation.pay(v.Late, priceOf(a.facts), p.Bearers.ServiceFeeFen)
		s.payment, v.RawFen = &paid, paid.fen
	}
	v.UncappedFen = v.RawFen
	if v.Outcome == OutcomeLate {
		if s.excuse, s.refused = p.excuseFor(a.timeline, a.facts, v.DueAt); s.excuse != nil {
			v.Excluded = s.excuse.rule.Rule
			v.UncappedFen = percent(v.RawFen, s.excuse.rule.OwesPct)
		}
	}
	v.Fen, s.capped = p.Caps.cut(v.UncappedFen, a.timeline.Spent)
	v.OverBudget = p.Caps.BudgetFen > 0 && v.Fen > 0 && v.Fen > p.Caps.BudgetFen-a.timeline.Spent.BudgetFen
}

// ended says how it ended and what that pays.
func (p Policy) ended(v Verdict, a *account) (ending, PayRule) {
	if !v.Cancelled {
		gone := slices.ContainsFunc(a.facts, func(f Fact) bool {
			return f.Kind == FactFinished && f.Crew == a.arrival.Crew && f.Source == outcomeGone && !f.At.Before(a.arrival.At)
		})
		if gone && v.Outcome == OutcomeLate && p.GoneOnArrival != (PayRule{}) {
			return endedGone, p.GoneOnArrival
		}
		if v.Outcome == OutcomeMet {
			return endedArrival, PayRule{Pays: PayNothing}
		}
		return endedArrival, PayRule{Pays: PayTierReached}
	}
	told := earliest(a.facts, FactNoCoverage)
	switch {
	case told != nil && !told.At.After(a.cancel.At) && p.NoCoverage != (PayRule{}):
		return endedNoCoverage, p.NoCoverage
	case v.Outcome == OutcomeLate:
		return endedLate, PayRule{Pays: p.LateCancellation, Fen: p.LateCancellationFen}
	case p.EarlyCancellation != (PayRule{}):
		return endedEarly, p.EarlyCancellation
	}
	return endedEarly, PayRule{Pays: PayNothing}
}

// outcomeGone is how dispatch calls a job at which the car was gone.
const outcomeGone = "gone_on_arrival"

// priceOf is what the rescue costs, as told last; 0 while that is not known.
func priceOf(facts []Fact) Fen {
	var price Fen
	for _, f := range facts {
		if f.Kind == FactPriced {
			price = f.Fen
		}
	}
	return price
}

// cut is what is left of an amount under the caps of the case and of the
// vehicle's month, and which of them cut it. A spent budget cuts nothing.
func (k Caps) cut(fen Fen, spent Spent) (left Fen, by string) {
	left = fen
	if k.PerCaseFen > 0 && left > k.PerCaseFen {
		left, by = k.PerCaseFen, "per_case"
	}
	if k.PerVehicleMonthFen > 0 {
		if rest := max(0, k.PerVehicleMonthFen-spent.VehicleMonthFen); left > rest {
			left, by = rest, "per_vehicle_month"
		}
	}
	return left, by
}
