package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"rescued/internal/fault"
	"rescued/internal/web"
)

func TestADownloadIsWholeOrCut(t *testing.T) {
	t.Parallel()
	router := chi.NewRouter()
	api := web.NewAPI(router, "test", "1")
	broken := errors.New("broken")
	files := map[string]func(io.Writer) error{
		"whole": func(w io.Writer) error { _, err := io.WriteString(w, "a,b\r\n"); return err },
		"empty": func(io.Writer) error { return nil },
		"never": func(io.Writer) error { return fault.New(fault.Busy, "busy", "Try again.") },
		"half": func(w io.Writer) error {
			_, err := w.Write(make([]byte, 1<<20))
			return errors.Join(err, broken)
		},
	}
	type input struct {
		Name string `path:"name"`
	}
	op := huma.Operation{OperationID: "file", Method: http.MethodGet, Path: "/files/{name}"}
	web.RegisterDownload(api, op, web.Anyone(), []string{"text/csv"}, func(_ context.Context, in *input) (*web.Download, error) {
		write, ok := files[in.Name]
		if !ok {
			return nil, fault.New(fault.NotFound, "no_file", "There is no such file.")
		}
		return &web.Download{Name: in.Name + ".csv", Type: "text/csv", Headers: map[string]string{"X-Filter": "all"}, Trailers: []string{"X-Lines"},
			Write: func(w io.Writer) (map[string]string, error) { return map[string]string{"X-Lines": "1"}, write(w) }}, nil
	})
	srv := httptest.NewServer(router)
	defer srv.Close()
	get := func(name string) (*http.Response, []byte, error) {
		res, err := srv.Client().Get(srv.URL + "/files/" + name)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return res, body, err
	}

	res, body, err := get("whole")
	require.NoError(t, err)
	require.Equal(t, "a,b\r\n", string(body))
	require.Equal(t, "attachment; filename=whole.csv", res.Header.Get("Content-Disposition"))
	require.Equal(t, "all", res.Header.Get("X-Filter"))
	require.Equal(t, "1", res.Trailer.Get("X-Lines"))

	res, body, err = get("empty")
	require.NoError(t, err)
	require.Empty(t, body)
	require.Equal(t, "text/csv", res.Header.Get("Content-Type"))

	for name, status := range map[string]int{"never": http.StatusServiceUnavailable, "lost": http.StatusNotFound} {
		res, _, err = get(name)
		require.NoError(t, err)
		require.Equal(t, status, res.StatusCode, name)
		require.Equal(t, web.ProblemType, res.Header.Get("Content-Type"))
		require.Empty(t, res.Header.Get("Content-Disposition"))
	}

	_, _, err = get("half")
	require.Error(t, err, "nobody takes half a file for a whole one")
}
