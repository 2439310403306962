package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/cmd/rescued/traffic"
	"rescued/geo"
	"rescued/internal/pg"
	"rescued/internal/pg/local"
)

// devSpeed makes a promise of 45 minutes last 22.5 s, so that some arrivals
// are late, before and after the kill.
const devSpeed = "120"

// `rescued dev` killed in the middle of a small storm goes on where it was:
// nothing acknowledged is lost, no crew is doubly booked, tokens stay valid,
// the clock does not go back. Around it: the env file, ports that are taken, a
// second start on the same directory, Ctrl-C.
func TestDevSurvivesAKill(t *testing.T) {
	t.Parallel()
	d := newDevHome(t)
	first, vars := d.start()
	for _, name := range []string{"URL", "KAFKA", "DATABASE_URL", "OPERATOR_TOKEN", "FINANCE_TOKEN", "APPROVER_TOKEN", "ADMIN_TOKEN", "PARTNER_TOKEN"} {
		require.NotEmpty(t, vars["RESCUED_"+name], "the env file names RESCUED_%s", name)
	}
	require.Len(t, vars, 8)
	base := vars["RESCUED_URL"]
	admin, partner := at(base, vars["RESCUED_ADMIN_TOKEN"]), at(base, vars["RESCUED_PARTNER_TOKEN"])
	d.refusesOthers()

	fleet := d.fleet(admin)
	stopCrews := fleet.start(t, admin)
	storm := &storm{api: partner, requests: 61, late: 6, cancelled: 4, pace: 80 * time.Millisecond}
	var owners errgroup.Group
	owners.Go(func() error { return storm.run(t.Context()) })
	eventually(t, "half of the storm is there", func() bool { return storm.opened.Load() > 30 })

	before := businessNow(t, admin)
	first.kill()
	stopCrews() // their clocks would run ahead of one that stands still
	acknowledged := storm.acknowledged()
	second, again := d.start()
	require.Equal(t, vars, again, "addresses and tokens are the same after the restart")
	require.False(t, businessNow(t, admin).Before(before), "the business clock went back")
	for _, id := range acknowledged {
		partner.must(t, http.StatusOK, http.MethodGet, "/v1/requests/"+id, nil, nil)
	}
	d.tokensWork(base, vars)
	stopCrews = fleet.start(t, admin)
	require.NoError(t, owners.Wait())

	pool, err := pg.Open(t.Context(), vars["RESCUED_DATABASE_URL"]+joint(vars["RESCUED_DATABASE_URL"])+"pool_max_conns=2")
	require.NoError(t, err)
	defer pool.Close()
	s := &site{t: t, url: vars["RESCUED_DATABASE_URL"], pool: pool}
	eventually(t, "every request is done or cancelled", func() bool {
		return s.count(`SELECT count(*) FROM dispatch.requests WHERE state NOT IN ('done', 'cancelled')`) == 1
	})
	stopCrews()
	eventually(t, "every guarantee but one is settled and every event has gone out", func() bool {
		return s.count(`SELECT count(*) FROM sla.guarantees WHERE outcome <> 'pending'`) == storm.requests-1 &&
			s.count(`SELECT count(*) FROM events.outbox`) == 0
	})
	require.Empty(t, fleet.surprises(), "answers no crew should get")
	noneForgotten(t, s, admin, storm)
	nobodyTwice(t, s)
	promisesOnce(t, s, storm.late/2) // a kill may give a late crew's job to another
	pool.Close()

	second.says(regexp.MustCompile(`requests \d+ +waiting \d+ +assigned \d+`))
	began := time.Now()
	require.Zero(t, second.stop(syscall.SIGINT, patience), "Ctrl-C is a clean end:\n%s", second.out)
	t.Logf("stopped within %s", time.Since(began).Round(time.Millisecond))
	require.Less(t, time.Since(began), 20*time.Second)
}

// devHome is where one `rescued dev` lives.
type devHome struct {
	t           *testing.T
	dir, env    string
	port, kafka int
}

