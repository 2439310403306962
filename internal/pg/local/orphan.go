package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// endOrphan stops a server that outlived the process which started it, as
// can happen where a parent's death sends no signal, and removes the pid
// files of one that is long gone. Holding the directory's lock we know that
// nobody uses them any more.
func (c *Cluster) endOrphan(ctx context.Context) error {
	left := c.orphan()
	if left == nil {
		return nil
	}
	if left.stranger {
		// After a reboot, or in a new container, the number is soon
		// somebody else's, and Postgres would take him for its older self.
		locks, _ := filepath.Glob(filepath.Join(c.sock, ".s.PGSQL.*.lock"))
		for _, stale := range append(locks, c.pidFile()) {
			if err := os.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return explain(err, c.dir, "")
			}
		}
		return nil
	}
	asked, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(asked, fmt.Sprintf("host=%s port=%s user=%s dbname=postgres", left.sock, left.port, superuser))
	if err != nil {
		return nil // stopping already, or no server: launch waits or replaces it
	}
	var where string
	err = conn.QueryRow(asked, `SHOW data_directory`).Scan(&where)
	_ = conn.Close(asked)
	if err != nil || where != c.data {
		return nil
	}
	c.opts.Progress("stopping the Postgres an earlier run left behind")
	if err := syscall.Kill(left.pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("an earlier Postgres, pid %d, still runs on %s and cannot be stopped: %w", left.pid, c.data, err)
	}
	return nil
}

// orphan is the server that the pid file in the data directory tells of.
type orphan struct {
	pid        int
	port, sock string
	stranger   bool // the process is certainly no Postgres of ours
}

func (c *Cluster) pidFile() string { return filepath.Join(c.data, "postmaster.pid") }

// orphan is nil when no process is left.
func (c *Cluster) orphan() *orphan {
	text, err := os.ReadFile(c.pidFile())
	if err != nil {
		return nil
	}
	// Lines: pid, data directory, start time, port, socket directory, …
	lines := strings.Split(string(text), "\n")
	if len(lines) < 5 {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid < 1 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return nil
	}
	return &orphan{pid: pid, port: lines[3], sock: lines[4], stranger: isStranger(pid, c.data)}
}

// isStranger says that the process is certainly no Postgres on data. In
// doubt the answer is no.
func isStranger(pid int, data string) bool {
	if runtime.GOOS == "linux" {
		// A Postgres works in its data directory.
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if err != nil {
			return false
		}
		data, err = filepath.EvalSymlinks(data)
		return err == nil && at != data
	}
	program, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	name := strings.TrimSpace(string(program))
	return err == nil && name != "" && filepath.Base(name) != "postgres"
}
