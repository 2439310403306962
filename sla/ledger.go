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
	OwnerPayable        Account = "owner_payable"        // owed to owners
	CompensationExpense Account = "compensation_expense" // what lateness costs
)

// entry is one line of a posting: positive debits the account, negative
// credits it.
type entry struct {
	account Account
	fen     Fen
}

// posting is one balanced transaction. Its key says what it is for, so that
// the same thing is never posted twice.
type posting struct {
	id           uuid.UUID
	key, kind    string
	compensation events.CompensationID
	reverses     *uuid.UUID
	entries      []entry
	total        Fen // sum of the debits
	by           events.Actor
	at           time.Time
}

var errUnbalanced = fault.New(fault.Internal, "ledger_unbalanced", "A ledger posting does not balance.")

// newPosting refuses lines that do not sum to zero or say nothing. The
// database checks the same again when the transaction commits.
func newPosting(key, kind string, c Compensation, by events.Actor, at time.Time, entries ...entry) (posting, error) {
	p := posting{
		id: uuid.Must(uuid.NewV7()), key: key, kind: kind, compensation: c.ID,
		entries: entries, by: by, at: at,
	}
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

func postingKey(c Compensation, what string) string {
	return fmt.Sprintf("compensation:%s:%s", c.ID, what)
}

// postAccrual books what is owed: an expense, payable to the owner.
func postAccrual(ctx context.Context, tx pgx.Tx, c Compensation, by events.Actor, at time.Time) error {
	p, err := newPosting(postingKey(c, "accrual"), "accrual", c, by, at,
		entry{CompensationExpense, c.Fen}, entry{OwnerPayable, -c.Fen})
	if err != nil {
		return err
	}
	return insertPosting(ctx, tx, p)
}

// postVoid reverses the accrual with a new transaction that is linked to it;
// the accrual itself stays as it was posted.
func postVoid(ctx context.Context, tx pgx.Tx, c Compensation, by events.Actor, at time.Time) error {
	accrual, entries, err := findPosting(ctx, tx, postingKey(c, "accrual"))
	if err != nil {
		return fmt.Errorf("the accrual of %s: %w", c.ID, err)
	}
	for i := range entries {
		entries[i].fen = -entries[i].fen
	}
	p, err := newPosting(postingKey(c, "void"), "void", c, by, at, entries...)
	if err != nil {
		return err
	}
	p.reverses = &accrual
	return insertPosting(ctx, tx, p)
}

// Balances gives every account's balance in fen, debits positive. They sum to
// zero.
func (s *Service) Balances(ctx context.Context) (_ map[Account]Fen, err error) {
	defer fault.Wrap(&err, "ledger balances")
	return sumAccounts(ctx, s.pool)
}
