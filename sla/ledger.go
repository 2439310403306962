package sla

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// Account is a ledger account.
type Account string

// The accounts. Debits are positive and credits negative, so a payable that
// is owed has a negative balance.
const (
	OwnerPayable        Account = "owner_payable"        // owed to owners, not on its way yet
	CompensationExpense Account = "compensation_expense" // what lateness costs the platform
	ProviderReceivable  Account = "provider_receivable"  // charged back to providers
	PartnerShare        Account = "partner_share"        // borne by partners
	ServiceCost         Account = "service_cost"         // what providers earned by their services
	ProviderPayable     Account = "provider_payable"     // of that, invoiced and not settled yet
	PayoutClearing      Account = "payout_clearing"      // submitted for payment, result not known
	Cash                Account = "cash"                 // money at the bank
)

// Accounts lists every account, for filters and documents.
func Accounts() []Account {
	return []Account{OwnerPayable, CompensationExpense, ProviderReceivable, PartnerShare, ServiceCost, ProviderPayable, PayoutClearing, Cash}
}

// entry is one line of a posting: positive debits the account, negative
// credits it.
type entry struct {
	account Account
	fen     Fen
}

// posting is one balanced transaction in yuan. Its key says what it is for,
// so that the same thing is never posted twice.
type posting struct {
	id           uuid.UUID
	key, kind    string
	compensation events.CompensationID // zero when it is about none
	batch        events.BatchID        // zero when it is about none
	reverses     *uuid.UUID
	entries      []entry
	total        Fen // sum of the debits
	by           events.Actor
	at           time.Time
	bookedOn     time.Time // business day; zero: that of at. A closed one gives way to the next
}

// Errors of postings.
var (
	errUnbalanced    = fault.New(fault.Internal, "ledger_unbalanced", "A ledger posting does not balance.")
	ErrAlreadyPosted = fault.New(fault.Conflict, "already_posted", "This is in the ledger already; nothing was posted again.")
)

// newPosting refuses lines that do not sum to zero or say nothing. The
// database checks the same again when the transaction commits.
func newPosting(key, kind string, by events.Actor, at time.Time, entries ...entry) (posting, error) {
	p := posting{id: uuid.Must(uuid.NewV7()), key: key, kind: kind, entries: entries, by: by, at: at}
	var sum Fen
	for _, e := range entries {
		var err error
		if sum, err = sum.Plus(e.fen); err != nil {
			return posting{}, err
		}
		if e.fen == 0 {
			return posting{}, errUnbalanced.Detailf("Posting %s has a line of nothing.", key)
		}
		if e.fen > 0 {
			if p.total, err = p.total.Plus(e.fen); err != nil {
				return posting{}, err
			}
		}
	}
	if sum != 0 || p.total == 0 {
		return posting{}, errUnbalanced.Detailf("Posting %s sums to %s over debits of %s.", key, sum, p.total)
	}
	return p, nil
}

// reversal is the posting that takes p back: the same lines with the other
// sign, linked to it. p itself stays as it was posted, and is reversed once.
func (p posting) reversal(key, kind string, by events.Actor, at time.Time) posting {
	r := p
	r.id, r.key, r.kind, r.by, r.at, r.reverses, r.bookedOn = uuid.Must(uuid.NewV7()), key, kind, by, at, &p.id, time.Time{}
	r.entries = make([]entry, len(p.entries))
	for i, e := range p.entries {
		r.entries[i] = entry{e.account, -e.fen}
	}
	return r
}

func postingKey(id events.CompensationID, what string) string {
	return "compensation:" + id.String() + ":" + what
}

// accrualOf books what is owed: an expense, payable to the owner.
func accrualOf(c Compensation, by events.Actor, at time.Time) (posting, error) {
	p, err := newPosting(postingKey(c.ID, "accrual"), "accrual", by, at,
		entry{CompensationExpense, c.Fen}, entry{OwnerPayable, -c.Fen})
	p.compensation = c.ID
	return p, err
}

// postVoid reverses the accrual.
func postVoid(ctx context.Context, tx pgx.Tx, c Compensation, by events.Actor, at time.Time) error {
	accrual, err := findPosting(ctx, tx, postingKey(c.ID, "accrual"))
	if err != nil {
		return fmt.Errorf("the accrual of %s: %w", c.ID, err)
	}
	return insertPostings(ctx, tx, accrual.reversal(postingKey(c.ID, "void"), "void", by, at))
}
