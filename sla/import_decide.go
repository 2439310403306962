package sla

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// accrueChunk is how many guarantees of an approved import accrue in one
// transaction, which also notes how far the import has come: a process that is
// killed goes on from there.
const accrueChunk = 1000

// ApproveImport lets what the rescues of a prepared import owe be paid: it
// accrues shortly after, and each compensation then goes the way of every
// other. It is finance's, needs a reason, and is never done by whoever
// prepared it: ErrImportFourEyes. seen is the version the caller saw.
func (s *Service) ApproveImport(ctx context.Context, by events.Actor, id events.ImportID, seen int64, why string) (Import, error) {
	return s.decideImport(ctx, by, id, seen, why, evApproveImport)
}

// RejectImport leaves a prepared import as history of which nothing is paid.
func (s *Service) RejectImport(ctx context.Context, by events.Actor, id events.ImportID, seen int64, why string) (Import, error) {
	return s.decideImport(ctx, by, id, seen, why, evRejectImport)
}

func (s *Service) decideImport(ctx context.Context, by events.Actor, id events.ImportID, seen int64, why string, ev ImportEvent) (imp Import, err error) {
	defer fault.Wrap(&err, "%s import %s", ev, id)
	if !by.Is(events.RoleFinance) {
		return Import{}, forbidden(by)
	}
	if why, err = checkReason(why); err != nil {
		return Import{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		imp, err = lockImport(ctx, tx, id)
		if pg.NotFound(err) {
			return ErrNoImport
		}
		if err != nil {
			return err
		}
		if imp.Version != seen {
			return ErrStale.With("version", imp.Version)
		}
		if ev == evRejectImport { // what it would have paid counts for no car's month any more
			if err := pg.LockTx(ctx, tx, monthsLock); err != nil {
				return err
			}
		}
		imp, err = stepImport(ctx, tx, imp, ev, by, why, s.now())
		return err
	})
	return imp, err
}

// AccrueImports accrues what the rescues of approved imports owe, at most
// limit of them, and says how many. Run does it all the time; several replicas
// may at once, and each rescue accrues once.
func (s *Service) AccrueImports(ctx context.Context, limit int) (accrued int, err error) {
	defer fault.Wrap(&err, "accrue imports")
	for accrued < limit {
		chunk, n, more := min(limit-accrued, accrueChunk), 0, false
		err := s.inTxIf(ctx, func(tx pgx.Tx) (bool, error) {
			n, more = 0, false
			imp, err := lockAccruing(ctx, tx)
			if pg.NotFound(err) {
				return false, nil
			}
			if err == nil {
				more = true
				n, err = s.accrueImport(ctx, tx, imp, chunk)
			}
			return n > 0, err
		})
		if err != nil {
			return accrued, err
		}
		if accrued += n; !more {
			break
		}
	}
	return accrued, nil
}

// accrueImport accrues the next rescues of a locked import, and closes it
// after the last.
func (s *Service) accrueImport(ctx context.Context, tx pgx.Tx, imp Import, limit int) (int, error) {
	list, err := listOwedOfImport(ctx, tx, imp.ID, imp.accruedTo, limit)
	if err != nil {
		return 0, err
	}
	now := s.now()
	if err := s.accrue(ctx, tx, list, imp.PreparedBy, now); err != nil {
		return 0, err
	}
	if len(list) > 0 {
		imp.accruedTo = list[len(list)-1].ID
	}
	if len(list) < limit {
		imp.AccruedAt = now
	}
	imp.Version, imp.ChangedAt = imp.Version+1, now
	return len(list), updateImport(ctx, tx, imp)
}

// Imports lists imports by when they were prepared, at most limit of those
// after the place where the page before ended. Finance, administrators and
// operators may.
func (s *Service) Imports(ctx context.Context, by events.Actor, state ImportState, after ImportPlace, limit int) (_ []Import, err error) {
	defer fault.Wrap(&err, "imports")
	if !by.Is(promiseReaders...) {
		return nil, forbidden(by)
	}
	return listImports(ctx, s.pool, state, after, limit)
}

// Import gives one import.
func (s *Service) Import(ctx context.Context, by events.Actor, id events.ImportID) (_ Import, err error) {
	defer fault.Wrap(&err, "import %s", id)
	if !by.Is(promiseReaders...) && !by.Is(events.RoleSystem) {
		return Import{}, forbidden(by)
	}
	imp, err := findImport(ctx, s.pool, id)
	if pg.NotFound(err) {
		err = ErrNoImport
	}
	return imp, err
}
