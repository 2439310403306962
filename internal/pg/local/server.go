package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// durable are the settings of a cluster that keeps what it was given.
// wal_level=logical costs little and leaves change capture open.
var durable = []string{
	"fsync=on", "full_page_writes=on", "synchronous_commit=on",
	"shared_buffers=256MB", "max_wal_size=2GB", "max_connections=100",
	"checkpoint_timeout=15min", "checkpoint_completion_target=0.9",
	"wal_compression=on", "wal_level=logical",
}

// forgetful are the settings of a cluster that is thrown away: a power cut
// would ruin it, and nobody would mind.
var forgetful = []string{
	"fsync=off", "full_page_writes=off", "synchronous_commit=off",
	"shared_buffers=64MB", "max_connections=300", "checkpoint_timeout=1h",
	"wal_level=minimal", "max_wal_senders=0", "autovacuum_naptime=1h",
}

// server is one run of the postgres program.
type server struct {
	process  *os.Process
	exited   chan struct{} // closed once it is gone
	err      error         // why, readable after exited
	stopping atomic.Bool
}

// launch starts the server, waiting for what an earlier one left behind and
// moving to another port if ours was snatched away.
func (c *Cluster) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.endOrphan(ctx); err != nil {
		return err
	}
	for {
		if err := c.pickPort(ctx); err != nil {
			return err
		}
		err := c.launchOnce(ctx)
		if err == nil {
			return c.keepPort()
		}
		switch text := err.Error(); {
		case strings.Contains(text, "shared memory block"), strings.Contains(text, "lock file \""):
			// Backends of a server that was killed live on for a moment.
			c.opts.Progress("waiting for the previous Postgres to end")
		case strings.Contains(text, "Address already in use"):
			_ = os.Remove(c.portFile())
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// launchOnce starts the program and waits until it answers.
func (c *Cluster) launchOnce(ctx context.Context) error {
	logFile, err := c.openLog()
	if err != nil {
		return explain(err, c.dir, "")
	}
	defer logFile.Close()
	begin, _ := logFile.Seek(0, io.SeekEnd)

	cmd := c.acct.command(context.Background(), filepath.Join(c.bin, "postgres"), c.arguments()...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	dieWithParent(cmd.SysProcAttr)
	srv := &server{exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The parent-death signal follows the thread that forked, not the
		// process: keep that thread for as long as the server runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		srv.process = cmd.Process
		started <- nil
		srv.err = cmd.Wait()
		close(srv.exited)
	}()
	if err := <-started; err != nil {
		return explain(fmt.Errorf("start Postgres: %w", err), c.dir, "")
	}
	if c.opts.Throwaway || !parentDeathSignal {
		if c.life, err = watchdog(srv.process.Pid, c.throwawayDirs()); err != nil {
			_ = srv.stop(ctx)
			return err
		}
	}
	for {
		if c.answers(ctx) {
			c.srv = srv
			return nil
		}
		select {
		case <-srv.exited:
			c.dismissWatchdog()
			said := c.logSince(begin)
			return explain(fmt.Errorf("the private Postgres did not start: %w", errOr(srv.err, "it ended")), c.dir, said)
		case <-ctx.Done():
			_ = srv.stop(context.WithoutCancel(ctx))
			return explain(fmt.Errorf("the private Postgres did not answer in time, see %s: %w", c.logPath(), ctx.Err()), c.dir, c.logSince(begin))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *Cluster) arguments() []string {
	port, listen := c.port, "127.0.0.1"
	if port == 0 {
		port, listen = socketPort, ""
	}
	settings := durable
	if c.opts.Throwaway {
		settings = forgetful
	}
	args := []string{
		"-D", c.data, "-k", c.sock, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=" + listen, "-c", "unix_socket_permissions=0700",
		"-c", "timezone=UTC", "-c", "log_timezone=UTC", "-c", "log_min_messages=warning",
		"-c", "password_encryption=scram-sha-256",
	}
	for _, s := range append(settings[:len(settings):len(settings)], c.opts.Settings...) {
		args = append(args, "-c", s)
	}
	return args
}

func (c *Cluster) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.socketURL("postgres"))
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx) == nil
}

// stop asks for a fast shutdown, and when ctx ends insists.
func (s *server) stop(ctx context.Context) error {
	s.stopping.Store(true)
	_ = s.process.Signal(syscall.SIGINT)
	select {
	case <-s.exited:
		return nil
	case <-ctx.Done():
	}
	_ = s.process.Signal(syscall.SIGQUIT) // Postgres's immediate shutdown
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
		_ = s.process.Kill()
		<-s.exited
	}
	return fmt.Errorf("the private Postgres was stopped hard: %w", ctx.Err())
}

// pickPort settles the TCP port: the one kept from last time if free, else
// any free one. A server that was told to end keeps its port until it has, so
// as long as there is one we wait for it.
func (c *Cluster) pickPort(ctx context.Context) error {
	if c.opts.SocketOnly {
		return nil
	}
	if text, err := os.ReadFile(c.portFile()); err == nil {
		if kept, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			patience, cancel := context.WithTimeout(ctx, orphanTimeout)
			defer cancel()
			for told := false; ; time.Sleep(50 * time.Millisecond) {
				// Asked in this order: it ends after it has let go of the port.
				alive := c.orphan() != nil
				if freePort(kept) {
					c.port = kept
					return nil
				}
				if !alive || patience.Err() != nil {
					break
				}
				if !told {
					c.opts.Progress("waiting for the previous Postgres to end")
					told = true
				}
			}
		}
	}
	for range 100 {
		if port := lowestPort + rand.IntN(portRange); freePort(port) {
			c.port = port
			return nil
		}
	}
	return fmt.Errorf("no free TCP port on 127.0.0.1 from %d to %d: stop some programs", lowestPort, lowestPort+portRange-1)
}

func (c *Cluster) keepPort() error {
	if c.port == 0 {
		return nil
	}
	if err := os.WriteFile(c.portFile(), []byte(strconv.Itoa(c.port)+"\n"), 0o644); err != nil {
		return explain(err, c.dir, "")
	}
	return nil
}

func (c *Cluster) portFile() string { return filepath.Join(c.dir, "port") }

// freePort reports that nobody answers on a port. It does not listen there to
// find out: a program started at that moment would hold the port on until it has
// closed what it inherits, and the server would be told that it is in use.
func freePort(port int) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}
