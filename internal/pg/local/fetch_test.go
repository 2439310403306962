package local

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/stretchr/testify/require"
)

// repository serves one jar with the given digest, whatever it is asked for.
func repository(t *testing.T, jar []byte, digest string) embeddedpostgres.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case jar == nil:
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			_, _ = w.Write([]byte(digest))
		default:
			_, _ = w.Write(jar)
		}
	}))
	t.Cleanup(server.Close)
	return embeddedpostgres.DefaultConfig().Version(fetchedVersion).BinaryRepositoryURL(server.URL)
}

func jarOf(t *testing.T, archive []byte) (jar []byte, digest string) {
	t.Helper()
	var out bytes.Buffer
	writer := zip.NewWriter(&out)
	entry, err := writer.Create("postgres-some-system.txz")
	require.NoError(t, err)
	_, err = entry.Write(archive)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	sum := sha256.Sum256(out.Bytes())
	return out.Bytes(), hex.EncodeToString(sum[:])
}

// The library is stopped between the download and everything it would do
// with it: the archive is there, and nothing of what was in it.
func TestFetchArchiveOnlyFetches(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	jar, digest := jarOf(t, archive(t))
	path, err := fetchArchive(context.Background(), repository(t, jar, digest), work)
	require.NoError(t, err)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, archive(t), got)
	entries, err := os.ReadDir(work)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.ElementsMatch(t, []string{filepath.Base(path), "sealed"}, names)
	_, err = os.Stat(filepath.Join(work, "sealed"))
	require.ErrorIs(t, err, os.ErrNotExist, "it still leads nowhere")
}

func TestFetchArchiveSaysWhatFailed(t *testing.T) {
	t.Parallel()
	jar, digest := jarOf(t, archive(t))
	_, err := fetchArchive(context.Background(), repository(t, nil, ""), t.TempDir())
	require.ErrorContains(t, err, "no version found matching "+fetchedVersion)
	work := t.TempDir()
	_, err = fetchArchive(context.Background(), repository(t, append([]byte("x"), jar...), digest), work)
	require.ErrorContains(t, err, "checksums do not match")
	found, err := filepath.Glob(filepath.Join(work, "*.txz"))
	require.NoError(t, err)
	require.Empty(t, found)
}

// The library waits for a server for ever; we do not.
func TestFetchArchiveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	_, err := fetchArchive(ctx, embeddedpostgres.DefaultConfig().Version(fetchedVersion).BinaryRepositoryURL(server.URL), t.TempDir())
	require.ErrorIs(t, err, context.Canceled)
}

// Every platform we claim has a pin for both packages of the same version.
func TestPins(t *testing.T) {
	t.Parallel()
	for platform, arch := range map[string]string{
		"linux/amd64": "linux-amd64", "linux/arm64": "linux-arm64v8",
		"darwin/amd64": "darwin-amd64", "darwin/arm64": "darwin-arm64v8",
	} {
		require.Contains(t, packageDigests, platform)
		require.Contains(t, archiveDigests, "embedded-postgres-binaries-"+arch+"-"+fetchedVersion+".txz")
	}
}

func TestOneFetchesAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := waitLock(context.Background(), path, func() { t.Error("nobody is there") })
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = waitLock(ctx, path, func() {})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	second, err := waitLock(context.Background(), path, func() { _ = first.Close() })
	require.NoError(t, err)
	require.NoError(t, second.Close())
}
