package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
)

// downloadStall is the wall time a client has to take the next piece of a
// file; one that takes nothing for so long is gone.
const downloadStall = 30 * time.Second

// Download is a file as the answer of an operation, sent while it is made.
type Download struct {
	Name     string            // what a browser saves it as
	Type     string            // media type
	Headers  map[string]string // sent before the file
	Trailers []string          // names of the headers that Write gives, sent after it
	// Write makes the file. Its error ends the answer: as an ordinary problem
	// while nothing has been sent, and by cutting the connection afterwards,
	// so that nobody takes half a file for a whole one.
	Write func(w io.Writer) (trailers map[string]string, err error)
}

// RegisterDownload adds an operation that answers with a file of one of the
// media types. It has no time limit; a client that stops reading is cut off.
// handler checks its input and reads what it needs before a byte is sent, so
// its error is an ordinary problem.
func RegisterDownload[I any](api huma.API, op huma.Operation, may Audience, types []string, handler func(context.Context, *I) (*Download, error)) {
	op = declare(op, may)
	op.Metadata[streamKey] = true
	content := map[string]*huma.MediaType{}
	for _, t := range types {
		content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	op.Responses = map[string]*huma.Response{
		"200":     {Description: "The file.", Content: content},
		"default": op.Responses["default"],
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		file, err := handler(ctx, in)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, w := humachi.Unwrap(hctx)
			file.send(w, r)
		}}, nil
	})
}

// send writes the file, head first.
func (d *Download) send(w http.ResponseWriter, r *http.Request) {
	out := &patient{w: w, ctl: http.NewResponseController(w), head: func() {
		h := w.Header()
		h.Set("Content-Type", d.Type)
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.Name}))
		h.Set("Cache-Control", "no-store")
		for name, value := range d.Headers {
			h.Set(name, value)
		}
		for _, name := range d.Trailers {
			h.Add("Trailer", name)
		}
	}}
	trailers, err := d.Write(out)
	switch {
	case err == nil:
		_, _ = out.Write(nil) // an empty file has a head as well
		for name, value := range trailers {
			if slices.Contains(d.Trailers, name) {
				w.Header().Set(name, value)
			}
		}
	case !out.begun:
		Problem(w, r, err)
	default:
		if r.Context().Err() == nil {
			logger(r.Context()).ErrorContext(r.Context(), "a download broke off", "error", err, "route", route(r.Context()), "request_id", RequestID(r.Context()))
		}
		panic(http.ErrAbortHandler)
	}
}

// patient gives the client time for each piece, however long the whole takes.
type patient struct {
	w     http.ResponseWriter
	ctl   *http.ResponseController
	head  func()
	begun bool
}

func (p *patient) Write(piece []byte) (int, error) {
	if !p.begun {
		p.begun = true
		p.head()
	}
	if err := p.ctl.SetWriteDeadline(time.Now().Add(downloadStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(piece)
}
