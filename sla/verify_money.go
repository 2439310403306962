package sla

import (
	"fmt"
	"slices"
)

// compareMoney holds what is owed against the verdict, and what was booked
// against what is owed.
//
// One compensation counts, and it is over what the verdict says. Two things
// may stand in between: what finance voided stays void while the amount does,
// and money that is on its way or gone stays as it is, with an open note of
// what it should be.
func compareMoney(k kept, differ func(field, stored, wanted string)) {
	owed := k.guarantee.Verdict.Fen
	if !k.due {
		owed = 0 // history that nobody has approved for payment
	}
	var live []Compensation
	for _, c := range k.compensations {
		if c.State != Voided {
			live = append(live, c)
		}
		compareBooked(c, k.postings, differ)
		differ("vehicle of "+c.ID.String(), c.Vehicle, k.vehicle)
		differ("month of "+c.ID.String(), c.Month.Format("2006-01"), monthOf(k.guarantee.OpenedAt).Format("2006-01"))
		differ("policy of "+c.ID.String(), fmt.Sprintf("%s/%d", c.Policy, c.PolicyVersion),
			fmt.Sprintf("%s/%d", k.guarantee.Promise.Policy, k.guarantee.Promise.PolicyVersion))
	}
	switch {
	case len(live) > 1:
		differ("compensations that count", number(int64(len(live))), "1")
	case len(live) == 1:
		compareLive(live[0], owed, k, differ)
	case owed > 0 && !voidedByPerson(k.compensations, owed):
		differ("compensation", "", owedWords(owed))
	}
}

// compareLive holds the compensation that counts against what is owed.
func compareLive(c Compensation, owed Fen, k kept, differ func(field, stored, wanted string)) {
	noted := slices.IndexFunc(k.notes, func(d Difference) bool { return d.CompensationID == c.ID })
	switch {
	case c.Fen == owed && noted >= 0:
		differ("note of "+c.ID.String(), owedWords(k.notes[noted].OwedFen), "")
	case c.Fen == owed:
	case c.withdrawal() == "" && noted >= 0:
		differ("note of "+c.ID.String(), owedWords(k.notes[noted].OwedFen), owedWords(owed))
	default:
		differ("compensation "+c.ID.String(), owedWords(c.Fen), owedWords(owed))
	}
}

// voidedByPerson reports whether the last compensation over fen was voided by
// a person and not by a later verdict.
func voidedByPerson(list []Compensation, fen Fen) bool {
	if len(list) == 0 {
		return false
	}
	last := list[len(list)-1]
	return last.State == Voided && last.Fen == fen && last.VoidedBy != clockActor.String()
}

// compareBooked holds the accrual and, once it is void, its reversal against
// a compensation.
func compareBooked(c Compensation, posted map[string]posting, differ func(field, stored, wanted string)) {
	id := c.ID.String()
	accrual, found := posted[postingKey(c.ID, "accrual")]
	if !found {
		differ("accrual of "+id, "", owedWords(c.Fen))
	} else {
		differ("accrual of "+id, owedWords(-accrual.on(OwnerPayable)), owedWords(c.Fen))
	}
	void, found := posted[postingKey(c.ID, "void")]
	switch {
	case c.State == Voided && !found:
		differ("reversal of "+id, "", owedWords(c.Fen))
	case c.State != Voided && found:
		differ("reversal of "+id, owedWords(void.on(OwnerPayable)), "")
	case found:
		differ("reversal of "+id, owedWords(void.on(OwnerPayable)), owedWords(c.Fen))
	}
}

// on sums a posting's lines on an account.
func (p posting) on(account Account) (sum Fen) {
	for _, e := range p.entries {
		if e.account == account {
			sum += e.fen
		}
	}
	return sum
}

func owedWords(fen Fen) string { return fmt.Sprintf("%d fen", fen) }
