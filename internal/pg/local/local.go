// Package local runs a private Postgres cluster for one process: the one
// behind "rescued dev" and the throw-away one behind the tests. It never
// touches a system cluster and never deletes a data directory it did not
// make as throw-away.
//
// A cluster's directory holds data (the Postgres data directory), run (its
// socket), postgres.log, lock (held while a process of ours uses it),
// password and port. The server dies with the process that started it, and
// an unclean death costs nothing that was committed: the next Start waits
// for what is left of the old server and recovers.
package local

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser    = "rescued"
	socketPort   = 5432 // names the socket file when there is no TCP port
	startTimeout = 60 * time.Second
	// orphanTimeout bounds how long a start waits for the port of a server
	// that is on its way out.
	orphanTimeout = 20 * time.Second
	// Our ports lie below those that systems give to outgoing connections
	// (32768 and above on Linux, 49152 on macOS): one of these would take a
	// port of ours between two starts.
	lowestPort, portRange = 20_000, 10_000
)

// Options say where a cluster lives and how it is reached.
type Options struct {
	// Dir is the cluster's own directory; it is made when missing. See
	// Place for a directory the server's account cannot enter.
	Dir string
	// SocketOnly leaves TCP out: the cluster is reached through its unix
	// socket, whose directory nobody else may enter. Otherwise it also
	// listens on a free port of 127.0.0.1, which later starts keep as long
	// as it stays free.
	SocketOnly bool
	// Throwaway trades durability for speed and removes Dir when the
	// process ends, however it ends; Dir must be new or empty. For tests
	// only.
	Throwaway bool
	// Settings are further server settings, as "name=value".
	Settings []string
	// Progress is told in a few words what takes long; nil is silence.
	Progress func(string)
}

// Cluster is a running server. Its methods are safe for concurrent use.
type Cluster struct {
	dir, data, sock string
	port            int // 0 when socket only
	password        string
	bin             string
	acct            *account
	opts            Options

	lock *os.File
	life io.WriteCloser // the watchdog's end of the pipe; nil without one
	srv  *server
	done chan error
}

// Start finds or fetches Postgres, makes the cluster in opts.Dir if it is
// not there yet, starts it and returns once it answers. Every error is one
// sentence that names the mend. A directory in use by another process, or
// made by another major version of Postgres, is refused and left as it is.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", opts.Dir, err)
	}
	c := &Cluster{dir: dir, data: filepath.Join(dir, "data"), opts: opts, done: make(chan error, 1)}
	if c.acct, err = serverAccount(); err != nil {
		return nil, err
	}
	if err := c.prepareDir(); err != nil {
		return nil, explain(err, c.dir, "")
	}
	if c.lock, err = lockDir(c.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.cleanup()
		}
	}()
	if c.bin, err = binaries(ctx, c.data, c.acct, opts.Progress); err != nil {
		return nil, err
	}
	if err := c.ensureData(ctx); err != nil {
		return nil, err
	}
	if c.sock, err = c.socketDir(); err != nil {
		return nil, explain(err, c.dir, "")
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	if err := c.ensurePassword(ctx); err != nil {
		_ = c.srv.stop(ctx)
		return nil, err
	}
	go func() {
		<-c.srv.exited
		if !c.srv.stopping.Load() {
			c.done <- explain(fmt.Errorf("the private Postgres ended by itself: %w", errOr(c.srv.err, "somebody stopped it")), c.dir, c.logTail())
		}
		close(c.done)
	}()
	return c, nil
}

// Done yields the reason when the server ends although nobody called Stop,
// and is closed once the server has ended in either way.
func (c *Cluster) Done() <-chan error { return c.done }

// URL is the address of one of the cluster's databases, for pgx and psql
// alike. Over TCP it contains the cluster's password.
func (c *Cluster) URL(database string) string {
	if c.port == 0 {
		return c.socketURL(database)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)), Path: "/" + database,
	}
	return u.String()
}

