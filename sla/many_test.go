package sla_test

import (
	"context"
	"fmt"
	"os"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// manyCompensations makes n accrued compensations.
func manyCompensations(b testing.TB, r *rig, n int) { copiesOfOne(b, r, n, nil) }

// copiesOfOne copies one late rescue n-1 times, each with its guarantee.
// Identifiers grow with time, as those of version 7 do. The copies differ from
// the one where over says so, by column.
func copiesOfOne(b testing.TB, r *rig, n int, over map[string]string) {
	r.late(11 * time.Minute)
	const id = `('01990000-0000-7%s-8000-' || lpad(to_hex(nth), 12, '0'))::uuid`
	guarantee, compensation, request := fmt.Sprintf(id, "001"), fmt.Sprintf(id, "002"), fmt.Sprintf(id, "003")
	ofGuarantee := map[string]string{"id": guarantee, "request_id": request}
	ofCompensation := map[string]string{
		"id": compensation, "guarantee_id": guarantee, "request_id": request, "accrued_at": `one.accrued_at + nth * interval '1 ms'`,
	}
	for column, value := range over {
		ofCompensation[column] = value
	}
	unbounded(b, r, func(tx pgx.Tx, run func(sql string, args ...any)) {
		// What is copied was looked at once; looking at each copy takes most of the time.
		run(`SET LOCAL session_replication_role = replica`)
		for _, t := range []struct {
			table string
			over  map[string]string
		}{{"guarantees", ofGuarantee}, {"compensations", ofCompensation}} {
			run(`CREATE TEMP TABLE one_` + t.table + ` ON COMMIT DROP AS SELECT * FROM sla.` + t.table + ` LIMIT 1`)
			columns, values := columnsOfTable(b, tx, t.table, t.over)
			const step = 100_000
			for done := 1; done < n; done += step {
				to := min(n, done+step) - 1
				run(`INSERT INTO sla.`+t.table+` (`+columns+`) SELECT `+values+` FROM one_`+t.table+` one, generate_series($1::bigint, $2::bigint) nth`, done, to)
				progress("made %d of %d %s", to+1, n, t.table)
			}
		}
	})
	exec(b, r, `VACUUM ANALYZE sla.compensations, sla.guarantees`)
}

// manyApproved makes n approved compensations, none of which but the first is
// in the ledger.
func manyApproved(b testing.TB, r *rig, n int) {
	approved := map[string]string{"state": `'approved'`, "approved_by": `'finance:lin'`, "approved_why": `'looked at it'`}
	copiesOfOne(b, r, n, approved)
	exec(b, r, `UPDATE sla.compensations SET state = 'approved', approved_by = 'finance:lin', approved_why = 'looked at it' WHERE state = 'accrued'`)
	exec(b, r, `UPDATE sla.spent SET fen = (SELECT sum(fen) FROM sla.compensations) WHERE vehicle = ''`)
}

// columnsOfTable gives a table's columns, and what fills them: those of the
// table one, but for those in over.
func columnsOfTable(b testing.TB, tx pgx.Tx, table string, over map[string]string) (columns, values string) {
	rows, err := tx.Query(context.Background(), `
		SELECT column_name FROM information_schema.columns
		WHERE table_schema = 'sla' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position`, table)
	require.NoError(b, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b, err)
	list := make([]string, len(names))
	for i, name := range names {
		if list[i] = over[name]; list[i] == "" {
			list[i] = "one." + name
		}
	}
	return strings.Join(names, ", "), strings.Join(list, ", ")
}

// unbounded runs statements in one transaction, each as long as it takes.
func unbounded(b testing.TB, r *rig, do func(tx pgx.Tx, run func(sql string, args ...any))) {
	ctx := context.Background()
	require.NoError(b, pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		run := func(sql string, args ...any) {
			_, err := tx.Exec(ctx, sql, args...)
			require.NoError(b, err, sql)
		}
		run(`SET LOCAL statement_timeout = 0`)
		do(tx, run)
		return nil
	}))
}

// exec runs what no transaction may hold.
func exec(b testing.TB, r *rig, sql string) {
	ctx := context.Background()
	conn, err := r.pool.Acquire(ctx)
	require.NoError(b, err)
	defer conn.Release()
	_, err = conn.Exec(ctx, `SET statement_timeout = 0`)
	require.NoError(b, err)
	_, err = conn.Exec(ctx, sql)
	require.NoError(b, err, sql)
	_, err = conn.Exec(ctx, `RESET statement_timeout`)
	require.NoError(b, err)
}

// progress tells somebody who waits for minutes.
func progress(format string, args ...any) {
	if testing.Verbose() || os.Getenv(benchOut) != "" {
		fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
	}
}

// peak watches how much memory the process's heap holds while do runs, in MB.
func peak(do func()) (mb float64) {
	stop, done := make(chan struct{}), make(chan struct{})
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	go func() {
		defer close(done)
		for {
			metrics.Read(sample)
			mb = max(mb, float64(sample[0].Value.Uint64()+sample[1].Value.Uint64())/1e6)
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	do()
	close(stop)
	<-done
	return mb
}
