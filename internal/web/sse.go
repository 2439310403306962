package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"rescued/internal/fault"
)

// Wall-clock limits of a stream: they concern the connection, not rescues.
const (
	heartbeatEvery = 15 * time.Second
	sendTimeout    = 10 * time.Second // a client that reads nothing for so long is gone
	reconnectAfter = 2 * time.Second
)

// Stream is one open answer of server-sent events (WHATWG HTML, section
// 9.2). Its methods may be called from several goroutines.
type Stream struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   func() bool
	w      http.ResponseWriter
	ctl    *http.ResponseController
	mu     sync.Mutex // one event at a time
	beats  sync.WaitGroup
}

// ErrDraining ends the streams of a server that is about to stop; clients
// reconnect, to another replica or later.
var ErrDraining = fault.New(fault.Busy, "draining", "The server is stopping; try again in a moment.")

// SSE opens a stream: it sends the headers and the reconnect time, lifts the
// server's write limit in favour of one per send, and keeps the connection
// alive with a comment every 15 s. The stream ends when the client leaves or
// the server drains; the caller must Close it before its handler returns.
// It fails, with nothing sent, when the server drains already or w cannot
// stream.
func SSE(w http.ResponseWriter, r *http.Request) (*Stream, error) {
	drained := drainOf(r.Context())
	if drained.Err() != nil {
		return nil, ErrDraining
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	s := &Stream{ctx: ctx, cancel: cancel, w: w, ctl: http.NewResponseController(w)}
	if err := s.ctl.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		cancel(err)
		return nil, fmt.Errorf("open stream: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	if err := s.write("retry: " + strconv.FormatInt(reconnectAfter.Milliseconds(), 10) + "\n\n"); err != nil {
		cancel(err)
		return nil, err
	}
	s.stop = context.AfterFunc(drained, func() { cancel(ErrDraining) })
	s.beats.Go(s.beat)
	return s, nil
}

// Context ends when the client leaves, the server drains, or Close is called.
func (s *Stream) Context() context.Context { return s.ctx }

// Send writes one event, its data as JSON. id is what the client repeats in
// Last-Event-ID; 0 leaves it out. An error means that the stream is over.
func (s *Stream) Send(id int64, event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("event %s: %w", event, err)
	}
	if strings.ContainsAny(event, "\r\n") {
		return fmt.Errorf("event name %q holds a line break", event)
	}
	var b bytes.Buffer
	if id != 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	if event != "" {
		fmt.Fprintf(&b, "event: %s\n", event)
	}
	fmt.Fprintf(&b, "data: %s\n\n", text) // JSON text holds no raw line break
	return s.write(b.String())
}

// Close ends the stream and waits for its heartbeat. Calling it again does
// nothing.
func (s *Stream) Close() {
	s.cancel(context.Canceled)
	if s.stop != nil {
		s.stop()
	}
	s.beats.Wait()
}

func (s *Stream) write(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	err := s.ctl.SetWriteDeadline(time.Now().Add(sendTimeout))
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		if _, err = s.w.Write([]byte(text)); err == nil {
			err = s.ctl.Flush()
		}
	}
	if err != nil {
		s.cancel(err)
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (s *Stream) beat() {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			if s.write(": alive\n\n") != nil {
				return
			}
		}
	}
}

// fail tells the client why its stream ends, in the words of a problem.
func (s *Stream) fail(err error) {
	p := problemOf(s.ctx, "", "en", err)
	_ = s.Send(0, "error", p) // nobody is left to tell
}

// LastEventID is the last event the client has seen: the Last-Event-ID
// header of a reconnecting client, or the query's last_event_id, which a page
// gives at its first connection. False means a fresh start; so does an
// identifier that is not one of ours.
func LastEventID(r *http.Request) (int64, bool) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("last_event_id")
	}
	return parseEventID(text)
}

func parseEventID(text string) (int64, bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil && id > 0
}

// Resume goes into the input of a stream operation; see LastEventID.
type Resume struct {
	Header string `header:"Last-Event-ID" doc:"The last event seen; browsers send it by themselves when they reconnect."`
	Query  string `query:"last_event_id" doc:"The same, for the first connection of a page."`
}

// Last is the last event the client has seen, false on a fresh start.
func (r Resume) Last() (int64, bool) {
	if r.Header != "" {
		return parseEventID(r.Header)
	}
	return parseEventID(r.Query)
}
