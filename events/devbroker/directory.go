package devbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// directory is the broker's place on disk:
//
//	lock   held by the running process, whichever way it ends
//	clean  there from a clean stop to the next start
//	data   kfake's files
//	old    the data of an unclean stop, until its outside records are copied
type directory struct {
	lock             *os.File
	data, old, clean string
}

func openDirectory(dir string) (*directory, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, explainDisk(err, dir)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explainDisk(err, dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		pid, _ := os.ReadFile(path)
		return nil, fmt.Errorf("another embedded broker runs on %s, pid %s: stop it or choose another directory", dir, strings.TrimSpace(string(pid)))
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteString(pidText())
	}
	if err != nil {
		f.Close()
		return nil, explainDisk(err, dir)
	}
	return &directory{
		lock: f,
		data: filepath.Join(dir, "data"), old: filepath.Join(dir, "old"), clean: filepath.Join(dir, "clean"),
	}, nil
}

// unlock says so itself: a child that is being forked shares the open file
// until its exec, and closing ours would leave the lock with it.
func (d *directory) unlock() {
	_ = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_UN)
	_ = d.lock.Close()
}

// close gives the directory up and, when all is in order there, marks the
// stop as clean. The broker has written and synced its files.
func (d *directory) close(inOrder bool) error {
	defer d.unlock()
	if !inOrder {
		return nil
	}
	if err := os.WriteFile(d.clean, []byte("stopped in order\n"), 0o600); err != nil {
		return explainDisk(err, d.data)
	}
	return syncDir(filepath.Dir(d.clean))
}

// recover brings the directory to a state the broker can start from and
// reports whether that state is without the journal's events.
//
// It may itself be killed at any point. The data of the unclean stop is
// renamed first and removed last; until then a new start finds old and copies
// from it once more, onto an empty directory.
func (d *directory) recover(ctx context.Context, opts Options) (fresh bool, err error) {
	if exists(d.clean) && !exists(d.old) {
		// The mark must be gone, for good, before anything is written.
		if err := os.Remove(d.clean); err != nil {
			return false, explainDisk(err, d.data)
		}
		return !exists(d.data), syncDir(filepath.Dir(d.clean))
	}
	if !exists(d.old) && exists(d.data) {
		if err := os.Rename(d.data, d.old); err != nil {
			return false, explainDisk(err, d.data)
		}
	}
	for _, stale := range []string{d.data, d.clean} {
		if err := os.RemoveAll(stale); err != nil {
			return false, explainDisk(err, d.data)
		}
	}
	if !exists(d.old) {
		return true, nil
	}
	opts.Log.Info("the embedded broker was not stopped in order: it starts empty and the journal is published again")
	if err := d.carry(ctx, opts); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		// Nothing here can read it; somebody may want to look.
		aside := fmt.Sprintf("%s-unread-%s", d.old, time.Now().UTC().Format("20060102T150405"))
		opts.Log.Error("records that others wrote could not be taken over; their files are kept", "files", aside, "err", err)
		if err := os.Rename(d.old, aside); err != nil {
			return false, explainDisk(err, d.data)
		}
		// A half written copy would be repeated records at best.
		return true, os.RemoveAll(d.data)
	}
	return true, os.RemoveAll(d.old)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
