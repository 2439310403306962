package sla

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

const (
	// approveChunk is how many compensations are approved per transaction. One
	// costs as much whether 250 or 2000 go together. Few, so that a portion ends
	// well within a call's time however busy the machine is, and somebody else
	// who waits for the count of a programme has it within a moment.
	approveChunk = 250
	// MostApproved is the most compensations one call of ApproveMany approves.
	MostApproved = 50_000
	// ApproveWithin, by the wall, leaves somebody who waits for ApproveMany time
	// to be answered, however slow the database is.
	ApproveWithin = 10 * time.Second
)

// ApproveOrder says what is to be approved at once, and why.
type ApproveOrder struct {
	CompensationFilter        // which accrued ones; State is accrued or empty
	Why                string // kept with each
	// Expect is what the caller saw waiting: the total of the list under the
	// same filter. Nothing is approved when something else waits. nil: he
	// looked at no total.
	Expect *Tally
	Limit  int  // at most this many, and MostApproved; 0 is no other limit
	DryRun bool // say what would be approved, and approve nothing
	// Within is for somebody who waits: once it has taken that long, by the
	// wall, no further portion is begun, and the rest counts as beyond the
	// limit. 0 is no bound.
	Within time.Duration
}

// LeftReason is why a waiting compensation was not approved with the others.
type LeftReason string

// The reasons, in the order in which they are looked at.
const (
	LeftFourEyes LeftReason = "four_eyes"       // two persons must approve it, each by itself
	LeftPreparer LeftReason = "preparer"        // whoever asks has prepared it
	LeftReview   LeftReason = "review"          // a person must look at the verdict it rests on
	LeftVerdict  LeftReason = "verdict_differs" // the present verdict owes something else
	LeftLimit    LeftReason = "limit"           // beyond the limit of one call, or its time
	LeftHeld     LeftReason = "held"            // somebody else was deciding it, or has meanwhile
	LeftBroken   LeftReason = "interrupted"     // the database was away or too slow when it was its turn
)

// leftWords say each in words.
var leftWords = []struct {
	reason LeftReason
	zh, en string
}{
	{LeftFourEyes, "超过双人审核限额，须由两人逐笔批准", "Above the four-eyes limit: two persons approve each by itself"},
	{LeftPreparer, "由您本人经办，须由他人批准", "You prepared it: somebody else approves it"},
	{LeftReview, "所依据的认定待人工核对", "A person must look at the verdict it rests on"},
	{LeftVerdict, "现行认定的金额与之不同", "The present verdict owes another amount"},
	{LeftLimit, "超出单次处理的笔数或时间，请再次提交", "Beyond the limit of one call, or its time: call again"},
	{LeftHeld, "他人正在处理或已处理", "Somebody else was deciding it, or has meanwhile"},
	{LeftBroken, "处理中断，请重新查看列表后再次提交", "Interrupted: look at the list again and go on"},
}

// LeftOver is what was not approved for one reason.
type LeftOver struct {
	Reason LeftReason
	ZH, EN string
	Tally
}

// Approvals is what came of approving many: Waiting is Approved and all that
// is Left.
type Approvals struct {
	Waiting  Tally // accrued and selected by the filter when it began
	Approved Tally // or what would be, in a dry run
	Left     []LeftOver
}

// ErrWaitingDiffers means that something else waits than the caller expects.
var ErrWaitingDiffers = fault.New(fault.Conflict, "waiting_differs", "Something else is waiting than you expect.")

// candidate is a waiting compensation as the caller's filter found it.
type candidate struct {
	id      events.CompensationID
	version int64
	fen     Fen
	left    LeftReason // empty: it may be approved
}

