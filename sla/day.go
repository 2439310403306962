package sla

import (
	"time"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/fsm"
)

// DayState is where a business day stands.
type DayState string

// The states of a day.
const (
	DayOpen   DayState = "open"
	DaySigned DayState = "signed" // somebody has put his name to what differs
	DayClosed DayState = "closed" // nothing is booked into it any more
)

// DayEvent moves a day on.
type DayEvent string

// The events of a day.
const (
	evSign     DayEvent = "sign"
	evCloseDay DayEvent = "close"
)

// dayTable is the lifecycle of a day.
var dayTable = fsm.Table[DayState, DayEvent]{
	DayOpen:   {evSign: DaySigned, evCloseDay: DayClosed},
	DaySigned: {evSign: DaySigned, evCloseDay: DayClosed},
}

// MatchList is one of the four lists of a reconciliation.
type MatchList string

// The four lists.
const (
	ListMatched    MatchList = "matched"        // both have it, with one amount, on one day
	ListOursOnly   MatchList = "ours_only"      // paid by our books, and nobody says so
	ListTheirsOnly MatchList = "theirs_only"    // said to be paid, and not by our books
	ListDiffer     MatchList = "amounts_differ" // both have it, with different amounts
)

// DayFigures are the four lists of a day in sum.
type DayFigures struct {
	Matched    Tally `json:"matched" doc:"Both have it."`
	OursOnly   Tally `json:"ours_only" doc:"Paid by our books, and no statement says so."`
	TheirsOnly Tally `json:"theirs_only" doc:"In a statement, and not paid by our books on that day."`
	Differ     Tally `json:"amounts_differ" doc:"Both have it with different amounts; our amounts."`
	DifferFen  Fen   `json:"amounts_differ_theirs_fen" doc:"The same in their amounts."`
}

// Ours is what our books paid.
func (f DayFigures) Ours() Fen { return f.Matched.Fen + f.OursOnly.Fen + f.Differ.Fen }

// Theirs is what the statements say.
func (f DayFigures) Theirs() Fen { return f.Matched.Fen + f.TheirsOnly.Fen + f.DifferFen }

// Differs reports whether anything is left over, even if the sums agree.
func (f DayFigures) Differs() bool { return f.OursOnly.Lines+f.TheirsOnly.Lines+f.Differ.Lines > 0 }

// Day is a business day: what our books paid on it beside what banks and
// payment houses say.
type Day struct {
	Day     time.Time // midnight UTC of the date
	State   DayState
	Version int64
	Figures DayFigures // as they are; of a closed day, as it was closed

	Signed                        DayFigures // what was signed for
	SignedBy, SignedWhy           string
	ClosedBy, ClosedWhy           string
	SignedAt, ClosedAt, ChangedAt time.Time
}

// ComparedLine is one line of one of the four lists.
type ComparedLine struct {
	List           MatchList
	Reference      string
	OursFen        Fen // 0 when our books do not have it
	TheirsFen      Fen // 0 when no statement has it
	BatchID        events.BatchID
	CompensationID events.CompensationID
	Source         string // whose statement; empty when none
	// Why says what stands in the way: unknown (no payment of ours), no_result
	// (sent, and no result recorded), bounced, another_day (paid or told on
	// OtherDay), nothing for what matches.
	Why      string
	OtherDay time.Time
}

// Errors of days.
var (
	ErrDayDiffers   = fault.New(fault.Conflict, "day_differs", "The day does not agree with the statements; settle the differences, or let somebody sign for them and another close it.")
	ErrDayNotOver   = fault.New(fault.Conflict, "day_not_over", "The business day has not ended yet.")
	ErrEarlierOpen  = fault.New(fault.Conflict, "earlier_day_open", "An earlier day with payments is still open; days close in their order.")
	ErrDayClosed    = fault.New(fault.Conflict, "day_closed", "The business day is closed; nothing is told or booked into it any more.")
	ErrDayAgrees    = fault.New(fault.Conflict, "day_agrees", "Nothing differs, so there is nothing to sign for; close the day.")
	ErrSecondSigner = fault.New(fault.Forbidden, "second_signer", "You signed for the difference; a second person closes the day.")
)
