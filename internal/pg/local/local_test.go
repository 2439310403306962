package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
	os.Exit(m.Run())
}

func child(dir string) int {
	c, err := local.Start(context.Background(), local.Options{Dir: dir, Throwaway: os.Getenv("RESCUED_TEST_THROWAWAY") != ""})
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var text string
	require.NoError(t, conn.QueryRow(ctx, sql).Scan(&text))
	return text
}

func TestStartStopResume(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := place(t)
	begin := time.Now()
	c := start(t, local.Options{Dir: dir})
	t.Logf("cold start %v", time.Since(begin))
	require.NoError(t, c.CreateDatabase(ctx, "rescued"))
	require.NoError(t, c.CreateDatabase(ctx, "rescued"), "a second time does nothing")
	query(t, c.URL("rescued"), `WITH made AS (SELECT 1) SELECT set_config('x.y', 'z', false) FROM made`)
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
		"listen_addresses": "127.0.0.1", "TimeZone": "UTC", "server_encoding": "UTF8",
	} {
		require.Equal(t, want, query(t, c.URL("rescued"), `SELECT current_setting('`+setting+`')`), setting)
	}

	_, err := pgx.Connect(ctx, strings.Replace(c.URL("rescued"), "rescued:", "rescued:not-", 1))
	require.ErrorContains(t, err, "28P01", "TCP asks for the password")

	url := c.URL("rescued")
	require.NoError(t, c.Stop(ctx))
	_, open := <-c.Done()
	require.False(t, open, "an asked-for end is no failure")
	begin = time.Now()
	again := start(t, local.Options{Dir: dir})
	t.Logf("warm start %v", time.Since(begin))
	require.Equal(t, url, again.URL("rescued"), "port and password are kept")
	require.Equal(t, "rescued", query(t, url, `SELECT current_database()`))
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := place(t)
	c := start(t, local.Options{Dir: dir, SocketOnly: true})
	_, err := local.Start(context.Background(), local.Options{Dir: dir, SocketOnly: true})
	require.ErrorContains(t, err, fmt.Sprintf("another rescued dev is running on %s, pid %d", dir, os.Getpid()))
	require.Equal(t, "1", query(t, c.URL("postgres"), `SELECT '1'`), "the first one is not disturbed")
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	one := start(t, local.Options{Dir: place(t)})
	cfg, err := pgx.ParseConfig(one.URL("postgres"))
	require.NoError(t, err)
	_, err = local.Start(context.Background(), local.Options{Dir: place(t), Port: int(cfg.Port)})
	require.ErrorContains(t, err, "port "+strconv.Itoa(int(cfg.Port))+" on 127.0.0.1 is taken")
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

func TestLongPathGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(place(t), strings.Repeat("long", 30))
	c := start(t, local.Options{Dir: dir, SocketOnly: true, Throwaway: true})
	require.Equal(t, "1", query(t, c.URL("postgres"), `SELECT '1'`))
}

func TestServerDeathIsReported(t *testing.T) {
	t.Parallel()
	dir := place(t)
	c := start(t, local.Options{Dir: dir, SocketOnly: true})
	require.NoError(t, syscall.Kill(serverPID(t, dir), syscall.SIGKILL))
	select {
	case err := <-c.Done():
		require.ErrorContains(t, err, "Postgres ended by itself")
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
}

// kill -9 of the parent: the server goes too, and the next start finds every
// committed row.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	dir := place(t)
	for round := range 2 {
		cmd, url := startChild(t, dir, false)
		if round == 0 {
			query(t, url, `SELECT lo_from_bytea(4711, 'kept')::text`)
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	begin := time.Now()
	c := start(t, local.Options{Dir: dir})
	t.Logf("start after the kill %v", time.Since(begin))
	require.Equal(t, "kept", query(t, c.URL("postgres"), `SELECT convert_from(lo_get(4711), 'UTF8')`))
}

// kill -9 of parent and server together leaves a stale pid file and orphaned
// backends behind.
func TestParentAndServerKilled(t *testing.T) {
	t.Parallel()
	dir := place(t)
	cmd, url := startChild(t, dir, false)
	query(t, url, `SELECT lo_from_bytea(4712, 'kept')::text`)
	require.NoError(t, syscall.Kill(serverPID(t, dir), syscall.SIGKILL))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	c := start(t, local.Options{Dir: dir})
	require.Equal(t, "kept", query(t, c.URL("postgres"), `SELECT convert_from(lo_get(4712), 'UTF8')`))
}

func TestThrowawayIsThrownAway(t *testing.T) {
	t.Parallel()
	dir := place(t)
	cmd, _ := startChild(t, dir, true)
	require.DirExists(t, dir)
	pid := serverPID(t, dir)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) != nil
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
