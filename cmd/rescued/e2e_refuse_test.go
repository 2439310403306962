package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/events/eventstest"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/internal/web"
)

// `serve` does not start on what could only fail later: it says in one
// sentence what is wrong and how to mend it, and exits with 1.
func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	rescued(t) // built before the subtests wait for it
	kafka := eventstest.Broker(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	nobody := closedAddress(t)

	cases := []struct {
		name  string
		vars  func(t *testing.T, s *site) []string
		says  []string // the last line holds all of them
		lines int      // how many lines it says, one unless told
		args  []string
	}{
		{
			name: "a development token that is live",
			vars: func(t *testing.T, s *site) []string {
				_, _, err := web.NewTokens(s.pool, wallClock().Now).Issue(t.Context(), events.System("dev"),
					web.NewToken{Role: events.RoleAdmin, Subject: "demo.admin", Name: "rescued dev", Development: true})
				require.NoError(t, err)
				return s.vars()
			},
			says: []string{"development tokens", "rescued token revoke --development"},
		},
		{
			name: "migrations that are missing",
			vars: func(t *testing.T, s *site) []string {
				s.url = pgtest.URL(t, []pg.Migrations{events.Migrations}...)
				return s.vars()
			},
			says: []string{"lacks", "migrations", "rescued migrate"},
		},
		{
			name: "topics that are missing",
			vars: func(_ *testing.T, s *site) []string {
				s.kafka.Prefix += "elsewhere-"
				return s.vars()
			},
			says: []string{"topic ", string(events.TopicIntake), "rescued topics"},
		},
		{
			name: "a broker that is not there",
			vars: func(_ *testing.T, s *site) []string {
				s.kafka.Brokers = []string{nobody}
				return s.vars()
			},
			says: []string{nobody, "start the broker", "RESCUED_KAFKA"},
		},
		{
			name: "a database that is not there",
			vars: func(_ *testing.T, s *site) []string {
				return s.vars("RESCUED_DATABASE_URL=postgres://rescued:hidden@" + nobody + "/rescued")
			},
			says: []string{"database", nobody},
		},
		{
			name: "an address that is taken",
			vars: func(_ *testing.T, s *site) []string { return s.vars("RESCUED_LISTEN=" + taken.Addr().String()) },
			says: []string{taken.Addr().String(), "RESCUED_LISTEN"},
		},
		{
			name: "no database and no broker",
			vars: func(*testing.T, *site) []string { return nil },
			says: []string{"RESCUED_DATABASE_URL", "RESCUED_KAFKA"}, lines: 2,
		},
		{
			name: "settings that cannot be meant",
			vars: func(t *testing.T, s *site) []string {
				return s.vars("RESCUED_DATABASE_URL=nonsense", "RESCUED_KAFKA=nohost", "RESCUED_KAFKA_TLS=perhaps", "RESCUED_KAFKA_SASL=kerberos",
					"RESCUED_KAFKA_SESSION=1ms", "RESCUED_KAFKA_CA_FILE="+filepath.Join(t.TempDir(), "none.pem"), "RESCUED_LISTEN=here",
					"RESCUED_PUBLIC_URL=nowhere", "RESCUED_OFFER_TTL=soon", "RESCUED_POSITION_FRESH_FOR=1s",
					"RESCUED_REQUEST_RATE=0", "RESCUED_LOG_LEVEL=loud", "RESCUED_LOG_FORMAT=verse")
			},
			says: []string{"RESCUED_DATABASE_URL", "RESCUED_KAFKA:", "RESCUED_KAFKA_TLS", "RESCUED_KAFKA_SASL", "RESCUED_KAFKA_SESSION",
				"RESCUED_KAFKA_CA_FILE", "RESCUED_LISTEN", "RESCUED_PUBLIC_URL", "RESCUED_OFFER_TTL", "RESCUED_POSITION_FRESH_FOR",
				"RESCUED_REQUEST_RATE", "RESCUED_LOG_LEVEL", "RESCUED_LOG_FORMAT"},
			lines: 14, // SASL needs a user as well
		},
		{
			name: "a role that does not exist", args: []string{"--role", "api,finance"},
			vars: func(_ *testing.T, s *site) []string { return s.vars() },
			says: []string{`"finance"`, "api, dispatch, sla"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := once(t, c.vars(t, newSite(t, kafka)), append([]string{"serve"}, c.args...)...)
			require.Equal(t, 1, code, "%s", errs)
			require.Empty(t, out)
			said, complaint, found := strings.Cut(errs, "rescued: ")
			require.True(t, found, "%s", errs)
			for line := range strings.Lines(said) {
				require.True(t, strings.HasPrefix(line, "{"), "before the complaint there are only log lines: %s", line)
			}
			require.Len(t, strings.Split(strings.TrimSpace(complaint), "\n"), max(1, c.lines), "%s", complaint)
			for _, part := range c.says {
				require.Contains(t, complaint, part)
			}
			require.NotContains(t, errs, "hidden", "no password is ever printed")
		})
	}
}

