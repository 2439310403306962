package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
)

func TestConfigNamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := readConfig([]string{
		"RESCUED_DATABASE_URL=nonsense", "RESCUED_KAFKA=a:1,b", "RESCUED_KAFKA_SASL=kerberos", "RESCUED_KAFKA_CA_FILE=/does/not/exist",
		"RESCUED_LISTEN=8080", "RESCUED_PUBLIC_URL=rescue", "RESCUED_OFFER_TTL=1ms", "RESCUED_DISPUTE_WINDOW=1s", "RESCUED_SERVICE_TIME=1s", "RESCUED_SWAPS=perhaps", "RESCUED_LOG_LEVEL=loud", "RESCUED_LOG_FORMAT=xml",
	})
	for _, name := range []string{
		"RESCUED_DATABASE_URL", `"b" is not host:port`, "RESCUED_KAFKA_SASL", "RESCUED_KAFKA_CA_FILE",
		"RESCUED_LISTEN", "RESCUED_PUBLIC_URL", "RESCUED_OFFER_TTL", "RESCUED_DISPUTE_WINDOW", "RESCUED_SERVICE_TIME", "RESCUED_SWAPS", "RESCUED_LOG_LEVEL", "RESCUED_LOG_FORMAT",
	} {
		require.ErrorContains(t, err, name)
	}
}

func TestConfigReadsSecretsFromFilesAndKeepsThemOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url, password := filepath.Join(dir, "url"), filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(url, []byte("postgres://u:hunter2@db/rescued\n"), 0o600))
	require.NoError(t, os.WriteFile(password, []byte("opensesame"), 0o600))
	c, err := readConfig([]string{
		"RESCUED_DATABASE_URL_FILE=" + url, "RESCUED_KAFKA=k:9092", "RESCUED_KAFKA_SASL=scram-sha-256",
		"RESCUED_KAFKA_USER=rescued", "RESCUED_KAFKA_PASSWORD_FILE=" + password,
	})
	require.NoError(t, err)
	require.Equal(t, "postgres://u:hunter2@db/rescued", c.DatabaseURL)
	require.Equal(t, "SCRAM-SHA-256", c.kafka().SASLMechanism)
	require.Equal(t, 45*time.Second, c.OfferTTL)
	require.Equal(t, 30*time.Minute, c.Service)
	require.True(t, c.Swaps)
	for _, secret := range []string{"hunter2", "opensesame"} {
		require.NotContains(t, c.redacted(), secret)
	}
}

func TestConfigSaysWhatACommandLacks(t *testing.T) {
	t.Parallel()
	c, err := readConfig(nil)
	require.NoError(t, err)
	require.ErrorContains(t, c.needDatabase(), "RESCUED_DATABASE_URL is not set")
	require.ErrorContains(t, c.needKafka(), "RESCUED_KAFKA is not set")
}

func TestConfigOfARoutingEngine(t *testing.T) {
	t.Parallel()
	c, err := readConfig([]string{"RESCUED_ROUTER=osrm", "RESCUED_ROUTER_URL=http://127.0.0.1:5000"})
	require.NoError(t, err)
	routed, err := c.travel()
	require.NoError(t, err)
	require.Equal(t, "osrm", routed.Engine())
	for _, bad := range [][]string{{"RESCUED_ROUTER=horse"}, {"RESCUED_ROUTER=valhalla"}, {"RESCUED_ROUTER=amap", "RESCUED_ROUTER_URL=http://127.0.0.1:1"}} {
		_, err := readConfig(bad)
		require.ErrorContains(t, err, "RESCUED_ROUTER", "%v", bad)
	}
}

func TestConfigOfPayouts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("hunter2hunter2hunter2\n"), 0o600))
	c, err := readConfig([]string{"RESCUED_PAYOUT_DIR=" + dir, "RESCUED_PAYOUT_URL=https://payer.example.cn/orders", "RESCUED_PAYOUT_SECRET_FILE=" + secret})
	require.NoError(t, err)
	require.Contains(t, c.redacted(), "payouts file,webhook")
	require.NotContains(t, c.redacted(), "hunter2")
	for _, bad := range []string{"RESCUED_PAYOUT_DIR=/does/not/exist", "RESCUED_PAYOUT_URL=https://payer.example.cn/orders", "RESCUED_PAYOUT_URL=ftp://payer"} {
		_, err := readConfig([]string{bad})
		name, _, _ := strings.Cut(bad, "=")
		require.ErrorContains(t, err, name)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	roles, err := parseRoles([]string{"api", " sla", "api"})
	require.NoError(t, err)
	require.Equal(t, []role{roleAPI, roleSLA}, roles)
	for _, bad := range [][]string{nil, {"king"}, {"api", ""}} {
		_, err := parseRoles(bad)
		require.ErrorContains(t, err, "--role")
	}
}

