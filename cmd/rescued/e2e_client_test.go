package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

// client calls the API as an app would. Addresses come from a function,
// because replicas come and go.
type client struct {
	bases func() []string
	token string
}

// at is a client of one address.
func at(base, token string) client {
	return client{func() []string { return []string{base} }, token}
}

// as is the same client under another token.
func (c client) as(token string) client { return client{c.bases, token} }

var browserless = &http.Client{
	Timeout:       10 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// answer is what came back.
type answer struct {
	status int
	head   http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// raw is a body that is sent as it is.
type raw struct {
	media string
	bytes []byte
}

// ask makes one call to one address. in is raw, or becomes JSON; nil is no body.
func (c client) ask(ctx context.Context, base, method, path string, in any, header ...string) (answer, error) {
	var body io.Reader
	sent, as := in.(raw)
	switch {
	case as:
		body = bytes.NewReader(sent.bytes)
	case in != nil:
		text, err := json.Marshal(in)
		if err != nil {
			return answer{}, err
		}
		sent.media, body = "application/json", bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return answer{}, err
	}
	if in != nil {
		req.Header.Set("Content-Type", sent.media)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := browserless.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	got := answer{status: res.StatusCode, head: res.Header}
	got.body, err = io.ReadAll(res.Body)
	return got, err
}

// try makes a call until it is answered with anything but "busy": a replica
// that dies in the middle is followed by the next, as an app behind a load
// balancer does it. Creating calls carry a key, so that a repeat is harmless.
func (c client) try(ctx context.Context, method, path string, in any, header ...string) (last answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for turn := 0; ; turn++ {
		if bases := c.bases(); len(bases) > 0 {
			last, err = c.ask(ctx, bases[turn%len(bases)], method, path, in, header...)
			if err == nil && last.status != http.StatusServiceUnavailable {
				return last, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("%s %s was never answered: %w (last: %s)", method, path, ctx.Err(), last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// must makes a call that is to be answered with status, and reads the answer
// into out unless that is nil.
func (c client) must(t testing.TB, status int, method, path string, in, out any, header ...string) answer {
	t.Helper()
	got, err := c.try(t.Context(), method, path, in, header...)
	require.NoError(t, err)
	require.Equal(t, status, got.status, "%s %s: %s", method, path, got)
	if out != nil {
		require.NoError(t, json.Unmarshal(got.body, out), "%s", got)
	}
	return got
}

// requestView is what the tests read of a request.
type requestView struct {
	ID          string    `json:"id"`
	State       string    `json:"state"`
	DueAt       time.Time `json:"due_at"`
	PartnerRef  string    `json:"partner_ref"`
	ArrivalCode string    `json:"arrival_code"`
	TrackingURL string    `json:"tracking_url"`
	Location    struct {
		Lat float64 `json:"lat"`
		Lng float64 `json:"lng"`
	} `json:"location"`
	Crew *struct {
		ID string `json:"id"`
	} `json:"crew"`
	Promise struct {
		Minutes int `json:"minutes"`
	} `json:"promise"`
}

// page is one page of a list.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// all reads every page of a list.
func all[T any](t testing.TB, c client, path string) (items []T) {
	t.Helper()
	for cursor := ""; ; {
		var p page[T]
		c.must(t, http.StatusOK, http.MethodGet, path+joint(path)+"limit=100&cursor="+cursor, nil, &p)
		items = append(items, p.Items...)
		if cursor = p.NextCursor; cursor == "" {
			return items
		}
	}
}

// chengdu is where the tests' cars stand: in an area of the default cover.
var chengdu = struct{ lat, lng float64 }{30.6598, 104.0633}

// aRequest is a valid request, n telling the cars apart.
func aRequest(n int, problem string) map[string]any {
	return map[string]any{
		"contact": map[string]any{"name": "车主", "phone": "+8613800000000"},
		"vehicle": map[string]any{"plate": fmt.Sprintf("川A%05d", n), "energy": "ice"},
		"problem": problem,
		"location": map[string]any{
			"lat": chengdu.lat + float64(n%20)*0.004, "lng": chengdu.lng + float64(n/20%20)*0.004, "datum": "wgs84",
		},
	}
}

// aFix is a crew's position at a moment.
func aFix(crew string, lat, lng float64, at time.Time) map[string]any {
	return map[string]any{"positions": []map[string]any{{
		"crew_id": crew, "fixed_at": at.UTC(), "lat": lat, "lng": lng, "datum": "wgs84", "accuracy_m": 8,
	}}}
}

// registered registers a provider or partner and gives a client for it.
func (s *site) registered(staff client, kind string) (id string, as client) {
	s.t.Helper()
	var got struct {
		ID string `json:"id"`
	}
	staff.must(s.t, http.StatusCreated, http.MethodPost, "/v1/"+kind+"s", map[string]any{"name": "end-to-end " + kind}, &got,
		"Idempotency-Key", "e2e-"+kind)
	return got.ID, staff.as(s.token(events.Role(kind), got.ID))
}

// enlist registers a crew of the provider whose client this is, brings it on
// shift and says where it is.
func (s *site) enlist(provider client, n int, can []string, autoAccept bool) (id string) {
	s.t.Helper()
	var crew struct {
		ID string `json:"id"`
	}
	provider.must(s.t, http.StatusCreated, http.MethodPost, "/v1/crews", map[string]any{
		"name": fmt.Sprintf("crew %d", n), "capabilities": can, "auto_accept": autoAccept,
	}, &crew, "Idempotency-Key", fmt.Sprintf("e2e-crew-%d", n))
	provider.must(s.t, http.StatusOK, http.MethodPost, "/v1/positions",
		aFix(crew.ID, chengdu.lat+float64(n%10)*0.008, chengdu.lng+float64(n/10)*0.008, time.Now()), nil)
	provider.must(s.t, http.StatusOK, http.MethodPost, "/v1/crews/"+crew.ID+"/start-shift", nil, nil)
	return crew.ID
}