// closedAddress is an address of this machine where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// The way from nothing to a running service, by the commands themselves.
func TestFromNothingToServing(t *testing.T) {
	t.Parallel()
	s := &site{t: t, url: pgtest.URL(t), kafka: eventstest.Broker(t)}
	s.kafka.Prefix += "fresh-"
	vars := s.vars()
	run := func(code int, args ...string) string {
		t.Helper()
		got, out, errs := once(t, vars, args...)
		require.Equal(t, code, got, "%v: %s%s", args, out, errs)
		return out
	}
	require.Contains(t, run(1, "doctor"), "rescued migrate")
	require.Contains(t, run(0, "migrate", "--dry-run"), "migrations to run")
	require.Contains(t, run(0, "migrate"), "up to date")
	require.Contains(t, run(0, "migrate"), "0 migrations")
	run(1, "topics", "--check")
	require.Contains(t, run(0, "topics"), "created")
	require.NotContains(t, run(0, "topics", "--check"), "created")
	token := strings.TrimSpace(run(0, "token", "issue", "admin", "first.admin"))
	require.Contains(t, run(0, "token", "list"), "first.admin")
	require.NotContains(t, run(0, "token", "list"), token)
	require.Contains(t, run(0, "doctor"), "the straight-line model as it stands")
	require.Contains(t, run(0, "speeds"), "0 drives finished since")
	require.Contains(t, run(0, "speeds", "--json"), `"jobs": 0`)

	file := filepath.Join(t.TempDir(), "places.csv")
	require.NoError(t, os.WriteFile(file, []byte("id,name,lat,lng,urban_radius_km,covered_radius_km\nnorristown,Norristown,40.1215,-75.3399,10,60\n"), 0o600))
	require.Contains(t, run(0, "areas", "import", file), "1 places")
	require.Contains(t, run(0, "areas", "list"), "places.csv")
	require.NoError(t, os.WriteFile(file, []byte("id,name,lat,lng\na,,95,1\n"), 0o600))
	_, _, errs := once(t, vars, "areas", "import", file)
	require.Equal(t, "rescued: The file of covered places is not valid\n  line 2: name: is empty; every place needs one\n"+
		"  line 2: lat: 95 is outside -90..90 degrees\n", errs[strings.Index(errs, "rescued: "):], "each mistake on a line of its own")

	p, base := s.replica("api,dispatch,sla")
	admin := at(base, token)
	in := aRequest(1, "tyre")
	got := admin.must(t, 422, "POST", "/v1/requests", in, nil, "Idempotency-Key", "outside")
	require.Contains(t, got.String(), "Norristown", "the nearest covered place")
	in["location"] = map[string]any{"lat": 40.1301, "lng": -75.3402, "datum": "wgs84"}
	var r requestView
	admin.must(t, 201, "POST", "/v1/requests", in, &r, "Idempotency-Key", "inside")
	require.Equal(t, 45, r.Promise.Minutes)
	require.Zero(t, p.stop(syscall.SIGINT, patience), "Ctrl-C is a clean end")
}
