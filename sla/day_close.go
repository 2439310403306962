package sla

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// SignDay puts somebody's name and note to what differs on a day, as it is
// now. Another person may then close it, as long as nothing has changed since.
// seen is the version the caller saw.
func (s *Service) SignDay(ctx context.Context, by events.Actor, day time.Time, seen int64, why string) (_ Day, err error) {
	defer fault.Wrap(&err, "sign %s", dateText(day))
	if why, err = checkReason(why); err != nil {
		return Day{}, err
	}
	return s.stepDay(ctx, by, day, seen, evSign, func(d *Day, now time.Time) error {
		if !d.Figures.Differs() {
			return ErrDayAgrees
		}
		d.Signed, d.SignedBy, d.SignedWhy, d.SignedAt = d.Figures, by.String(), why, now
		return nil
	})
}

// CloseDay closes a business day that is over. Where our books and the
// statements agree, line by line, anybody of finance may; where they do not it
// is ErrDayDiffers, unless somebody else has signed for exactly this
// difference. Days close in their order. From then on nothing is booked into
// the day: a payment told later belongs to the next day that is open.
func (s *Service) CloseDay(ctx context.Context, by events.Actor, day time.Time, seen int64, why string) (_ Day, err error) {
	defer fault.Wrap(&err, "close %s", dateText(day))
	if why, err = checkReason(why); err != nil {
		return Day{}, err
	}
	return s.stepDay(ctx, by, day, seen, evCloseDay, func(d *Day, now time.Time) error {
		if d.Figures.Differs() && (d.State != DaySigned || d.Signed != d.Figures) {
			return ErrDayDiffers.With("figures", d.Figures).With("signed", d.State == DaySigned)
		}
		d.ClosedBy, d.ClosedWhy, d.ClosedAt = by.String(), why, now
		return nil
	})
}

// stepDay moves a day by its table. Nobody posts or tells anything of any day
// meanwhile, so the figures it decides on are those that stay.
func (s *Service) stepDay(ctx context.Context, by events.Actor, day time.Time, seen int64, ev DayEvent, fn func(d *Day, now time.Time) error) (d Day, err error) {
	if !by.Is(events.RoleFinance) {
		return Day{}, forbidden(by)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		closed, err := closedThrough(ctx, tx, true)
		if err != nil {
			return err
		}
		now := s.now()
		if d, err = readDay(ctx, tx, day, closed); err != nil {
			return err
		}
		next, err := dayTable.Next(d.State, ev)
		switch {
		case err != nil && d.State == DayClosed:
			return ErrDayClosed
		case err != nil:
			return err
		case d.Version != seen:
			return ErrStale.With("version", d.Version)
		case !day.Before(dayOf(now)):
			return ErrDayNotOver
		}
		if err := fn(&d, now); err != nil {
			return err
		}
		if next == DayClosed {
			if first, err := firstOpenBefore(ctx, tx, day, closed); err != nil {
				return err
			} else if !first.IsZero() {
				return ErrEarlierOpen.With("day", dateText(first))
			}
		}
		d.State, d.Version, d.ChangedAt = next, d.Version+1, now
		if err := upsertDay(ctx, tx, d); pg.Violates(err, "two_for_a_difference") {
			return ErrSecondSigner.Because(err)
		} else if err != nil {
			return err
		}
		f := d.Figures
		return events.Append(ctx, tx, by, now, d.Version, events.DayChanged{
			Day: dateText(day), State: string(d.State), OursFen: int64(f.Ours()), TheirsFen: int64(f.Theirs()),
			Matched: f.Matched.Lines, OursOnly: f.OursOnly.Lines, TheirsOnly: f.TheirsOnly.Lines, AmountsDiffer: f.Differ.Lines,
			ChangedAt: now, Reason: d.reason(),
		})
	})
	return d, err
}

func (d Day) reason() string {
	if d.State == DayClosed {
		return d.ClosedWhy
	}
	return d.SignedWhy
}

// readDay gives a day as it stands. A day that nobody has touched is open, or
// closed with those after it.
func readDay(ctx context.Context, db events.Querier, day, closed time.Time) (Day, error) {
	d, err := findDay(ctx, db, day)
	if pg.NotFound(err) {
		d = Day{Day: day, State: DayOpen, Version: 1}
		if !day.After(closed) {
			d.State = DayClosed
		}
	} else if err != nil {
		return d, err
	}
	if d.State == DayClosed {
		return d, nil
	}
	d.Figures, err = sumCompared(ctx, db, day, events.ReconciliationID{})
	return d, err
}

// DayAt gives a business day: its state, and the four lists in sum. Finance
// and administrators may.
func (s *Service) DayAt(ctx context.Context, by events.Actor, day time.Time) (d Day, err error) {
	defer fault.Wrap(&err, "day %s", dateText(day))
	if !by.Is(moneyReaders...) {
		return Day{}, forbidden(by)
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		closed, err := closedThrough(ctx, tx, false)
		if err != nil {
			return err
		}
		d, err = readDay(ctx, tx, day, closed)
		return err
	})
	return d, err
}

// Days lists the business days on which something was paid, told, signed or
// closed, the latest first, at most limit of those before one; the zero time
// is the latest. Finance and administrators may.
func (s *Service) Days(ctx context.Context, by events.Actor, before time.Time, limit int) (list []Day, err error) {
	defer fault.Wrap(&err, "days")
	if !by.Is(moneyReaders...) {
		return nil, forbidden(by)
	}
	dates, err := listDates(ctx, s.pool, before, limit)
	if err != nil {
		return nil, err
	}
	for _, day := range dates {
		d, err := s.DayAt(ctx, by, day)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}
