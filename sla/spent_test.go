package sla_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/sla"
)

// sessions has the service work from now on by sessions of these settings.
func (r *rig) sessions(settings map[string]string) {
	r.t.Helper()
	cfg := r.pool.Config().Copy()
	for name, value := range settings {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	require.NoError(r.t, err)
	r.t.Cleanup(pool.Close)
	r.pool, r.Service = pool, sla.New(pool, sla.Config{Now: r.now, Visible: onlyOwners, Payouts: []sla.Payout{r.bank}})
}

// counted holds what is counted of the caps against the compensations there are.
func (r *rig) counted() {
	r.t.Helper()
	rows, err := r.pool.Query(context.Background(), `
		SELECT format('%s %s %s: %s counted of %s', policy, vehicle, month, coalesce(s.fen, 0), coalesce(c.fen, 0))
		FROM (SELECT policy, coalesce(vehicle, '') AS vehicle, coalesce(month, '-infinity') AS month, sum(fen) AS fen FROM sla.compensations
			WHERE state IN ('approved', 'batched', 'paid') GROUP BY GROUPING SETS ((policy), (policy, vehicle, month))
			HAVING GROUPING(vehicle) = 1 OR vehicle <> '') c
		FULL JOIN sla.spent s USING (policy, vehicle, month)
		WHERE coalesce(s.fen, 0) <> coalesce(c.fen, 0)`)
	require.NoError(r.t, err)
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		require.NoError(r.t, err)
		r.t.Error(values...)
	}
	require.NoError(r.t, rows.Err())
}

// TestAStatementCountsWhatItChanges: one that changes many compensations, of
// programmes and cars that have been counted and that have not, both ways at
// once; and one that changes nothing that counts touches no count.
func TestAStatementCountsWhatItChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const lines = 12
	copiesOfOne(t, r, lines, map[string]string{
		"vehicle": `CASE nth % 3 WHEN 0 THEN '' ELSE 'car-' || nth % 3 END`,
		"policy":  `CASE WHEN nth % 4 = 0 THEN 'another' ELSE one.policy END`,
		"fen":     `100 * nth`,
	})
	const approve, nth = `state = 'approved', approved_by = 'finance:lin', approved_why = 'x'`, `extract(milliseconds FROM accrued_at)::int`
	const withdraw = `state = 'disputed', approved_by = '', approved_why = '', disputed_by = 'operator:y', disputed_why = 'x'`
	change := func(set, where string) {
		t.Helper()
		_, err := r.pool.Exec(t.Context(), `UPDATE sla.compensations SET `+set+` WHERE `+where)
		require.NoError(t, err)
		r.counted()
	}
	// Counts as they are kept, with the transaction that wrote each.
	kept := func() (is string) {
		require.NoError(t, r.pool.QueryRow(t.Context(), `SELECT string_agg(concat_ws(' ', policy, vehicle, month, fen, xmin), ', ' ORDER BY policy, vehicle) FROM sla.spent`).Scan(&is))
		return is
	}
	change(approve, nth+` < 5`)
	require.NotZero(t, r.spent("example-45", ""))
	change(approve, nth+` BETWEEN 5 AND 8`)
	change(withdraw, nth+` = 7`)
	before := kept()
	change(`state = 'batched'`, `state = 'approved' AND `+nth+` < 7`)
	change(`state = 'paid'`, `state = 'batched' AND `+nth+` < 3`)
	change(`changed_at = changed_at + interval '1 s'`, `true`)
	change(`state = 'void', voided_by = 'finance:z', voided_why = 'x'`, `state = 'disputed'`)
	change(approve, `false`)
	require.Equal(t, before, kept())
	// Some come and others go, in one statement.
	change(`state = CASE state WHEN 'accrued' THEN 'approved' ELSE 'void' END, approved_by = 'finance:lin', approved_why = 'x',
		voided_by = CASE state WHEN 'accrued' THEN '' ELSE 'finance:z' END, voided_why = CASE state WHEN 'accrued' THEN '' ELSE 'x' END`,
		`state = 'accrued' OR `+nth+` IN (4, 5)`)
	// What is approved as it is made counts as well.
	_, err := r.pool.Exec(t.Context(), `INSERT INTO sla.compensations SELECT (jsonb_populate_record(c, '{"id": "01990000-0000-7004-8000-000000000001", "state": "approved", "voided_by": "", "voided_why": "", "vehicle": "car-new"}')).*
		FROM sla.compensations c WHERE `+nth+` = 5`)
	require.NoError(t, err)
	r.counted()
	require.EqualValues(t, 500, r.spent("example-45", "car-new"))

	// No count is ever below nothing.
	_, err = r.pool.Exec(t.Context(), `UPDATE sla.spent SET fen = 499 WHERE vehicle = 'car-new'`)
	require.NoError(t, err)
	_, err = r.pool.Exec(t.Context(), `UPDATE sla.compensations SET `+withdraw+` WHERE vehicle = 'car-new'`)
	require.True(t, pg.Violates(err, "spent_fen_check"), "%v", err)
	_, err = r.pool.Exec(t.Context(), `DELETE FROM sla.spent WHERE vehicle = 'car-new'`)
	require.NoError(t, err)
	_, err = r.pool.Exec(t.Context(), `UPDATE sla.compensations SET `+withdraw+` WHERE vehicle = 'car-new'`)
	require.True(t, pg.Violates(err, "spent_fen_check"), "%v", err)
}