func newDevHome(t *testing.T) *devHome {
	t.Helper()
	// Not t.TempDir: the server's account must be let in, and a socket's path
	// is short.
	dir, err := os.MkdirTemp("/tmp", "rescued-dev-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	port := freePorts(t)
	d := &devHome{t: t, dir: dir, env: filepath.Join(t.TempDir(), "env"), port: port, kafka: port + 1}
	t.Cleanup(func() { d.remove() })
	return d
}

// remove deletes the data once its Postgres, which a kill leaves to its
// watchdog, has ended.
func (d *devHome) remove() {
	place, err := local.Place(filepath.Join(d.data(), "postgres"))
	require.NoError(d.t, err)
	eventually(d.t, "the private Postgres is gone", func() bool {
		_, err := os.Stat(filepath.Join(place, "data", "postmaster.pid"))
		return errors.Is(err, fs.ErrNotExist)
	})
	require.NoError(d.t, os.RemoveAll(d.dir))
}

func (d *devHome) data() string { return filepath.Join(d.dir, "data") }

func (d *devHome) args(data string, port, kafka int) []string {
	return []string{"dev", "--no-demo", "--speed", devSpeed, "--data", data, "--port", strconv.Itoa(port),
		"--kafka-port", strconv.Itoa(kafka), "--env-file", d.env}
}

var assignment = regexp.MustCompile(`(?m)^([A-Z_]+)='([^']*)'$`)

// start starts it and reads its env file as soon as that is there.
func (d *devHome) start() (p *process, vars map[string]string) {
	d.t.Helper()
	_ = os.Remove(d.env)
	p = start(d.t, "dev", nil, d.args(d.data(), d.port, d.kafka)...)
	var text []byte
	eventually(d.t, "the env file is there", func() bool {
		select {
		case <-p.done:
			require.Failf(d.t, "dev ended", "%s", p.out)
		default:
		}
		var err error
		text, err = os.ReadFile(d.env)
		return err == nil
	})
	vars = map[string]string{}
	for _, m := range assignment.FindAllStringSubmatch(string(text), -1) {
		vars[m[1]] = m[2]
	}
	return p, vars
}

// refusesOthers: a port that is taken, and a second start on the same data,
// are refused in one sentence, and the running one is not disturbed.
func (d *devHome) refusesOthers() {
	d.t.Helper()
	free := freePorts(d.t)
	elsewhere := filepath.Join(d.dir, "other")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"API port taken":       {d.args(elsewhere, d.port, free), "port " + strconv.Itoa(d.port) + " on 127.0.0.1 is taken"},
		"Kafka port taken":     {d.args(elsewhere, free, d.kafka), "port " + strconv.Itoa(d.kafka) + " on 127.0.0.1 is taken"},
		"data directory taken": {d.args(d.data(), free, free+1), d.data()},
		"reset while it runs":  {append(d.args(d.data(), free, free+1), "--reset"), d.data()},
	} {
		code, _, errs := once(d.t, nil, c.args...)
		require.Equal(d.t, 1, code, "%s: %s", name, errs)
		require.Len(d.t, strings.Split(strings.TrimSpace(errs), "\n"), 1, "%s: one sentence, not\n%s", name, errs)
		require.Contains(d.t, errs, c.says, name)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)))
	require.NoError(d.t, err, "the first still runs")
	_ = conn.Close()
}

// fleet is a provider's crews. Most take jobs by themselves: at this speed an
// offer lasts 375 ms.
func (d *devHome) fleet(admin client) *fastFleet {
	d.t.Helper()
	var provider struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
	admin.must(d.t, http.StatusCreated, http.MethodPost, "/v1/providers", map[string]any{"name": "dev"}, &provider, "Idempotency-Key", "dev")
	admin.must(d.t, http.StatusCreated, http.MethodPost, "/v1/tokens",
		map[string]any{"role": "provider", "subject": provider.ID, "name": "dev"}, &provider)
	f := &fastFleet{api: admin.as(provider.Token), stand: map[string]geo.Point{}, busy: map[string]bool{}}
	s := &site{t: d.t}
	for n := range 15 {
		crew := s.enlist(f.api, n, []string{"battery_jump", "tyre", "fuel"}, n%5 != 0)
		f.stand[crew] = geo.Point{Lat: chengdu.lat + float64(n%4)*0.02, Lng: chengdu.lng + float64(n/4)*0.02}
	}
	return f
}

// start has the crews work by the system's clock, until stop is called.
func (f *fastFleet) start(t *testing.T, any client) (stop func()) {
	t.Helper()
	clock, err := traffic.NewClock(t.Context(), traffic.NewAPI(any.bases()[0], any.token))
	require.NoError(t, err)
	require.Equal(t, devSpeed, formatSpeed(clock.Speed())[:len(devSpeed)])
	f.now = clock.Now
	ctx, cancel := context.WithCancel(t.Context())
	var work errgroup.Group
	work.Go(func() error { clock.Keep(ctx); return nil })
	work.Go(func() error { return f.run(ctx) })
	return func() {
		cancel()
		require.NoError(t, work.Wait())
	}
}

// tokensWork: each role's token is still that role's.
func (d *devHome) tokensWork(base string, vars map[string]string) {
	d.t.Helper()
	for name, path := range map[string]string{
		"OPERATOR": "/v1/queue", "FINANCE": "/v1/compensations", "APPROVER": "/v1/compensations", "ADMIN": "/v1/tokens", "PARTNER": "/v1/requests",
	} {
		at(base, vars["RESCUED_"+name+"_TOKEN"]).must(d.t, http.StatusOK, http.MethodGet, path, nil, nil)
	}
}

func businessNow(t *testing.T, c client) (now time.Time) {
	t.Helper()
	var said struct {
		Now time.Time `json:"now"`
	}
	c.must(t, http.StatusOK, http.MethodGet, "/v1/clock", nil, &said)
	return said.Now
}
