package geo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// mostAnswer bounds what is read of one answer, in bytes. A matrix of 50 × 50
	// with every detail is under 1 MB.
	mostAnswer = 4 << 20
	// engineLimit ends a call whose context has no deadline of its own.
	engineLimit = 10 * time.Second
)

// EngineURLError refuses the address of a routing engine. It does not repeat
// the address, which may hold a password.
type EngineURLError struct{ Engine, Detail string }

func (e *EngineURLError) Error() string { return e.Engine + ": url: " + e.Detail }

// remote is an engine's HTTP side: where it lives and how it is called.
type remote struct {
	engine string
	base   *url.URL
	client *http.Client
}

// newRemote checks an address, such as http://valhalla:8002. A nil client is
// replaced by one that keeps connections open between decisions. Redirects are
// not followed: a key must not travel to another host.
func newRemote(engine, address string, client *http.Client) (remote, error) {
	refused := func(detail string) (remote, error) {
		return remote{}, &EngineURLError{Engine: engine, Detail: detail}
	}
	base, err := url.Parse(address)
	if err != nil {
		return refused("cannot be read; give one like http://host:port")
	}
	switch {
	case base.Scheme != "http" && base.Scheme != "https":
		return refused("must start with http:// or https://")
	case base.Host == "":
		return refused("names no host; give one like http://host:port")
	case base.RawQuery != "" || base.Fragment != "":
		return refused("must end with the path, without ? or #")
	}
	own := http.Client{}
	if client != nil {
		own = *client
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 16
		transport.MaxConnsPerHost = 64
		own.Transport = transport
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return remote{engine: engine, base: base, client: &own}, nil
}

func (r remote) fail(why Failure, detail string, err error) error {
	return &EngineError{Engine: r.engine, Why: why, Detail: detail, Err: err}
}

// call sends one request and returns the status and the body. A nil body makes
// it a GET. Its errors are *EngineError.
func (r remote) call(ctx context.Context, path string, query url.Values, body any) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()

	at := r.base.JoinPath(path)
	at.RawQuery = query.Encode()
	method, content := http.MethodGet, io.Reader(nil)
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, r.fail(FailRefused, "the question cannot be written", err)
		}
		method, content = http.MethodPost, bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), content)
	if err != nil {
		return 0, nil, r.fail(FailUnavailable, "no request can be made for its url", nil)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	answer, err := r.client.Do(req)
	if err != nil {
		return 0, nil, r.unreached(ctx, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer+1))
	if err != nil {
		return 0, nil, r.unreached(ctx, err)
	}
	if len(text) > mostAnswer {
		return 0, nil, r.fail(FailMalformed, fmt.Sprintf("the answer is over %d bytes", mostAnswer), nil)
	}
	return answer.StatusCode, text, nil
}

// unreached sorts an error of the transport. A *url.Error is opened, because
// its text repeats the URL with the key.
func (r remote) unreached(ctx context.Context, err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	// The transport may notice the deadline a moment before the context does.
	var slow interface{ Timeout() bool }
	if ctx.Err() != nil || errors.As(err, &slow) && slow.Timeout() {
		return r.fail(FailTimeout, "", err)
	}
	return r.fail(FailUnavailable, "", err)
}

// refused sorts an HTTP status other than 200. What the engine says of itself is
// kept short and on one line.
func (r remote) refused(status int, said string) error {
	why := FailUnavailable
	switch {
	case status == http.StatusTooManyRequests:
		why = FailThrottled
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		why = FailDenied
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		why = FailTimeout
	case status >= 400 && status < 500:
		why = FailRefused
	}
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > 200 {
		said = said[:200]
	}
	return r.fail(why, strings.TrimSpace(fmt.Sprintf("status %d %s", status, strings.ToValidUTF8(said, ""))), nil)
}

// decode reads an answer's JSON.
func (r remote) decode(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return r.fail(FailMalformed, "the answer is not the JSON expected", err)
	}
	return nil
}

func (r remote) malformed(format string, args ...any) error {
	return r.fail(FailMalformed, fmt.Sprintf(format, args...), nil)
}
