package web_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/web"
)

// streaming is a site with one stream that sends what comes on feed.
func streaming(t *testing.T, feed func(*web.Stream) error) *site {
	return open(t, nil, func(_ chi.Router, api huma.API) {
		web.RegisterStream(api, huma.Operation{OperationID: "watch", Method: http.MethodGet, Path: "/watch"}, web.Only(events.RoleOperator),
			func(_ context.Context, in *struct {
				web.Resume
				City string `query:"city" maxLength:"3"`
			}) (func(*web.Stream) error, error) {
				if in.City == "no" {
					return nil, errGone
				}
				return func(s *web.Stream) error {
					if last, ok := in.Last(); ok {
						if err := s.Send(last+1, "resumed", nil); err != nil {
							return err
						}
					}
					return feed(s)
				}, nil
			})
	})
}

func watch(t *testing.T, ctx context.Context, s *site, headers ...string) (*http.Response, *bufio.Scanner) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.server.URL+"/watch", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer anna")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res, bufio.NewScanner(res.Body)
}

func lines(sc *bufio.Scanner, n int) []string {
	var out []string
	for len(out) < n && sc.Scan() {
		if sc.Text() != "" {
			out = append(out, sc.Text())
		}
	}
	return out
}

func TestStream(t *testing.T) {
	t.Parallel()
	left := make(chan error, 1)
	s := streaming(t, func(s *web.Stream) error {
		if err := s.Send(41, "request", map[string]string{"note": "two\nlines"}); err != nil {
			return err
		}
		<-s.Context().Done()
		left <- s.Send(42, "late", nil)
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	res, sc := watch(t, ctx, s, "Last-Event-ID", "40")
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "text/event-stream; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "no", res.Header.Get("X-Accel-Buffering"))
	require.Contains(t, res.Header.Get("Cache-Control"), "no-cache")
	require.Equal(t, []string{"retry: 2000", "id: 41", "event: resumed", "data: null", "id: 41", "event: request", `data: {"note":"two\nlines"}`}, lines(sc, 7))
	cancel()
	require.Error(t, <-left, "a client that left ends the feed")
}

func TestStreamRefusesBeforeItStarts(t *testing.T) {
	t.Parallel()
	s := streaming(t, func(*web.Stream) error { return nil })
	require.Equal(t, 401, s.call("GET", "/watch", "").status)
	as := []string{"Authorization", "Bearer anna"}
	require.Equal(t, "offer_gone", s.call("GET", "/watch?city=no", "", as...).problem(t)["code"])
	require.Equal(t, map[string]string{"city": "length"}, s.call("GET", "/watch?city=long", "", as...).fields(t))
	s.health.Drain()
	got := s.call("GET", "/watch", "", as...)
	require.Equal(t, 503, got.status)
	require.Equal(t, "draining", got.problem(t)["code"])
}

func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	opened := make(chan struct{})
	s := streaming(t, func(s *web.Stream) error {
		close(opened)
		<-s.Context().Done()
		return context.Cause(s.Context())
	})
	_, sc := watch(t, context.Background(), s)
	<-opened
	s.health.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, s.server.Config.Shutdown(ctx), "no stream holds the server up")
	require.Equal(t, []string{"retry: 2000"}, lines(sc, 10), "ended without an error event")
	require.NoError(t, sc.Err(), "ended whole")
}

func TestAFailingFeedSaysSo(t *testing.T) {
	t.Parallel()
	s := streaming(t, func(*web.Stream) error { return errors.New("secret cause") })
	_, sc := watch(t, context.Background(), s)
	got := strings.Join(lines(sc, 10), "\n")
	require.Contains(t, got, "event: error")
	require.Contains(t, got, `"code":"internal"`)
	require.NotContains(t, got, "secret")
	s.server.Close()
	require.Equal(t, 1, strings.Count(s.log.String(), "secret cause"))
}

// slowWriter is a recorder that can be read while a stream writes.
type slowWriter struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (w *slowWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ResponseRecorder.Write(b)
}

func (w *slowWriter) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Body.String()
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
		s, err := web.SSE(w, httptest.NewRequest("GET", "/", nil))
		require.NoError(t, err)
		time.Sleep(46 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, strings.Count(w.text(), ": alive\n\n"))
		s.Close()
		s.Close()
		require.Error(t, s.Send(1, "x", nil))
		require.Equal(t, 3, strings.Count(w.text(), "\n\n")-1)
	})
}

func TestSendFromManyGoroutinesKeepsEventsWhole(t *testing.T) {
	t.Parallel()
	w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
	s, err := web.SSE(w, httptest.NewRequest("GET", "/", nil))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				_ = s.Send(7, "e", "d")
			}
		})
	}
	wg.Wait()
	s.Close()
	require.Equal(t, 400, strings.Count(w.text(), "id: 7\nevent: e\ndata: \"d\"\n\n"))
	require.Error(t, s.Send(1, "a\nb", nil))
}

func TestLastEventID(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		header, query string
		want          int64
	}{{"", "", 0}, {"7", "", 7}, {"", "8", 8}, {"7", "8", 7}, {"x", "8", 0}, {"-1", "", 0}, {"99999999999999999999", "", 0}} {
		r := httptest.NewRequest("GET", "/?last_event_id="+tc.query, nil)
		r.Header.Set("Last-Event-ID", tc.header)
		got, ok := web.LastEventID(r)
		in, inOK := web.Resume{Header: tc.header, Query: tc.query}.Last()
		require.Equal(t, ok, inOK)
		require.Equal(t, tc.want > 0, ok, tc)
		if ok {
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.want, in)
		}
	}
}
