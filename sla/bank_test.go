package sla_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// bank is whoever pays: it takes each order once, by its key, and pays each
// reference once, as a payment house does.
type bank struct {
	mu     sync.Mutex
	orders map[string][]sla.PayoutLine
	sent   int               // how often it was asked
	paid   map[string]int    // how often each reference was taken
	fail   func(n int) error // of the nth call; nil: it works
}

func newBank() *bank { return &bank{orders: map[string][]sla.PayoutLine{}, paid: map[string]int{}} }

func (b *bank) Name() string { return "bank" }

func (b *bank) Send(_ context.Context, order sla.PayoutOrder, lines iter.Seq2[sla.PayoutLine, error]) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	var taken []sla.PayoutLine
	var total sla.Fen
	for l, err := range lines {
		if err != nil {
			return "", err
		}
		taken = append(taken, l)
		total += l.Fen
	}
	if int64(len(taken)) != order.Lines || total != order.Total {
		return "", errors.New("the order is not what it says")
	}
	if _, again := b.orders[order.Key]; !again {
		b.orders[order.Key] = taken
		for _, l := range taken {
			b.paid[l.Reference]++
		}
	}
	if b.fail != nil {
		if err := b.fail(b.sent); err != nil {
			return "", err // it has the order, and its answer is lost
		}
	}
	return "taken", nil
}

// approved lets rescues come late and approves what they are owed.
func (r *rig) approved(n int) []sla.Compensation {
	r.t.Helper()
	list := make([]sla.Compensation, n)
	for i := range list {
		c := r.live(r.late(time.Duration(1+i%3*15) * time.Minute))
		var err error
		list[i], err = r.Approve(context.Background(), finance, c.ID, c.Version, "looked at it")
		require.NoError(r.t, err)
	}
	return list
}

// sealed opens a batch of all that is approved and seals it.
func (r *rig) sealed() sla.Batch {
	r.t.Helper()
	ctx := context.Background()
	b, _, err := r.OpenBatch(ctx, finance, "March", events.NewID[events.EventID]().String())
	require.NoError(r.t, err)
	b, _, err = r.Fill(ctx, finance, b.ID, sla.FillFilter{}, 0)
	require.NoError(r.t, err)
	b, err = r.Seal(ctx, finance, b.ID, b.Version)
	require.NoError(r.t, err)
	return b
}

// submitted takes a batch of all that is approved to whoever pays.
func (r *rig) submitted() sla.Batch {
	r.t.Helper()
	ctx := context.Background()
	b := r.sealed()
	b, err := r.ApproveBatch(ctx, finance2, b.ID, b.Version, "checked against the list")
	require.NoError(r.t, err)
	b, err = r.Submit(ctx, finance2, b.ID, b.Version, "")
	require.NoError(r.t, err)
	handed, err := r.PayOut(ctx)
	require.NoError(r.t, err)
	require.Equal(r.t, 1, handed)
	return b
}

// lines are all lines of a batch.
func (r *rig) lines(id events.BatchID) []sla.BatchLine {
	r.t.Helper()
	list, err := r.BatchLines(context.Background(), finance, id, "", events.CompensationID{}, 100_000)
	require.NoError(r.t, err)
	return list
}

// told makes results of open lines; bounced says which came back, by place.
func (r *rig) told(id events.BatchID, bounced func(i int) bool) sla.Results {
	r.t.Helper()
	var in sla.Results
	for i, l := range r.lines(id) {
		if l.State != sla.LineOpen {
			continue
		}
		res := sla.ResultLine{Reference: l.Reference, Outcome: sla.OutcomePaid, Fen: l.Fen}
		if bounced != nil && bounced(i) {
			res.Outcome, res.Why = sla.OutcomeBounced, "the account is closed"
		} else {
			in.Paid.Lines, in.Paid.Fen = in.Paid.Lines+1, in.Paid.Fen+l.Fen
		}
		in.Lines = append(in.Lines, res)
		in.Total.Lines, in.Total.Fen = in.Total.Lines+1, in.Total.Fen+l.Fen
	}
	return in
}

// results records them.
func (r *rig) results(b sla.Batch, bounced func(i int) bool) sla.Batch {
	r.t.Helper()
	b, hit, err := r.Record(context.Background(), finance, b.ID, r.told(b.ID, bounced))
	require.NoError(r.t, err)
	require.False(r.t, hit)
	return b
}
