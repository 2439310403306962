package sla

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rescued/internal/fault"
)

// WebhookConfig is where and how orders are sent over HTTP.
type WebhookConfig struct {
	// URL takes the orders: https, or http on this very machine.
	URL string
	// Secret signs them, at least 16 bytes; the receiver holds it too.
	Secret []byte
	// Client sends them; nil is one with a limit of 30 s a call.
	Client *http.Client
	// Pause is the wall time before a second try; it doubles. 500 ms when zero.
	Pause time.Duration
}

const (
	webhookLines   = 1000 // payments in one call
	webhookTries   = 4    // of one call, before the whole order is put off
	webhookTimeout = 30 * time.Second
	longestPause   = 10 * time.Second
	shortestSecret = 16
)

// payoutWebhook posts each order to whoever pays, in parts.
type payoutWebhook struct{ cfg WebhookConfig }

// NewPayoutWebhook pays by calls to another system. An order goes out in
// parts of up to 1000 payments, each a POST with
//
//	Idempotency-Key:     the order's key, a dot, and the number of the part
//	Rescued-Timestamp:   Unix seconds
//	Rescued-Signature:   v1= and HMAC-SHA256 in hexadecimal, under the shared
//	                     secret, of timestamp, a dot and the body
//
// Any 2xx means that the part is taken. The same key again must do nothing
// new. A failure of the network, 429 and 5xx are tried again, a bounded
// number of times; any other answer is ErrPayoutRefused. What became of the
// payments comes back by POST /v1/batches/{id}/results.
func NewPayoutWebhook(cfg WebhookConfig) (Payout, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && !(u.Scheme == "http" && local(u.Hostname()))) {
		return nil, fmt.Errorf("%q takes no payouts: give an https address without a password in it", redactedURL(cfg.URL))
	}
	if len(cfg.Secret) < shortestSecret {
		return nil, fmt.Errorf("the secret for payouts has %d bytes; at least %d are needed", len(cfg.Secret), shortestSecret)
	}
	client := http.Client{Timeout: webhookTimeout}
	if cfg.Client != nil {
		client = *cfg.Client
	}
	// A body that was signed for one address is for no other.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.Client = &client
	if cfg.Pause <= 0 {
		cfg.Pause = 500 * time.Millisecond
	}
	return &payoutWebhook{cfg}, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func redactedURL(text string) string {
	if u, err := url.Parse(text); err == nil {
		return u.Redacted()
	}
	return "the address"
}

// Name is webhook.
func (*payoutWebhook) Name() string { return "webhook" }

// WebhookOrder is the body of one call.
type WebhookOrder struct {
	Key        string        `json:"key"`
	BatchID    string        `json:"batch_id"`
	Title      string        `json:"title"`
	Part       int64         `json:"part"` // from 1
	Parts      int64         `json:"parts"`
	OrderLines int64         `json:"order_lines"`
	OrderFen   Fen           `json:"order_fen"`
	Digest     string        `json:"digest"` // of the whole order, as the batch was sealed
	ApprovedBy string        `json:"approved_by"`
	ApprovedAt time.Time     `json:"approved_at"`
	Currency   string        `json:"currency"`
	Lines      []WebhookLine `json:"lines"`
}

// WebhookLine is one payment.
type WebhookLine struct {
	Reference      string `json:"reference"`
	Payee          string `json:"payee"` // the request whose owner is paid
	Fen            Fen    `json:"fen"`
	CompensationID string `json:"compensation_id"`
}

// Send implements Payout.
func (p *payoutWebhook) Send(ctx context.Context, order PayoutOrder, lines iter.Seq2[PayoutLine, error]) (_ string, err error) {
	defer fault.Wrap(&err, "payout webhook %s", order.Key)
	body := WebhookOrder{
		Key: order.Key, BatchID: order.BatchID.String(), Title: order.Title, Parts: (order.Lines + webhookLines - 1) / webhookLines,
		OrderLines: order.Lines, OrderFen: order.Total, Digest: order.Digest,
		ApprovedBy: order.ApprovedBy, ApprovedAt: order.ApprovedAt, Currency: "CNY",
		Lines: make([]WebhookLine, 0, webhookLines),
	}
	send := func() error {
		body.Part++
		defer func() { body.Lines = body.Lines[:0] }()
		return p.part(ctx, body)
	}
	for l, err := range lines {
		if err != nil {
			return "", err
		}
		body.Lines = append(body.Lines, WebhookLine{l.Reference, l.Payee.String(), l.Fen, l.CompensationID.String()})
		if len(body.Lines) == webhookLines {
			if err := send(); err != nil {
				return "", err
			}
		}
	}
	if len(body.Lines) > 0 {
		if err := send(); err != nil {
			return "", err
		}
	}
	if body.Part != body.Parts {
		return "", ErrBatchChanged
	}
	return fmt.Sprintf("%d parts taken by %s", body.Parts, redactedURL(p.cfg.URL)), nil
}

// part sends one part until it is taken, refused, or has failed too often.
func (p *payoutWebhook) part(ctx context.Context, order WebhookOrder) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	key := order.Key + "." + strconv.FormatInt(order.Part, 10)
	pause := p.cfg.Pause
	for try := 1; ; try++ {
		wait, err := p.call(ctx, key, text)
		if err == nil || errors.Is(err, ErrPayoutRefused) || try == webhookTries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(max(wait, pause/2+rand.N(pause)), longestPause)):
		}
		pause *= 2
	}
}

// call sends once. wait is how long the other side asks to be left alone.
func (p *payoutWebhook) call(ctx context.Context, key string, text []byte) (wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.URL, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	// The receiver holds the time against its own clock, so it is the wall's.
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Rescued-Timestamp", stamp)
	req.Header.Set("Rescued-Signature", "v1="+hex.EncodeToString(p.sign(stamp, text)))
	res, err := p.cfg.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 512)) // for a person to read; the status decides
	switch {
	case res.StatusCode/100 == 2:
		return 0, nil
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode/100 == 5:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // none, or a date: as it comes
		return time.Duration(seconds) * time.Second, fmt.Errorf("the payer answered %s", res.Status)
	}
	return 0, ErrPayoutRefused.Detailf("The payer answered %s: %s", res.Status, strings.ToValidUTF8(strings.TrimSpace(string(said)), "?"))
}

func (p *payoutWebhook) sign(stamp string, text []byte) []byte {
	mac := hmac.New(sha256.New, p.cfg.Secret)
	mac.Write([]byte(stamp))
	mac.Write([]byte{'.'})
	mac.Write(text)
	return mac.Sum(nil)
}
