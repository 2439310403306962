package sla

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

const (
	sealChunk     = 5000            // postings per transaction of the sealer
	lateUnsealed  = 5 * time.Minute // a posting this old that is not chained is a finding
	mostFindings  = 100
	ledgerChainID = "sla ledger chain"
)

// ChainHead is the last link of the chain. Whoever keeps a copy elsewhere, as
// every export does, can prove later that nothing before it was changed.
type ChainHead struct {
	Seq  int64  `json:"seq" doc:"How many postings are chained."`
	Hash string `json:"hash" doc:"SHA-256 of the last link, in hexadecimal; it stands for all before it."`
}

// link is the hash of a transaction behind the one before it: SHA-256 over
// the hash before, the place, and the content as JSON with fixed members.
func (t Transaction) link(seq int64, prev []byte) []byte {
	content, err := json.Marshal(struct {
		Seq            int64      `json:"seq"`
		ID             uuid.UUID  `json:"id"`
		Key            string     `json:"key"`
		Kind           string     `json:"kind"`
		CompensationID string     `json:"compensation_id"`
		BatchID        string     `json:"batch_id"`
		ReversesID     *uuid.UUID `json:"reverses_id"`
		Total          Fen        `json:"total_fen"`
		By             string     `json:"by"`
		PostedAt       int64      `json:"posted_at_us"`
		BookedOn       string     `json:"booked_on,omitempty"` // none in postings from before there were business days
		Lines          []Line     `json:"lines"`
	}{seq, t.ID, t.Key, t.Kind, t.CompensationID.String(), t.BatchID.String(), t.ReversesID, t.Total, t.By, t.PostedAt.UnixMicro(), t.BookedOn, t.Lines})
	if err != nil {
		panic("sla: " + err.Error()) // plain values always marshal
	}
	sum := sha256.Sum256(append(bytes.Clone(prev), content...))
	return sum[:]
}

// SealLedger chains what has been posted since, at most limit postings, and
// says how many. Run does it all the time; several replicas may at once.
//
// The chain promises this: once a posting is linked, any change to it, its
// removal, an insertion before it or a change of order is found by
// CheckLedger, unless every later link is made anew. That last way is closed
// by any copy of a later head outside the database. Between its commit and
// its link, a fraction of a second while Run runs, a posting is guarded by
// the refusals of the database alone.
func (s *Service) SealLedger(ctx context.Context, limit int) (sealed int, err error) {
	defer fault.Wrap(&err, "seal the ledger")
	for sealed < limit {
		chunk, n := min(limit-sealed, sealChunk), 0
		err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
			if err := pg.LockTx(ctx, tx, ledgerChainID); err != nil {
				return err
			}
			n, err = sealChunkOf(ctx, tx, s.now(), chunk)
			return err
		})
		if err != nil {
			return sealed, err
		}
		if sealed += n; n < chunk {
			break
		}
	}
	return sealed, nil
}

func sealChunkOf(ctx context.Context, tx pgx.Tx, now time.Time, limit int) (int, error) {
	seq, hash, err := findHead(ctx, tx)
	if err != nil {
		return 0, err
	}
	list, err := listUnsealed(ctx, tx, limit)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	for i := range list {
		seq++
		list[i].Seq, list[i].prev = seq, hash
		hash = list[i].link(seq, hash)
		list[i].hash = hash
	}
	return len(list), insertLinks(ctx, tx, list, now)
}

// findHead gives the last link; before the first it is 0 and 32 zero bytes.
func findHead(ctx context.Context, db events.Querier) (seq int64, hash []byte, err error) {
	err = db.QueryRow(ctx, `SELECT seq, hash FROM sla.ledger_chain ORDER BY seq DESC LIMIT 1`).Scan(&seq, &hash)
	if pg.NotFound(err) {
		return 0, make([]byte, sha256.Size), nil
	}
	return seq, hash, err
}

// listUnsealed gives postings that are not chained, by their identifiers. Each
// is looked up by its own, whatever the planner believes of the ledger.
func listUnsealed(ctx context.Context, tx pgx.Tx, limit int) ([]Transaction, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+transactionColumns+`
		FROM (SELECT transaction_id FROM sla.ledger_unsealed ORDER BY transaction_id LIMIT $1) u
		CROSS JOIN LATERAL (SELECT * FROM sla.ledger_transactions WHERE id = u.transaction_id OFFSET 0) t
		CROSS JOIN (SELECT NULL::bigint AS seq, NULL::bytea AS prev_hash, NULL::bytea AS hash) k
		ORDER BY t.id`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanTransaction)
}

func insertLinks(ctx context.Context, tx pgx.Tx, list []Transaction, now time.Time) error {
	n := len(list)
	seqs, ids, prevs, hashes := make([]int64, n), make(uuidArray, n), make([][]byte, n), make([][]byte, n)
	for i, t := range list {
		seqs[i], ids[i], prevs[i], hashes[i] = t.Seq, uuidOf(t.ID), t.prev, t.hash
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO sla.ledger_chain (seq, transaction_id, prev_hash, hash, sealed_at)
		SELECT seq, id, prev, hash, $5 FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[]) AS l (seq, id, prev, hash)`,
		seqs, ids, prevs, hashes, now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM sla.ledger_unsealed WHERE transaction_id = ANY($1)`, ids)
	return err
}

// Head gives the last link of the chain.
func (s *Service) Head(ctx context.Context) (_ ChainHead, err error) {
	defer fault.Wrap(&err, "head of the ledger's chain")
	return head(ctx, s.pool)
}