// TestManyHandsCountWhatIsSpent: several people approve the same queue of some
// programmes and cars in small portions, while rescues of the same cars accrue
// and are approved within a cap, and others are taken back. Every fen is
// counted once, and nobody waits for somebody who waits for him: a session here
// is never freed from a deadlock, so that one would fail the test.
func TestManyHandsCountWhatIsSpent(t *testing.T) {
	t.Parallel()
	const rescues, cars = 48, 5
	r := newRig(t)
	r.sessions(map[string]string{"deadlock_timeout": "1h", "lock_timeout": "2min", "statement_timeout": "0"})
	policies := []string{"example-45", "another-45"}
	for _, name := range policies {
		r.under(func(doc map[string]any) {
			doc["name"] = name
			doc["approval"] = map[string]any{"auto_up_to_fen": 2000}
			doc["caps"] = map[string]any{"per_vehicle_month_fen": 10_000_000}
		})
	}
	opening := r.open(events.NewID[events.RequestID](), "urban")
	comes := func(n int, late time.Duration) (events.RequestID, error) {
		ev := opening
		ev.RequestID, ev.Promise.Policy = events.NewID[events.RequestID](), policies[n%2]
		if car := n % cars; car > 0 {
			ev.VehicleKey = fmt.Sprint("car-", car)
		}
		if err := r.tell(ev); err != nil {
			return ev.RequestID, err
		}
		return ev.RequestID, r.tell(arrivedEvent(ev.RequestID, crewA, due.Add(late)))
	}
	ids := make([]events.RequestID, rescues)
	for n := range ids {
		var err error
		ids[n], err = comes(n, 15*time.Minute) // above what the policies approve
		require.NoError(t, err)
		require.Equal(t, sla.Accrued, r.live(ids[n]).State)
	}
	ctx := context.Background()
	var group errgroup.Group
	for who, filter := range []sla.CompensationFilter{{}, {Policy: policies[0]}, {Policy: policies[1]}} {
		by := events.Actor{Role: events.RoleFinance, Subject: fmt.Sprint("f", who)}
		group.Go(func() error {
			for range 10_000 { // what others hold is left, and found again
				got, err := r.ApproveMany(ctx, by, sla.ApproveOrder{CompensationFilter: filter, Why: "looked through", Limit: 3 + who})
				if err != nil || got.Waiting.Lines == 0 {
					return err
				}
				if got.Approved.Lines == 0 {
					time.Sleep(20 * time.Millisecond)
				}
			}
			return fmt.Errorf("something still waits for %s", by)
		})
	}
	for hand := range 2 {
		group.Go(func() error {
			for n := hand; n < rescues; n += 2 {
				if _, err := comes(n/2, time.Minute); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for n := 0; n < rescues; n += 3 {
			c := r.live(ids[n])
			take := r.Void
			if n%2 == 0 {
				take = r.Dispute
			}
			if _, err := take(ctx, finance2, c.ID, c.Version, "another car"); err != nil && fault.KindOf(err) != fault.Stale {
				return err
			}
		}
		return nil
	})
	require.NoError(t, group.Wait())
	require.Zero(t, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'accrued'`))
	require.Equal(t, rescues, r.rows(`SELECT count(*) FROM sla.compensations WHERE state = 'approved' AND approved_by = 'system:policy'`))
	r.counted()
	r.sound()
}
