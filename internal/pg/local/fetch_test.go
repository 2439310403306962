package local

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for name, text := range files {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}))
		_, err := archive.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, zip.Close())
	return out.Bytes()
}

func TestUnpackMakesTheLinksThePackageLists(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, unpack(tarball(t, map[string]string{
		"package/native/bin/postgres":         "#!program",
		"package/native/lib/libpq.so.5.17":    "library",
		"package/native/pg-symlinks.json":     `[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"}]`,
		"package/scripts/hydrate-symlinks.js": "not wanted",
	}), dir))
	require.NoError(t, openUp(dir))
	info, err := os.Stat(filepath.Join(dir, "bin", "postgres"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
	text, err := os.ReadFile(filepath.Join(dir, "lib", "libpq.so.5"))
	require.NoError(t, err)
	require.Equal(t, "library", string(text))
	info, err = os.Stat(filepath.Join(dir, "lib", "libpq.so.5.17"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "the server's account may read it")
	require.NoDirExists(t, filepath.Join(dir, "scripts"))
}

func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for _, files := range []map[string]string{
		{"package/native/../../evil": "x"},
		{"package/native/pg-symlinks.json": `[{"source":"native/../../x","target":"native/lib/x"}]`},
		{"package/native/pg-symlinks.json": `[{"source":"native/lib/x","target":"/etc/x"}]`},
	} {
		require.ErrorContains(t, unpack(tarball(t, files), filepath.Join(t.TempDir(), "tree")), "leads out of the package")
	}
}

func TestParseMajor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
	} {
		major, err := parseMajor(text)
		require.NoError(t, err)
		require.Equal(t, want, major)
	}
	_, err := parseMajor("psql 15")
	require.Error(t, err)
}

func TestChooseTheVersionOfTheData(t *testing.T) {
	t.Parallel()
	found := []install{{"/17", 17}, {"/15", 15}, {"/12", 12}}
	require.Equal(t, "/17", choose(found, 0), "new data: the newest")
	require.Equal(t, "/15", choose(found, 15))
	require.Empty(t, choose(found, 16))
	require.Empty(t, choose(found[2:], 0), "too old for new data")
}
