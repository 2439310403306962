package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/internal/pg/local"
)

// childDir, when set, turns the test binary into a program that runs a
// cluster there until it is killed.
const childDir = "RESCUED_TEST_CLUSTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(run(m))
}

// run keeps what the tests leave in the temporary directory together, and
// removes it.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rescued-local-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv("TMPDIR", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func child(dir string) int {
	throwaway := os.Getenv("RESCUED_TEST_THROWAWAY") != ""
	c, err := local.Start(context.Background(), local.Options{Dir: dir, Throwaway: throwaway, SocketOnly: throwaway})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("ready", c.URL("postgres"))
	select {}
}

// place is a short directory that the server's account may enter.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rescued-local-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "pg")
}

func start(t *testing.T, opts local.Options) *local.Cluster {
	t.Helper()
	c, err := local.Start(context.Background(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	return c
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var text string
	require.NoError(t, conn.QueryRow(ctx, sql).Scan(&text))
	return text
}

// The life of a cluster. Making its data takes longer than everything else
// here, so one cluster answers all questions that do not ruin it.
func TestStartStopResume(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := place(t)
	begin := time.Now()
	c := start(t, local.Options{Dir: dir})
	t.Logf("cold start %v", time.Since(begin))
	require.NoError(t, c.CreateDatabase(ctx, "rescued"))
	require.NoError(t, c.CreateDatabase(ctx, "rescued"), "a second time does nothing")
	settings := query(t, c.URL("rescued"), `SELECT json_object_agg(name, setting)::text FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums', 'listen_addresses', 'TimeZone', 'server_encoding')`)
	require.JSONEq(t, `{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
		"listen_addresses": "127.0.0.1", "TimeZone": "UTC", "server_encoding": "UTF8"}`, settings)

	_, err := pgx.Connect(ctx, strings.Replace(c.URL("rescued"), "rescued:", "rescued:not-", 1))
	require.ErrorContains(t, err, "28P01", "TCP asks for the password")
	requireRefusesSecond(t, c, dir)

	url := c.URL("rescued")
	require.NoError(t, c.Stop(ctx))
	_, open := <-c.Done()
	require.False(t, open, "an asked-for end is no failure")
	begin = time.Now()
	again := start(t, local.Options{Dir: dir})
	t.Logf("warm start %v", time.Since(begin))
	require.Equal(t, url, again.URL("rescued"), "port and password are kept")
	require.Equal(t, "rescued", query(t, url, `SELECT current_database()`))

	require.NoError(t, again.Stop(ctx))
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	taker, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
	require.NoError(t, err)
	defer taker.Close()
	moved := start(t, local.Options{Dir: dir})
	require.NotEqual(t, url, moved.URL("rescued"), "a port that was taken meanwhile is given up")
	require.Equal(t, "rescued", query(t, moved.URL("rescued"), `SELECT current_database()`))
	requireReportsDeath(t, moved, dir)
}

func requireRefusesSecond(t *testing.T, c *local.Cluster, dir string) {
	t.Helper()
	_, err := local.Start(context.Background(), local.Options{Dir: dir})
	require.ErrorContains(t, err, fmt.Sprintf("another rescued dev is running on %s, pid %d", dir, os.Getpid()))
	require.Equal(t, "1", query(t, c.URL("postgres"), `SELECT '1'`), "the first one is not disturbed")
}

func requireReportsDeath(t *testing.T, c *local.Cluster, dir string) {
	t.Helper()
	require.NoError(t, syscall.Kill(serverPID(t, dir), syscall.SIGKILL))
	select {
	case err := <-c.Done():
		require.ErrorContains(t, err, "Postgres ended by itself")
	case <-time.After(time.Minute):
		t.Fatal("nobody noticed the server's death")
	}
}

// A directory of another version is refused and stays as it was.
func TestOtherVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := place(t)
	data := filepath.Join(dir, "data")
	require.NoError(t, os.MkdirAll(data, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("9\n"), 0o644))
	_, err := local.Start(context.Background(), local.Options{Dir: dir})
	require.ErrorContains(t, err, "was made by Postgres 9")
	require.ErrorContains(t, err, "the data is untouched")
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	require.NoError(t, err)
	require.Equal(t, "9\n", string(text))
}

func TestForeignFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir := place(t)
	file := filepath.Join(dir, "data", "thesis.txt")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte("chapter 1"), 0o644))
	_, err := local.Start(context.Background(), local.Options{Dir: dir})
	require.ErrorContains(t, err, "is not empty and is no Postgres data directory")
	require.FileExists(t, file)
	_, err = local.Start(context.Background(), local.Options{Dir: dir, Throwaway: true})
	require.ErrorContains(t, err, "a throw-away cluster removes its directory: choose a new one")
	require.FileExists(t, file)
}