func head(ctx context.Context, db events.Querier) (ChainHead, error) {
	seq, hash, err := findHead(ctx, db)
	return ChainHead{seq, hex.EncodeToString(hash)}, err
}

// LedgerCheck is what a walk over the whole ledger found.
type LedgerCheck struct {
	Postings int64           // transactions in the ledger
	Chained  int64           // of them in the chain
	Head     ChainHead       // of the chain as it is stored
	Balances map[Account]Fen // they sum to zero
	Findings []string        // what is wrong, at most 100 of each kind; empty is good
}

// CheckLedger walks the chain from its first link, recomputes every hash from
// the posting as it stands now, and checks that each posting and all of them
// balance, that none is missing from the chain, and that every compensation
// stands in the books as its state says. kept are heads that somebody kept;
// the chain must still run through each. It reads one snapshot and changes
// nothing.
func (s *Service) CheckLedger(ctx context.Context, kept ...ChainHead) (check LedgerCheck, err error) {
	return s.checkLedger(ctx, func(c *LedgerCheck, ctx context.Context, tx pgx.Tx, now time.Time) error {
		if err := c.reckon(ctx, tx, now); err != nil {
			return err
		}
		return c.batches(ctx, tx)
	}, kept...)
}

// checkLedger walks the chain and then compares what reckon compares.
func (s *Service) checkLedger(ctx context.Context, reckon func(*LedgerCheck, context.Context, pgx.Tx, time.Time) error, kept ...ChainHead) (check LedgerCheck, err error) {
	defer fault.Wrap(&err, "check the ledger")
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		if err := check.walk(ctx, tx, kept); err != nil {
			return err
		}
		return reckon(&check, ctx, tx, s.now())
	})
	return check, err
}

func (c *LedgerCheck) find(format string, args ...any) {
	if len(c.Findings) < mostFindings {
		c.Findings = append(c.Findings, fmt.Sprintf(format, args...))
	}
}

// walk follows the chain link by link.
func (c *LedgerCheck) walk(ctx context.Context, tx pgx.Tx, kept []ChainHead) error {
	want := map[int64]string{}
	for _, h := range kept {
		want[h.Seq] = h.Hash
	}
	rows, err := tx.Query(ctx, `
		SELECT `+transactionColumns+`
		FROM sla.ledger_chain k JOIN sla.ledger_transactions t ON t.id = k.transaction_id ORDER BY k.seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	prev := make([]byte, sha256.Size)
	for rows.Next() {
		t, err := scanTransaction(rows)
		if err != nil {
			return err
		}
		c.Chained++
		switch {
		case t.Seq != c.Chained:
			c.find("chain: link %d is missing, %d follows", c.Chained, t.Seq)
			c.Chained = t.Seq
		case !bytes.Equal(t.prev, prev):
			c.find("chain: link %d does not follow link %d", t.Seq, t.Seq-1)
		}
		if !bytes.Equal(t.link(t.Seq, t.prev), t.hash) {
			c.find("chain: posting %s is not what link %d was made from", t.Key, t.Seq)
		}
		if hash, ok := want[t.Seq]; ok && hash != hex.EncodeToString(t.hash) {
			c.find("chain: link %d is not the one that was kept", t.Seq)
		}
		delete(want, t.Seq)
		prev = t.hash
		if at, off := t.unbalanced(); off {
			c.find("posting %s does not balance: %s", t.Key, at)
		}
	}
	delete(want, 0)
	for seq := range want {
		c.find("chain: link %d was kept and is not there", seq)
	}
	c.Head = ChainHead{c.Chained, hex.EncodeToString(prev)}
	return rows.Err()
}

// unbalanced names what is left over.
func (t Transaction) unbalanced() (string, bool) {
	sums, debits := map[string]Fen{}, Fen(0)
	for _, l := range t.Lines {
		sums[l.Currency] += l.Fen
		debits += max(0, l.Fen)
	}
	for currency, sum := range sums {
		if sum != 0 {
			return fmt.Sprintf("%d fen %s are left over", sum, currency), true
		}
	}
	if debits != t.Total || len(t.Lines) < 2 {
		return fmt.Sprintf("its debits are %d of %d fen", debits, t.Total), true
	}
	return "", false
}

// reckon compares the books with themselves and with the compensations.
func (c *LedgerCheck) reckon(ctx context.Context, tx pgx.Tx, now time.Time) (err error) {
	var late, orphans int64
	if err := tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM sla.ledger_transactions),
			(SELECT count(*) FROM sla.ledger_unsealed u JOIN sla.ledger_transactions t ON t.id = u.transaction_id WHERE t.posted_at < $1),
			(SELECT count(*) FROM sla.ledger_transactions t
			 WHERE NOT EXISTS (SELECT FROM sla.ledger_chain k WHERE k.transaction_id = t.id)
				AND NOT EXISTS (SELECT FROM sla.ledger_unsealed u WHERE u.transaction_id = t.id))`,
		now.Add(-lateUnsealed)).Scan(&c.Postings, &late, &orphans); err != nil {
		return err
	}
	if late > 0 {
		c.find("chain: %d postings have waited for more than %s to be chained; let a service with the role sla run", late, lateUnsealed)
	}
	if orphans > 0 {
		c.find("chain: %d postings are neither chained nor waiting for it", orphans)
	}
	if c.Balances, err = sumAccounts(ctx, tx, nil); err != nil {
		return err
	}
	var sum Fen
	for _, fen := range c.Balances {
		sum += fen
	}
	if sum != 0 {
		c.find("the accounts together are %d fen, not zero", sum)
	}
	return c.payments(ctx, tx)
}
