package sla

import (
	"time"

	"rescued/events"
)

// BatchBody is a batch as JSON.
type BatchBody struct {
	ID          events.BatchID `json:"id"`
	State       BatchState     `json:"state" enum:"draft,sealed,approved,submitted,settled,discarded"`
	Version     int64          `json:"version" doc:"Goes into If-Match."`
	Title       string         `json:"title"`
	Lines       int64          `json:"lines"`
	TotalFen    Fen            `json:"total_fen"`
	Digest      string         `json:"digest,omitempty" doc:"Once sealed: SHA-256 over the rows of the payout file, hexadecimal."`
	Paid        Tally          `json:"paid"`
	Bounced     Tally          `json:"bounced"`
	Open        Tally          `json:"open" doc:"Lines without a result yet."`
	CreatedBy   string         `json:"created_by"`
	CreatedAt   time.Time      `json:"created_at"`
	SealedBy    string         `json:"sealed_by,omitempty"`
	SealedAt    *time.Time     `json:"sealed_at,omitempty"`
	ApprovedBy  string         `json:"approved_by,omitempty"`
	ApprovedWhy string         `json:"approved_why,omitempty"`
	ApprovedAt  *time.Time     `json:"approved_at,omitempty"`
	SubmittedBy string         `json:"submitted_by,omitempty"`
	SubmittedAt *time.Time     `json:"submitted_at,omitempty"`
	EndedBy     string         `json:"ended_by,omitempty" doc:"Who discarded, rejected or settled it."`
	EndedWhy    string         `json:"ended_why,omitempty"`
	EndedAt     *time.Time     `json:"ended_at,omitempty"`
	ChangedAt   time.Time      `json:"changed_at"`
}

func batchBody(b Batch) BatchBody {
	return BatchBody{
		ID: b.ID, State: b.State, Version: b.Version, Title: b.Title, Lines: b.Lines, TotalFen: b.Total, Digest: b.Digest,
		Paid: b.Paid, Bounced: b.Bounced, Open: b.Open(), CreatedBy: b.CreatedBy, CreatedAt: b.CreatedAt,
		SealedBy: b.SealedBy, SealedAt: nullable(b.SealedAt),
		ApprovedBy: b.ApprovedBy, ApprovedWhy: b.ApprovedWhy, ApprovedAt: nullable(b.ApprovedAt),
		SubmittedBy: b.SubmittedBy, SubmittedAt: nullable(b.SubmittedAt),
		EndedBy: b.EndedBy, EndedWhy: b.EndedWhy, EndedAt: nullable(b.EndedAt), ChangedAt: b.ChangedAt,
	}
}

// LineBody is a payment as JSON.
type LineBody struct {
	Reference      string                `json:"reference" doc:"What the payment is called outside."`
	Payee          events.RequestID      `json:"payee" doc:"The request whose owner is paid."`
	CompensationID events.CompensationID `json:"compensation_id"`
	Attempt        int                   `json:"attempt" doc:"1 for the first; one more after each bounce."`
	Fen            Fen                   `json:"fen"`
	State          LineState             `json:"state" enum:"open,paid,bounced,released"`
	PaidOn         string                `json:"paid_on,omitempty" doc:"Business date of the payment." example:"2026-03-02"`
	Why            string                `json:"why,omitempty" doc:"Why it bounced."`
}

func lineBody(l BatchLine) LineBody {
	return LineBody{
		Reference: l.Reference, Payee: l.Payee, CompensationID: l.CompensationID, Attempt: l.Attempt,
		Fen: l.Fen, State: l.State, PaidOn: dateText(l.PaidOn), Why: l.Why,
	}
}

// PayoutBody is how a submitted batch gets on, as JSON.
type PayoutBody struct {
	BatchID   events.BatchID `json:"batch_id"`
	Key       string         `json:"key" doc:"Under which it is sent, every time; it pays nobody twice."`
	Via       string         `json:"via" example:"file"`
	State     PayoutState    `json:"state" enum:"waiting,sending,sent,failed"`
	Attempts  int            `json:"attempts"`
	NextAt    *time.Time     `json:"next_at,omitempty" doc:"When it is tried again."`
	Failure   string         `json:"failure,omitempty" doc:"Of the latest attempt."`
	Receipt   string         `json:"receipt,omitempty" doc:"What the other side, or the disk, had to show."`
	SentAt    *time.Time     `json:"sent_at,omitempty"`
	ChangedAt time.Time      `json:"changed_at"`
}

func payoutBody(p PayoutStatus) PayoutBody {
	b := PayoutBody{
		BatchID: p.BatchID, Key: p.Key, Via: p.Via, State: p.State, Attempts: p.Attempts,
		Failure: p.Failure, Receipt: p.Receipt, SentAt: nullable(p.SentAt), ChangedAt: p.ChangedAt,
	}
	if p.State == PayoutWaiting || p.State == PayoutSending {
		b.NextAt = &p.NextAt
	}
	return b
}

// dateText writes a business date; none is empty.
func dateText(day time.Time) string {
	if day.IsZero() {
		return ""
	}
	return day.Format(time.DateOnly)
}

// ResultLineBody is what became of one payment, as JSON.
type ResultLineBody struct {
	Reference string `json:"reference" maxLength:"64" doc:"As the payment was sent."`
	Outcome   string `json:"outcome" enum:"paid,bounced"`
	Fen       Fen    `json:"fen" minimum:"1" doc:"The amount, which must be the payment's."`
	PaidOn    string `json:"paid_on,omitempty" format:"date" doc:"Business date of the payment; today when missing. A payment on a closed day is booked on the next open one."`
	Reason    string `json:"reason,omitempty" maxLength:"500" doc:"Why it bounced; required then."`
}

// ResultsBody is a set of results, with what its sender says it comes to.
type ResultsBody struct {
	Name  string           `json:"name,omitempty" maxLength:"200" doc:"Of the file, for people."`
	Lines []ResultLineBody `json:"lines" minItems:"1" maxItems:"20000" nullable:"false"`
	Total Tally            `json:"total" doc:"All lines; it must be what the lines come to."`
	Paid  Tally            `json:"paid" doc:"Those paid; it must be what the lines come to."`
}

func (b ResultsBody) results() (Results, error) {
	in := Results{Name: b.Name, Total: b.Total, Paid: b.Paid, Lines: make([]ResultLine, len(b.Lines))}
	var wrong complaintList
	for i, l := range b.Lines {
		in.Lines[i] = ResultLine{Reference: l.Reference, Outcome: PaymentOutcome(l.Outcome), Fen: l.Fen, Why: l.Reason}
		if l.PaidOn == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, l.PaidOn)
		if err != nil {
			wrong.add(i, "paid_on", "date", "must be a date such as 2026-03-02")
		}
		in.Lines[i].PaidOn = day
	}
	return in, wrong.err()
}