// kill -9 of the parent, and of parent and server together, which leaves a
// stale pid file and orphaned backends behind: the server always goes, and
// the next start finds every committed row.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := place(t)

	cmd, url := startChild(t, dir, false)
	query(t, url, `SELECT lo_from_bytea(1, 'before the first')::text`)
	kill(t, cmd)

	cmd, url = startChild(t, dir, false)
	query(t, url, `SELECT lo_from_bytea(2, 'before the second')::text`)
	require.NoError(t, syscall.Kill(serverPID(t, dir), syscall.SIGKILL))
	kill(t, cmd)

	// By now the pid in its files is another program's, as after a reboot.
	locks, err := filepath.Glob(filepath.Join(dir, "run", ".s.PGSQL.*.lock"))
	require.NoError(t, err)
	require.Len(t, locks, 1)
	stranger := strangerPID(t, dir)
	for _, path := range append(locks, filepath.Join(dir, "data", "postmaster.pid")) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), "\n")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "%d\n%s", stranger, rest), 0o600))
	}

	begin := time.Now()
	c := start(t, local.Options{Dir: dir})
	t.Logf("start after the kill %v", time.Since(begin))
	require.Equal(t, "before the first", query(t, c.URL("postgres"), `SELECT convert_from(lo_get(1), 'UTF8')`))
	require.Equal(t, "before the second", query(t, c.URL("postgres"), `SELECT convert_from(lo_get(2), 'UTF8')`))
}

// A server that takes its time to end still has its port: the next start waits
// for it, for the address is in people's settings.
func TestSlowEndKeepsThePort(t *testing.T) {
	t.Parallel()
	dir := place(t)
	cmd, url := startChild(t, dir, false)
	checkpointer, err := strconv.Atoi(query(t, url, `SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'`))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(checkpointer, syscall.SIGSTOP), "no end without a last checkpoint")
	kill(t, cmd)
	time.AfterFunc(2*time.Second, func() { _ = syscall.Kill(checkpointer, syscall.SIGCONT) })
	require.Equal(t, url, start(t, local.Options{Dir: dir}).URL("postgres"))
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// strangerPID runs a program that is no Postgres as the server's account.
func strangerPID(t *testing.T, dir string) int {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		info, err := os.Stat(filepath.Join(dir, "data"))
		require.NoError(t, err)
		owner := info.Sys().(*syscall.Stat_t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// kill -9 of a throw-away cluster's process: the server goes, its directory
// too, and so does the short one that a long path makes it keep its socket in.
func TestThrowawayIsThrownAway(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(place(t), strings.Repeat("long", 30))
	cmd, url := startChild(t, dir, true)
	require.Equal(t, "1", query(t, url, `SELECT '1'`))
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	require.NotContains(t, cfg.Host, dir)
	require.DirExists(t, cfg.Host)
	pid := serverPID(t, dir)
	kill(t, cmd)
	require.Eventually(t, func() bool {
		for _, gone := range []string{dir, cfg.Host} {
			if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
				return false
			}
		}
		return syscall.Kill(pid, 0) != nil
	}, 20*time.Second, 50*time.Millisecond)
}

func startChild(t *testing.T, dir string, throwaway bool) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	if throwaway {
		cmd.Env = append(cmd.Env, "RESCUED_TEST_THROWAWAY=yes")
	}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	require.True(t, ok, line)
	return cmd, url
}

func serverPID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	return pid
}