// CreateDatabase makes the named database unless it is there already.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.socketURL("postgres"))
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(ctx)
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	}
	if err != nil {
		return explain(fmt.Errorf("create database %s: %w", name, err), c.dir, "")
	}
	return nil
}

// Stop ends the server in an orderly way: sessions are cut off, everything
// is written down. When ctx ends first the server is stopped hard, which
// costs a recovery at the next start and no committed data.
func (c *Cluster) Stop(ctx context.Context) error {
	err := c.srv.stop(ctx)
	c.cleanup()
	return err
}

// cleanup lets go of everything but the server.
func (c *Cluster) cleanup() {
	c.dismissWatchdog()
	if c.sock != "" && filepath.Dir(c.sock) != c.dir {
		_ = os.RemoveAll(c.sock)
	}
	if c.opts.Throwaway {
		_ = os.RemoveAll(c.dir)
	}
	// Said so itself: a child that is being forked shares the open file until
	// its exec, and closing ours would leave the lock with it.
	_ = syscall.Flock(int(c.lock.Fd()), syscall.LOCK_UN)
	_ = c.lock.Close()
}

// socketURL reaches a database through the socket, where the directory's
// mode is the lock on the door.
func (c *Cluster) socketURL(database string) string {
	port := c.port
	if port == 0 {
		port = socketPort
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", superuser, url.PathEscape(database), url.QueryEscape(c.sock), port)
}

// ensurePassword gives the superuser a password, kept in a file only we can
// read. TCP on loopback is open to every account of the machine, so it asks
// for it.
func (c *Cluster) ensurePassword(ctx context.Context) error {
	if c.opts.SocketOnly {
		return nil
	}
	path := filepath.Join(c.dir, "password")
	if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
		c.password = strings.TrimSpace(string(text))
		return nil
	}
	secret := make([]byte, 20)
	_, _ = rand.Read(secret) // never fails
	c.password = strings.ToLower(base32.StdEncoding.EncodeToString(secret))
	conn, err := pgx.Connect(ctx, c.socketURL("postgres"))
	if err != nil {
		return fmt.Errorf("set the database password: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `ALTER ROLE `+superuser+` PASSWORD '`+c.password+`'`); err != nil {
		return fmt.Errorf("set the database password: %w", err)
	}
	if err := os.WriteFile(path, []byte(c.password+"\n"), 0o600); err != nil {
		return explain(err, c.dir, "")
	}
	return nil
}

// ensureData runs initdb beside its place and renames, so that a crash
// midway never leaves half a cluster where a whole one is expected.
func (c *Cluster) ensureData(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
		return c.checkOwner()
	}
	if left, err := os.ReadDir(c.data); err == nil && len(left) > 0 {
		return fmt.Errorf("%s is not empty and is no Postgres data directory: move it away or choose another directory", c.data)
	}
	c.opts.Progress("creating the database")
	making := c.data + ".new"
	if err := errors.Join(os.RemoveAll(making), c.acct.mkdir(making)); err != nil {
		return explain(err, c.dir, "")
	}
	args := []string{
		"-D", making, "-U", superuser, "--auth-local=trust", "--auth-host=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--data-checksums",
	}
	if c.opts.Throwaway {
		args = append(args, "--no-sync")
	}
	cmd := c.acct.command(ctx, filepath.Join(c.bin, "initdb"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(making)
		return explain(fmt.Errorf("initdb failed: %w", err), c.dir, string(out))
	}
	_ = os.Remove(c.data) // an empty directory may stand in the way
	if err := os.Rename(making, c.data); err != nil {
		return explain(err, c.dir, "")
	}
	return nil
}

// command runs a Postgres program as the account, away from our directory
// (which the account may be unable to enter) and our environment.
func (a *account) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
	cmd.SysProcAttr = a.procAttr()
	return cmd
}
