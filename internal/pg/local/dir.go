package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSocketPath is the shortest limit on a unix socket's path among the
// systems we run on: 104 bytes with the final zero on macOS, 108 on Linux.
const maxSocketPath = 103

func (c *Cluster) prepareDir() error {
	if door := c.acct.barrier(c.dir); door != "" {
		return fmt.Errorf("%s, which runs Postgres, may not enter %s: choose a directory elsewhere, such as /var/lib/rescued, or allow it with chmod o+x %s", c.acct.name, door, door)
	}
	if left, err := os.ReadDir(c.dir); c.opts.Throwaway && err == nil && len(left) > 0 {
		return fmt.Errorf("%s is not empty and a throw-away cluster removes its directory: choose a new one", c.dir)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	// MkdirAll's own directories obey the umask; under root they may have
	// come out closed to the account.
	if door := c.acct.barrier(c.dir); door != "" {
		if err := os.Chmod(c.dir, 0o755); err != nil || c.acct.barrier(c.dir) != "" {
			return fmt.Errorf("%s, which runs Postgres, may not enter %s: allow it with chmod o+x %s", c.acct.name, door, door)
		}
	}
	return nil
}

// lockDir makes us the directory's one user. The lock goes with the process
// that holds it, whichever way that ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain(err, dir, "")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		text, _ := os.ReadFile(path)
		return nil, fmt.Errorf("another rescued dev is running on %s, pid %s: stop it or choose another directory", dir, strings.TrimSpace(string(text)))
	}
	if err = f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, explain(err, dir, "")
	}
	return f, nil
}

// checkOwner catches a directory made under another account, which the
// server would refuse in its own, less helpful words.
func (c *Cluster) checkOwner() error {
	info, err := os.Stat(c.data)
	if err != nil {
		return explain(err, c.dir, "")
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != c.acct.uid {
		return fmt.Errorf("%s belongs to uid %d and Postgres would run as uid %d: run as the account that made it, or choose another directory", c.data, st.Uid, c.acct.uid)
	}
	return nil
}

// socketDir is run inside the cluster's directory, or a short directory of
// its own when that path is too long for a socket.
func (c *Cluster) socketDir() (string, error) {
	inside := filepath.Join(c.dir, "run")
	if len(inside)+len("/.s.PGSQL.65535") <= maxSocketPath {
		return inside, c.acct.mkdir(inside)
	}
	short, err := os.MkdirTemp("/tmp", "rescued-")
	if err != nil {
		return "", err
	}
	return short, c.acct.mkdir(short)
}

// explain turns the failures people meet into one sentence with a mend.
// detail is what the failed program said.
func explain(err error, dir, detail string) error {
	if err == nil {
		return nil
	}
	text := err.Error() + "\n" + detail
	var sentence string
	switch {
	case errors.Is(err, syscall.ENOSPC), strings.Contains(strings.ToLower(text), "no space left on device"):
		sentence = fmt.Sprintf("the disk that holds %s is full: free some space or choose another directory", dir)
	case errors.Is(err, fs.ErrPermission), strings.Contains(text, "Permission denied"):
		sentence = fmt.Sprintf("no permission to write in %s: correct its owner and mode or choose another directory", dir)
	case errors.Is(err, syscall.EROFS), strings.Contains(text, "Read-only file system"):
		sentence = fmt.Sprintf("%s is on a read-only disk: choose another directory", dir)
	case strings.Contains(text, "cannot allocate memory"), strings.Contains(text, "Cannot allocate memory"):
		sentence = "not enough memory for Postgres: free some"
	}
	last := lastLines(detail, 3)
	switch {
	case sentence != "" && last != "":
		return fmt.Errorf("%s (%w: %s)", sentence, err, last)
	case sentence != "":
		return fmt.Errorf("%s (%w)", sentence, err)
	case last != "":
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// lastLines joins the last n lines of text that say something.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
