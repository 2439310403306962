package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the oldest Postgres our SQL is written for.
const oldestMajor = 14

// install is a folder with the programs postgres and initdb.
type install struct {
	bin   string
	major int
}

// binaries is the folder of programs to run the data directory with: an
// installed one of the same major version (any new enough one for new
// data), newest first, else one fetched for the user.
func binaries(ctx context.Context, data string, acct *account, progress func(string)) (string, error) {
	want, err := dataMajor(data)
	if err != nil {
		return "", err
	}
	found, err := installed(ctx, acct)
	if err != nil {
		return "", err
	}
	if bin := choose(found, want); bin != "" {
		return bin, nil
	}
	if want != 0 && want != fetchedMajor {
		return "", mismatch(data, want, found)
	}
	fetched, err := fetch(ctx, acct, progress)
	if err != nil {
		return "", err
	}
	if want != 0 && fetched.major != want {
		return "", mismatch(data, want, append(found, fetched))
	}
	return fetched.bin, nil
}

func choose(found []install, want int) string {
	for _, in := range found {
		if in.major == want || want == 0 && in.major >= oldestMajor {
			return in.bin
		}
	}
	return ""
}

func mismatch(data string, want int, found []install) error {
	var have []string
	for _, in := range found {
		have = append(have, fmt.Sprintf("%d in %s", in.major, in.bin))
	}
	if have == nil {
		have = []string{"none"}
	}
	return fmt.Errorf("%s was made by Postgres %d and the Postgres found here is %s: install Postgres %d, name its programs with PG_BIN, or choose another directory; the data is untouched",
		data, want, strings.Join(have, ", "), want)
}

// dataMajor is the version that made the data directory, 0 for none yet.
func dataMajor(data string) (int, error) {
	path := filepath.Join(data, "PG_VERSION")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, explain(err, filepath.Dir(data), "")
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s does not hold a version: %s is no usable Postgres data directory, choose another", path, data)
	}
	return major, nil
}

// installed lists what this machine has: exactly PG_BIN when it is set,
// else the usual places, newest first.
func installed(ctx context.Context, acct *account) ([]install, error) {
	if bin := os.Getenv("PG_BIN"); bin != "" {
		in, err := inspect(ctx, bin, acct)
		if err != nil {
			return nil, fmt.Errorf("PG_BIN=%s cannot be used: %w", bin, err)
		}
		return []install{in}, nil
	}
	var found []install
	for _, bin := range places() {
		if in, err := inspect(ctx, bin, acct); err == nil && !slices.Contains(found, in) {
			found = append(found, in)
		}
	}
	slices.SortStableFunc(found, func(a, b install) int { return b.major - a.major })
	return found, nil
}

func places() []string {
	patterns := []string{
		"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
		"/usr/pgsql-*/bin",                  // the PostgreSQL project's RPMs
		"/usr/libexec/postgresql*",          // Alpine
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew on Apple silicon
		"/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
	var bins []string
	for _, p := range patterns {
		match, _ := filepath.Glob(p)
		bins = append(bins, match...)
	}
	for _, program := range []string{"postgres", "initdb"} {
		if path, err := exec.LookPath(program); err == nil {
			if path, err = filepath.EvalSymlinks(path); err == nil {
				bins = append(bins, filepath.Dir(path))
			}
		}
	}
	if dir, err := cacheDir(); err == nil {
		bins = append(bins, fetchedBin(dir))
	}
	return bins
}

// inspect asks the programs in bin for their version, as the account that
// will run them.
func inspect(ctx context.Context, bin string, acct *account) (install, error) {
	if bin, err := filepath.EvalSymlinks(bin); err != nil || acct.barrier(bin) != "" {
		return install{}, fmt.Errorf("%s may not enter it or it does not exist", acct.name)
	}
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return install{}, fmt.Errorf("it has no program %s", program)
		}
	}
	out, err := acct.command(ctx, filepath.Join(bin, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return install{}, fmt.Errorf("its program postgres does not run: %w: %s", err, lastLines(string(out), 1))
	}
	major, err := parseMajor(string(out))
	if err != nil {
		return install{}, err
	}
	return install{bin: bin, major: major}, nil
}

// parseMajor reads "postgres (PostgreSQL) 15.13 (Debian …)"; betas read
// "18beta1".
func parseMajor(text string) (int, error) {
	_, after, ok := strings.Cut(text, "(PostgreSQL) ")
	if ok {
		end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
		if end > 0 {
			return strconv.Atoi(after[:end])
		}
	}
	return 0, fmt.Errorf("it does not say its version but %q", strings.TrimSpace(text))
}

// cacheDir is where fetched programs are kept: the user's cache, or for
// root a place that the server's account may enter.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 && runtime.GOOS == "linux" {
		return "/var/cache/rescued", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for Postgres: set HOME: %w", err)
	}
	return filepath.Join(dir, "rescued"), nil
}