// A login leads to where the role's work is, and the demonstration's links say so.
func TestEachRoleStartsWhereItsWorkIs(t *testing.T) {
	t.Parallel()
	access := devTokens{}
	for _, r := range devRoles {
		access[r.name] = "rsc_" + r.name
	}
	var out strings.Builder
	require.NoError(t, devCmd{}.tell(&out, reach{url: "http://127.0.0.1:1", access: access}, t.TempDir(), wallClock()))
	for role, start := range map[events.Role]string{
		events.RoleOperator: "/queue", events.RoleAdmin: "/queue", events.RoleFinance: "/finance", events.RoleProvider: "/finance/statements",
		events.RoleOwner: "/", events.RolePartner: "/docs",
	} {
		require.Equal(t, start, home(role))
	}
	for name, start := range map[string]string{"OPERATOR": "/queue", "FINANCE": "/finance", "APPROVER": "/finance", "ADMIN": "/queue"} {
		require.Contains(t, out.String(), "/login?token=rsc_"+name+"&next="+start+"\n")
	}
}

func TestFastClockRunsAheadAndNeverBack(t *testing.T) {
	t.Parallel()
	ahead := time.Now().Add(72 * time.Hour)
	c := fastClock(ahead, 600)
	first := c.Now()
	require.False(t, first.Before(ahead.Truncate(time.Microsecond)), "it goes on from the latest recorded time")
	time.Sleep(20 * time.Millisecond)
	require.Greater(t, c.Now().Sub(first), 10*time.Second)
	require.Equal(t, time.UTC, c.Now().Location())

	require.WithinDuration(t, time.Now(), fastClock(time.Time{}, 60).Now(), time.Minute)
}

func TestEnvFileIsShellAssignments(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "env")
	access := devTokens{}
	for _, r := range devRoles {
		access[r.name] = "rsc_'" + r.name
	}
	require.NoError(t, writeEnvFile(file, reach{url: "http://127.0.0.1:1", kafka: "127.0.0.1:2", database: "postgres://x", access: access}))
	vars := map[string]string{}
	require.NoError(t, readEnvFile(file, vars))
	require.Equal(t, "http://127.0.0.1:1", vars["RESCUED_URL"])
	for _, name := range []string{"OPERATOR", "FINANCE", "APPROVER", "ADMIN", "PARTNER"} {
		require.Equal(t, "rsc_'"+name, vars["RESCUED_"+name+"_TOKEN"])
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "tokens are nobody else's")
}

// Nothing is started, nor any directory made, for settings that cannot be.
func TestDevRefusesBeforeItStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	data := filepath.Join(dir, "data")
	for want, args := range map[string][]string{
		"--speed 601 is out of range":                  {"--speed", "601"},
		"--kafka-port 65536 is not a port":             {"--kafka-port", "65536"},
		"--port and --kafka-port are both 9092":        {"--port", "9092"},
		"--env-file " + file + "/env: not a directory": {"--env-file", filepath.Join(file, "env")},
		"--env-file " + dir + "/no/env: no such file":  {"--env-file", filepath.Join(dir, "no", "env")},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(t.Context(), append([]string{"dev", "--data", data}, args...), nil, &out, &errs))
		require.Contains(t, errs.String(), want)
		require.Empty(t, out.String())
		require.NoDirExists(t, data)
	}
}

func TestFeedSelection(t *testing.T) {
	t.Parallel()
	sel, err := feedCmd{From: "2016-02-22", To: "2016-02-24"}.selection()
	require.NoError(t, err)
	require.Equal(t, time.Date(2016, 2, 22, 0, 0, 0, 0, time.UTC), sel.From)
	require.Equal(t, time.Date(2016, 2, 25, 0, 0, 0, 0, time.UTC), sel.To, "a bare date takes in its whole day")
	_, err = feedCmd{From: "tomorrow"}.selection()
	require.ErrorContains(t, err, "--from")
	_, err = feedCmd{From: "2016-02-24", To: "2016-02-22"}.selection()
	require.ErrorContains(t, err, "is not before")
}
