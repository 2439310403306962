package main

// The tests in e2e_*_test.go run the program itself, as processes, against a
// database and a broker of their own. This file starts and ends them.

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/internal/web"
)

// patience is how long the tests wait for what happens within seconds on an
// idle machine; they do not measure speed.
const patience = 3 * time.Minute

var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// TestMain lets the tests overlap beyond the number of cores: they wait for
// processes more than they compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); err == nil && n < 6 {
		_ = flag.Set("test.parallel", "6")
	}
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

// rescued is the program's path. It is built once for all tests, with the race
// detector if they have it: a race in a replica then shows in its output.
func rescued(t testing.TB) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "rescued-e2e-"); program.err != nil {
			return
		}
		program.path = filepath.Join(program.dir, "rescued")
		args := []string{"build", "-o", program.path}
		if raced() {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
			program.err = fmt.Errorf("build the program: %w\n%s", err, out)
		}
	})
	require.NoError(t, program.err)
	return program.path
}

// raced reports whether this test binary has the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// exchange is a log line of an ordinary HTTP exchange.
var exchange = regexp.MustCompile(`(?m)^.*"level":"INFO","msg":"http".*\n`)

// process is a running rescued.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	out  *transcript
	done chan struct{} // closed once it has ended
	code int           // its exit code, valid once done; −1 after a signal
}

// start runs the program with nothing of this test's environment but what
// programs need, and vars. It is killed when the test ends, if not before.
func start(t testing.TB, name string, vars []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, out: &transcript{}, done: make(chan struct{})}
	p.cmd = exec.Command(rescued(t), args...)
	p.cmd.Env = slices.Concat(bareEnvironment(), vars)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = dieWithParent()
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		p.kill()
		require.NotContains(t, p.out.String(), "DATA RACE", "%s", p.name)
		if t.Failed() {
			t.Logf("the end of what %s said:\n%s", p.name, tailOf(exchange.ReplaceAllString(p.out.String(), ""), 15))
		}
	})
	return p
}

func bareEnvironment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RESCUED_") {
			env = append(env, v)
		}
	}
	return env
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end and gives its exit code.
func (p *process) stop(with syscall.Signal, within time.Duration) int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(with))
	return p.ended(within)
}

// ended waits for the process's own end and gives its exit code.
func (p *process) ended(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		require.Failf(p.t, "still running", "%s did not end within %s:\n%s", p.name, within, tailOf(p.out.String(), 20))
	}
	return p.code
}

// says waits until the process has printed something and gives its submatches.
func (p *process) says(what *regexp.Regexp) []string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		if found := what.FindStringSubmatch(p.out.String()); found != nil {
			return found
		}
		select {
		case <-p.done:
			require.Failf(p.t, "ended too early", "%s ended with code %d before it said %s:\n%s", p.name, p.code, what, p.out)
		case <-deadline:
			require.Failf(p.t, "too quiet", "%s did not say %s:\n%s", p.name, what, p.out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// transcript keeps what a process prints.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

var _ io.Writer = (*transcript)(nil)

func tailOf(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// site is a database and a broker, ready for replicas.
type site struct {
	t     testing.TB
	url   string
	kafka events.ClientConfig
	pool  *pgxpool.Pool
}

// newSite makes a migrated database that replicas on the given broker share.
func newSite(t testing.TB, kafka events.ClientConfig) *site {
	t.Helper()
	s := &site{t: t, url: pgtest.URL(t, migrations()...), kafka: kafka}
	var err error
	s.pool, err = pg.Open(t.Context(), s.url)
	require.NoError(t, err)
	t.Cleanup(s.pool.Close)
	return s
}

// vars are the settings of a replica of this site.
func (s *site) vars(more ...string) []string {
	return append([]string{
		"RESCUED_DATABASE_URL=" + s.url + joint(s.url) + "pool_max_conns=12",
		"RESCUED_KAFKA=" + strings.Join(s.kafka.Brokers, ","),
		"RESCUED_KAFKA_PREFIX=" + s.kafka.Prefix,
		"RESCUED_KAFKA_SESSION=" + max(s.kafka.Session, time.Second).String(),
		"RESCUED_LISTEN=127.0.0.1:0",
		"RESCUED_REQUEST_RATE=1000000",
	}, more...)
}

func joint(url string) string {
	if strings.Contains(url, "?") {
		return "&"
	}
	return "?"
}

var listening = regexp.MustCompile(`"listening","address":"([^"]+)"`)

// replica starts `rescued serve` and waits until it listens.
func (s *site) replica(roles string, more ...string) (p *process, base string) {
	s.t.Helper()
	p = start(s.t, "serve "+roles, s.vars(more...), "serve", "--role", roles)
	return p, "http://" + p.says(listening)[1]
}

// token issues a token on the database itself.
func (s *site) token(role events.Role, subject string) string {
	s.t.Helper()
	token, _, err := web.NewTokens(s.pool, wallClock().Now).Issue(s.t.Context(), events.System("test"),
		web.NewToken{Role: role, Subject: subject, Name: "end-to-end test"})
	require.NoError(s.t, err)
	return token
}

// count runs a query that gives one number.
func (s *site) count(sql string, args ...any) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.pool.QueryRow(s.t.Context(), sql, args...).Scan(&n))
	return n
}

// eventually waits, patiently, for a condition; what says it in words.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.Failf(t, "in vain", "waited %s until %s", patience, what)
		}
	}
}

// once runs the program to its end.
func once(t testing.TB, vars []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, rescued(t), args...)
	cmd.Env = slices.Concat(bareEnvironment(), vars)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
