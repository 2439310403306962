package pages

import (
	"net/http"
	"strconv"

	"rescued/sla"
)

// approveAll is the offer to approve all that a list of waiting compensations
// shows: what would be, and what stays for which reason.
type approveAll struct {
	Waiting, Approved sla.Tally
	Left              []sla.LeftOver
}

// offerAll tells what approving the whole list would come to. Nil where the
// reader may not, nothing waits, or the list shows other states too.
func (p *pages) offerAll(r *http.Request, f finance, filter sla.CompensationFilter, sum sla.Sum) (*approveAll, error) {
	if !f.MayAct() || filter.State != sla.Accrued || sum.Lines == 0 {
		return nil, nil
	}
	if sum.Lines > sla.MostApproved {
		// A look at so many takes long; the command itself counts what it leaves.
		return &approveAll{Waiting: sla.Tally(sum), Approved: sla.Tally{Lines: sla.MostApproved}}, nil
	}
	got, err := p.Money.ApproveMany(r.Context(), f.By, sla.ApproveOrder{CompensationFilter: filter, Why: "a look at the list", DryRun: true})
	if err != nil {
		return nil, err
	}
	return &approveAll{got.Waiting, got.Approved, got.Left}, nil
}

// Part reports whether only the oldest of many are approved at once.
func (a approveAll) Part() bool { return a.Waiting.Lines > sla.MostApproved }

// approveList approves all that the list showed, under the filter in the
// address, as long as that is what the reader saw.
func (p *pages) approveList(w http.ResponseWriter, r *http.Request, f finance) error {
	in := r.PostForm
	if in.Get("do") != "approve_all" {
		return errNoSuchStep
	}
	_, filter, err := p.compensationsPage(f)
	if err != nil {
		return err
	}
	seen := sla.Tally{Lines: whole(in.Get("expect_lines")), Fen: sla.Fen(whole(in.Get("expect_fen")))}
	got, err := p.Money.ApproveMany(r.Context(), f.By, sla.ApproveOrder{CompensationFilter: filter, Why: in.Get("reason"), Expect: &seen, Within: sla.ApproveWithin})
	switch {
	case err == nil:
		http.Redirect(w, r, f.With("done", "approve_all", "n", strconv.FormatInt(got.Approved.Lines, 10)), http.StatusSeeOther)
		return nil
	case f.refused(err, in):
		return p.compensations(w, r, f)
	}
	return err
}
