package local

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func tarball(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, head := range entries {
		text := head.PAXRecords["RESCUED.text"]
		head.PAXRecords, head.Size = nil, int64(len(text))
		require.NoError(t, archive.WriteHeader(&head))
		_, err := archive.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	return out.Bytes()
}

func file(name, text string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, PAXRecords: map[string]string{"RESCUED.text": text}}
}

func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}

func gzipped(t *testing.T, blob []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, err := zip.Write(blob)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return out.Bytes()
}

// requireTree finds a program, a library and a link to it, all of which any
// account may use.
func requireTree(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, openUp(dir))
	info, err := os.Stat(filepath.Join(dir, "bin", "postgres"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
	text, err := os.ReadFile(filepath.Join(dir, "lib", "libpq.so.5"))
	require.NoError(t, err)
	require.Equal(t, "library", string(text))
	info, err = os.Stat(filepath.Join(dir, "lib", "libpq.so.5.17"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
}

func TestUnpackPackageMakesTheLinksItLists(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, unpackPackage(gzipped(t, tarball(t,
		file("package/native/pg-symlinks.json", `[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"}]`),
		file("package/native/bin/postgres", "#!program"),
		file("package/native/lib/libpq.so.5.17", "library"),
		file("package/scripts/hydrate-symlinks.js", "not wanted"),
	)), dir))
	requireTree(t, dir)
	require.NoDirExists(t, filepath.Join(dir, "scripts"))
}

func TestUnpackArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, tree := filepath.Join(dir, "postgres.txz"), filepath.Join(dir, "tree")
	blob := archive(t)
	require.NoError(t, os.WriteFile(path, blob, 0o644))
	other := sha256.Sum256([]byte("another archive"))
	require.ErrorContains(t, unpackArchive(path, hex.EncodeToString(other[:]), tree), "its digest differs")
	require.ErrorContains(t, unpackArchive(path, "", tree), "its digest differs", "an unknown platform has no pin")
	require.NoDirExists(t, tree, "nothing is written before the digest is checked")
	sum := sha256.Sum256(blob)
	require.NoError(t, unpackArchive(path, hex.EncodeToString(sum[:]), tree))
	requireTree(t, tree)
}

// archive is a .txz of bin/postgres, lib/libpq.so.5.17 and a link to that.
func archive(t *testing.T) []byte {
	t.Helper()
	blob, err := base64.StdEncoding.DecodeString("/Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4Cf/AK5dADEaShsFkZA3OlG9V3Gz1uEhGuzodTR9POemV5xBuI5pdqsf/+4UwNzm" +
		"uHkvbi8pgLYcPNEzEbV/6AByAgSEXKTjZvC7liUex0sghaPrVSvkxSMcQoIMi3Kd2JD4fp8F1Kk+TpXyUgd8mqejSfz3ihj5" +
		"8utwY+XO99douNex0ujAFKozmf+ovmuqmABu4xXSSOVjWIS2H4bOa+ennFr1YQ2O0bhQ2jyNRqWEqmjbAAAAAKf1eGYAAcYB" +
		"gFAAAE+YYbg+MA2LAgAAAAABWVo=")
	require.NoError(t, err)
	return blob
}

func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	list := func(text string) []tar.Header { return []tar.Header{file("package/native/pg-symlinks.json", text)} }
	for _, entries := range [][]tar.Header{
		{file("package/native/../../evil", "x")},
		list(`[{"source":"native/../../x","target":"native/lib/x"}]`),
		list(`[{"source":"native/lib/x","target":"/etc/x"}]`),
	} {
		require.ErrorContains(t, unpackPackage(gzipped(t, tarball(t, entries...)), filepath.Join(t.TempDir(), "tree")), "leads out of the package")
	}
	for _, entry := range []tar.Header{
		file("../evil", "x"), file("/evil", "x"),
		symlink("lib/x", "../../x"), symlink("lib/x", "/etc/x"), symlink("../x", "x"),
	} {
		require.ErrorContains(t, unpack(bytes.NewReader(tarball(t, entry)), "", filepath.Join(t.TempDir(), "tree")), "leads out of the package", entry.Name)
	}
}

func TestUnpackWritesNoFileThroughALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := unpack(bytes.NewReader(tarball(t, symlink("lib", "bin"), file("bin/a", "a"), file("lib/b", "b"))), "", dir)
	require.Error(t, err, "the link finds its place taken")
	require.NoFileExists(t, filepath.Join(dir, "bin", "b"))
}