// ApproveMany approves accrued compensations that a filter selects, the oldest
// first, as Approve does each: finance's, with a reason, never by whoever
// prepared it. What needs two approvers, a look at its verdict, or owes
// something else by now stays in the queue and is counted. Only what waited
// when it began is approved, and only as it was then. It approves in portions,
// each in a transaction of its own, and calling it again goes on. When the
// database fails it for a reason that passes, it tells what it had approved by
// then, and the rest is left as LeftBroken: had the connection gone with the
// word that a portion was approved, that portion is, and the list says so. It
// is an error when nothing had been approved, and for any other reason. With an
// expected total that is not what waits it is ErrWaitingDiffers, with both
// figures, and approves nothing.
func (s *Service) ApproveMany(ctx context.Context, by events.Actor, in ApproveOrder) (got Approvals, err error) {
	defer fault.Wrap(&err, "approve many")
	if !by.Is(events.RoleFinance) {
		return Approvals{}, forbidden(by)
	}
	if err := in.check(); err != nil {
		return Approvals{}, err
	}
	left := map[LeftReason]*Tally{}
	for _, w := range leftWords {
		left[w.reason] = &Tally{}
	}
	// One statement looks at all there is, so that its figures fit each other.
	var free []candidate
	err = eachWaiting(ctx, s.pool, in.CompensationFilter, by, func(c candidate) {
		got.Waiting.add(c.fen)
		switch {
		case c.left == "" && len(free) < in.Limit:
			free = append(free, c)
		case c.left == "":
			left[LeftLimit].add(c.fen)
		default:
			left[c.left].add(c.fen)
		}
	})
	if err != nil {
		return Approvals{}, err
	}
	if in.Expect != nil && *in.Expect != got.Waiting {
		return Approvals{}, ErrWaitingDiffers.Detailf(
			"You expect %d compensations over %s, and %d over %s are waiting, so nothing was approved. Look at the list again (GET /v1/compensations?state=accrued&total=true with the same filter), and expect what it says.",
			in.Expect.Lines, in.Expect.Fen, got.Waiting.Lines, got.Waiting.Fen).With("expected", *in.Expect).With("waiting", got.Waiting)
	}
	if in.DryRun {
		for _, c := range free {
			got.Approved.add(c.fen)
		}
	}
	leave := func(why LeftReason) {
		for _, c := range free {
			left[why].add(c.fen)
		}
		free = nil
	}
	for begun := time.Now(); len(free) > 0 && !in.DryRun; {
		if in.Within > 0 && got.Approved.Lines > 0 && time.Since(begun) >= in.Within {
			leave(LeftLimit)
			continue
		}
		chunk := free[:min(len(free), approveChunk)]
		err := s.inTx(ctx, func(tx pgx.Tx) error { return s.approveChunk(ctx, tx, by, in.Why, chunk) })
		switch {
		case err == nil:
		case got.Approved.Lines == 0:
			return Approvals{}, err
		case pg.Transient(err):
			s.cfg.Log.WarnContext(ctx, "approving many was interrupted", "approved", got.Approved.Lines, "error", err)
			leave(LeftBroken)
			continue
		default:
			return Approvals{}, fmt.Errorf("after %d compensations over %s were approved: %w", got.Approved.Lines, got.Approved.Fen, err)
		}
		free = free[len(chunk):]
		for _, c := range chunk {
			if c.left == "" {
				got.Approved.add(c.fen)
			} else {
				left[c.left].add(c.fen)
			}
		}
	}
	for _, w := range leftWords {
		if t := *left[w.reason]; t.Lines > 0 {
			got.Left = append(got.Left, LeftOver{w.reason, w.zh, w.en, t})
		}
	}
	return got, nil
}

// approveChunk approves those of a chunk that still are as they were found,
// and says of the others why they were left.
func (s *Service) approveChunk(ctx context.Context, tx pgx.Tx, by events.Actor, why string, chunk []candidate) error {
	list, reasons, err := lockWaiting(ctx, tx, chunk, by)
	if err != nil {
		return err
	}
	var free []Compensation
	locked := make(map[events.CompensationID]Compensation, len(list))
	for i, c := range list {
		locked[c.ID] = list[i]
	}
	for i := range chunk {
		c, ok := locked[chunk[i].id]
		switch {
		case !ok || c.Version != chunk[i].version:
			chunk[i].left = LeftHeld
		case reasons[c.ID] != "":
			chunk[i].left = reasons[c.ID]
		default:
			chunk[i].left = ""
			free = append(free, c)
		}
	}
	return stepCompensations(ctx, tx, free, evApprove, by, func(Compensation) string { return why }, s.now())
}

// check refuses an order that cannot be meant, with every wrong field.
func (in *ApproveOrder) check() (err error) {
	var wrong []fault.Field
	if in.Why, err = checkReason(in.Why); err != nil {
		wrong = append(wrong, fieldsOf(err)...)
	}
	if in.State != "" && in.State != Accrued {
		wrong = append(wrong, fault.Field{Field: "state", Code: "state", Detail: "only accrued compensations wait for approval; leave it out"})
	}
	if err := checkPeriod(in.From, in.To); err != nil {
		wrong = append(wrong, fieldsOf(err)...)
	}
	if in.UpTo < 0 {
		wrong = append(wrong, fault.Field{Field: "up_to_fen", Code: "range", Detail: "must be 0 for no limit, or more"})
	}
	if in.Limit < 0 || in.Limit > MostApproved {
		wrong = append(wrong, fault.Field{Field: "limit", Code: "range", Detail: fmt.Sprintf("must be 1 to %d", MostApproved)})
	}
	if e := in.Expect; e != nil && (e.Lines < 0 || e.Fen < 0) {
		wrong = append(wrong, fault.Field{Field: "expect", Code: "range", Detail: "must be how many are waiting and what they come to, as the list says with total=true"})
	}
	if in.Limit == 0 {
		in.Limit = MostApproved
	}
	return fault.InvalidFields(wrong)
}

// fieldsOf are the fields that an error names.
func fieldsOf(err error) []fault.Field {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Fields
	}
	return nil
}

func (t *Tally) add(fen Fen) { t.Lines, t.Fen = t.Lines+1, t.Fen+fen }
