package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rescued/internal/pg/local"
)

const (
	dirPrefix = "rescued-pgtest-"
	staleAge  = 3 * time.Hour
)

// startCluster runs this process's cluster and returns its address.
func startCluster() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clusterTimeout)
	defer cancel()
	base := tempDir()
	sweep(base)
	dir, err := os.MkdirTemp(base, dirPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", fmt.Errorf("directory for the test cluster: %w", err)
	}
	// MkdirTemp closes the door to everybody else, and the server may run
	// as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("directory for the test cluster: %w", err)
	}
	cluster, err := local.Start(ctx, local.Options{
		Dir: dir, SocketOnly: true, Throwaway: true,
		Progress: func(text string) {
			if strings.HasPrefix(text, "fetching") || strings.HasPrefix(text, "installing") || strings.HasPrefix(text, "waiting") {
				fmt.Fprintln(os.Stderr, "pgtest:", text)
			}
		},
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("test cluster: %w", err)
	}
	return cluster.URL("postgres"), nil
}

// tempDir is the system's temporary directory, unless the server's account
// may not enter it or its path is too long for a socket.
func tempDir() string {
	dir := os.TempDir()
	if place, err := local.Place(dir); err != nil || place != dir || len(dir) > 40 {
		return "/tmp"
	}
	return dir
}

// sweep removes what a test binary left whose watchdog was killed with it:
// old directories whose process is gone.
func sweep(base string) {
	left, _ := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	for _, dir := range left {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < staleAge {
			continue
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(text)
		if err != nil || syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
}
