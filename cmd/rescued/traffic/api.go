package traffic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// API is one client of the service under one token. It is safe for concurrent use.
type API struct {
	base  string
	token string
	http  *http.Client
}

// NewAPI speaks to the service at base (http://127.0.0.1:8080) with a token.
func NewAPI(base, token string) *API {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &API{strings.TrimRight(base, "/"), token, &http.Client{Transport: transport}}
}

// As is the same client under another token.
func (a *API) As(token string) *API { return &API{a.base, token, a.http} }

// Refusal is an answer that is not a success: the problem the service named.
type Refusal struct {
	Status     int
	Code       string `json:"code"`
	Detail     string `json:"detail"`
	RequestID  string `json:"request_id"`
	State      string `json:"state"`
	RetryAfter time.Duration
	Fields     []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"fields"`
}

// Error implements error.
func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", r.Status, r.Code, r.Detail)
	for _, f := range r.Fields {
		fmt.Fprintf(&b, " [%s: %s]", f.Field, f.Detail)
	}
	return b.String()
}

// refusedAs reports whether err is a refusal with one of the codes.
func refusedAs(err error, codes ...string) (*Refusal, bool) {
	var r *Refusal
	if errors.As(err, &r) {
		for _, c := range codes {
			if r.Code == c {
				return r, true
			}
		}
	}
	return r, false
}

const callLimit = 20 * time.Second // wall time for one call

// call sends one request and reads the answer into out. A busy service (503,
// 429) and a lost connection are tried again, a bounded number of times: every
// creating call carries a key, so a repeat cannot act twice.
func (a *API) call(ctx context.Context, method, path, key string, in, out any) (http.Header, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	var last error
	for try := range 6 {
		if try > 0 {
			if err := pause(ctx, retryWait(last, try)); err != nil {
				return nil, errors.Join(err, last)
			}
		}
		head, err := a.once(ctx, method, path, key, body, out)
		if err == nil {
			return head, nil
		}
		if last = err; !worthAnotherTry(err) {
			break
		}
	}
	return nil, last
}

func worthAnotherTry(err error) bool {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Status == http.StatusServiceUnavailable || r.Status == http.StatusTooManyRequests
	}
	return !errors.Is(err, context.Canceled)
}

func retryWait(err error, try int) time.Duration {
	var r *Refusal
	if errors.As(err, &r) && r.RetryAfter > 0 {
		return min(r.RetryAfter, 2*time.Second)
	}
	return min(50*time.Millisecond<<try, 2*time.Second)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (a *API) once(ctx context.Context, method, path, key string, body []byte, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := a.request(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return nil, refusalOf(res)
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		_, _ = io.Copy(io.Discard, res.Body)
		return res.Header, nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("%s %s: the answer is not what was expected: %w", method, path, err)
	}
	return res.Header, nil
}

func (a *API) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	return req, nil
}

// upload sends a file as it stands.
func (a *API) upload(ctx context.Context, path, contentType, body string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := a.request(ctx, http.MethodPost, path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return refusalOf(res)
	}
	return nil
}

func refusalOf(res *http.Response) *Refusal {
	r := &Refusal{Status: res.StatusCode}
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if json.Unmarshal(raw, r) != nil || r.Code == "" {
		r.Code, r.Detail = "unexpected", strings.TrimSpace(string(raw))
	}
	r.Status = res.StatusCode
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		r.RetryAfter = time.Duration(s) * time.Second
	}
	return r
}

// stream follows a server-sent event stream until ctx ends, connecting again
// with Last-Event-ID whenever the connection is lost.
func (a *API) stream(ctx context.Context, path string, each func(event string, data []byte)) {
	lastID := ""
	for ctx.Err() == nil {
		a.follow(ctx, path, &lastID, each)
		_ = pause(ctx, 200*time.Millisecond)
	}
}

func (a *API) follow(ctx context.Context, path string, lastID *string, each func(string, []byte)) {
	req, err := a.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return
	}
	req.Header.Set("Accept", "text/event-stream")
	if *lastID != "" {
		req.Header.Set("Last-Event-ID", *lastID)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	event, data := "message", []byte(nil)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if data != nil {
				each(event, data)
			}
			event, data = "message", nil
		case name == "event":
			event = value
		case name == "data":
			data = append(data, value...)
		case name == "id":
			*lastID = value
		}
	}
}

// Clock is the system's business clock as seen from outside: asked for now and
// then, and counted on in between at the system's own speed.
type Clock struct {
	api *API

	mu    sync.Mutex
	now   time.Time
	heard time.Time
	speed float64
}

// NewClock reads the system's clock once.
func NewClock(ctx context.Context, api *API) (*Clock, error) {
	c := &Clock{api: api}
	return c, c.sync(ctx)
}

func (c *Clock) sync(ctx context.Context) error {
	var at struct {
		Now   time.Time `json:"now"`
		Speed float64   `json:"speed"`
	}
	if _, err := c.api.call(ctx, http.MethodGet, "/v1/clock", "", nil, &at); err != nil {
		return fmt.Errorf("read the system's clock: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The answer was true when it left: counting from when it came can only put
	// this clock behind the system's, never ahead of it.
	c.now, c.heard, c.speed = at.Now, time.Now(), at.Speed
	return nil
}

// Now is the business time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Add(time.Duration(float64(time.Since(c.heard)) * c.speed))
}

// Speed is how many business seconds pass in one wall second.
func (c *Clock) Speed() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.speed
}

// Keep asks again every ten seconds until ctx ends.
func (c *Clock) Keep(ctx context.Context) {
	for pause(ctx, 10*time.Second) == nil {
		_ = c.sync(ctx)
	}
}
