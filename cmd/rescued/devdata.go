package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rescued/internal/pg/local"
	"rescued/sla"
)

// directory makes the data directory and says where its Postgres cluster
// lives: inside it, or, where the server's account may not go, in a place of
// its own. With --reset what was there before is set aside first.
func (d devCmd) directory(out io.Writer) (dir, place string, err error) {
	if dir, err = filepath.Abs(d.Data); err != nil {
		return "", "", err
	}
	if place, err = local.Place(filepath.Join(dir, "postgres")); err != nil {
		return "", "", err
	}
	if d.Reset {
		if err := setAside(dir, place, out); err != nil {
			return "", "", err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", fmt.Errorf("make the data directory %s: %w; choose another with --data", dir, plain(err))
	}
	return dir, place, nil
}

// setAside renames what a former run left; it deletes nothing.
func setAside(dir, place string, out io.Writer) error {
	if err := mustBeIdle(place); err != nil {
		return err
	}
	stamp := time.Now().UTC().Format("-20060102T150405Z")
	moved := []string{place}
	if strings.HasPrefix(place, dir+string(filepath.Separator)) {
		moved = nil // it moves with its directory
	}
	for _, from := range append(moved, dir) {
		switch err := os.Rename(from, from+stamp); {
		case err == nil:
			fmt.Fprintf(out, "set aside: the former state is in %s; delete it when you no longer want it\n", from+stamp)
		case !errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("set %s aside: %w", from, plain(err))
		}
	}
	return nil
}

// mustBeIdle refuses to move a cluster that a running system uses. Only the
// owner of its lock can start it.
func mustBeIdle(place string) error {
	if _, err := os.Stat(place); err != nil {
		return nil
	}
	probe, err := local.Start(context.Background(), local.Options{Dir: place, SocketOnly: true})
	if err != nil {
		return fmt.Errorf("--reset: %w", err)
	}
	return stopped("postgres", probe.Stop)
}

// devPayouts pays batches by files in the data directory.
func devPayouts(dir string) ([]sla.Payout, error) {
	place := filepath.Join(dir, "payouts")
	if err := os.MkdirAll(place, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory %s for payouts: %w", place, plain(err))
	}
	way, err := sla.NewPayoutFile(place)
	return []sla.Payout{way}, err
}
