package sla

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// Payout is a way in which money leaves: it hands a sealed batch to whoever
// pays it. It stands beside its caller, PayOut.
type Payout interface {
	// Name is what a batch is submitted by, such as file or webhook.
	Name() string
	// Send hands an order over and says what the other side, or the disk, has
	// to show for it. It may be called again for the same order, with the same
	// key and the same lines: after a crash nobody knows whether the first
	// call got through. The other side must then do nothing new. ErrPayoutRefused
	// means that trying again is of no use.
	Send(ctx context.Context, order PayoutOrder, lines iter.Seq2[PayoutLine, error]) (receipt string, err error)
}

// PayoutOrder is what is paid, in sum.
type PayoutOrder struct {
	Key        string // the same whenever this order is sent
	BatchID    events.BatchID
	Title      string
	Lines      int64
	Total      Fen
	Digest     string // as the batch was sealed
	ApprovedBy string
	ApprovedAt time.Time
}

// PayoutLine is one payment. Reference is what it is called outside: the same
// for the same attempt to pay the same compensation, never used for another,
// and 32 letters and digits, which is what payment houses take. Payee is the
// request whose owner is paid: who that is and where his account lies is asked
// of the API under the payer's own token, and stands in no file.
type PayoutLine struct {
	Reference      string
	Payee          events.RequestID
	Fen            Fen
	CompensationID events.CompensationID
}

// Errors of payouts.
var (
	ErrNoPayout      = fault.New(fault.Conflict, "payout_not_configured", "No such way to pay is configured; set RESCUED_PAYOUT_DIR or RESCUED_PAYOUT_URL, or name one that is.")
	ErrPayoutRefused = fault.New(fault.Conflict, "payout_refused", "The payout was refused; trying again is of no use.")
	ErrNotFailed     = fault.New(fault.Conflict, "payout_not_failed", "Only a payout that has failed is sent again.")
)

// paymentReference is the uuid in hexadecimal without its version digit, which
// is the same in all of them, and the attempt as one digit of base 36.
func paymentReference(id events.CompensationID, attempt int) string {
	u := id.UUID()
	text := hex.EncodeToString(u[:])
	return text[:12] + text[13:] + strconv.FormatInt(int64(attempt), 36)
}

const mostAttempts = 35 // one digit of base 36

// payoutColumns heads a payout file.
const payoutColumns = "reference,payee,fen,amount,currency,compensation_id"

// append writes the line as a row of the payout file, CRLF included. No field
// of it can hold a comma, a quote or a formula.
func (l PayoutLine) append(b []byte) []byte {
	b = append(b, l.Reference...)
	b = append(b, ",req_"...)
	b = appendUUID(b, l.Payee.UUID())
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(l.Fen), 10)
	b = append(b, ',')
	b = l.Fen.appendYuan(b)
	b = append(b, ",CNY,cmp_"...)
	b = appendUUID(b, l.CompensationID.UUID())
	return append(b, '\r', '\n')
}

func appendUUID(b []byte, u uuid.UUID) []byte {
	var text [36]byte
	hex.Encode(text[:8], u[:4])
	text[8] = '-'
	hex.Encode(text[9:13], u[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], u[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], u[8:10])
	text[23] = '-'
	hex.Encode(text[24:], u[10:])
	return append(b, text[:]...)
}

// appendYuan writes a positive amount in yuan, 20.00.
func (f Fen) appendYuan(b []byte) []byte {
	b = strconv.AppendInt(b, int64(f)/100, 10)
	return append(b, '.', byte('0'+int64(f)/10%10), byte('0'+int64(f)%10))
}

// lineSum counts, adds up and digests lines in their order. The digest is
// SHA-256 over the rows of the payout file without its heading, so that
// anybody can make it again from the file.
type lineSum struct {
	lines int64
	total Fen
	hash  hash.Hash
	row   []byte
}

func newLineSum() *lineSum { return &lineSum{hash: sha256.New()} }

func (s *lineSum) add(l PayoutLine) (err error) {
	s.lines++
	if s.total, err = s.total.Plus(l.Fen); err != nil {
		return err
	}
	s.row = l.append(s.row[:0])
	s.hash.Write(s.row)
	return nil
}

func (s *lineSum) digest() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// is reports whether the lines are those the batch was sealed with.
func (s *lineSum) is(b Batch) bool {
	return s.lines == b.Lines && s.total == b.Total && s.digest() == b.Digest
}

// payout finds a configured way to pay by name; the empty name is the first.
func (s *Service) payout(name string) (Payout, error) {
	var names []string
	for _, p := range s.cfg.Payouts {
		if name == "" || p.Name() == name {
			return p, nil
		}
		names = append(names, p.Name())
	}
	return nil, ErrNoPayout.With("configured", strings.Join(names, ", "))
}
