package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"rescued/events"
	"rescued/internal/pg"
)

// doctorCmd checks what a running system needs and says how to mend what is
// wrong. It changes nothing.
type doctorCmd struct {
	Dir string `help:"Directory whose disk must have room." default:"."`
}

// finding is one line of the doctor's report.
type finding struct {
	part  string
	state string // ok, warn or fail
	says  string
	mend  string
}

func okay(part, format string, args ...any) finding {
	return finding{part, "ok", fmt.Sprintf(format, args...), ""}
}

func ailing(state, part, mend, format string, args ...any) finding {
	return finding{part, state, fmt.Sprintf(format, args...), mend}
}

const (
	checkLimit   = 8 * time.Second
	enoughRoom   = 2 << 30 // bytes free on the disk
	clockOffWarn = 500 * time.Millisecond
	clockOffFail = 5 * time.Second
)

// Run prints one line for each part; a part that fails makes the exit code 1.
func (d doctorCmd) Run(a *app) error {
	c, err := readConfig(a.env)
	findings := []finding{okay("configuration", "%s", c.redacted())}
	if err != nil {
		findings = []finding{ailing("fail", "configuration", "correct the variables named here", "%v", err)}
	}
	for _, check := range []func(context.Context, Config) []finding{checkDatabase, checkBroker, checkPort} {
		ctx, cancel := context.WithTimeout(a.ctx, checkLimit)
		findings = append(findings, check(ctx, c)...)
		cancel()
	}
	findings = append(findings, checkDisk(d.Dir))
	failed := 0
	for _, f := range findings {
		fmt.Fprintf(a.stdout, "%-5s %-14s %s\n", f.state, f.part, f.says)
		if f.mend != "" {
			fmt.Fprintf(a.stdout, "      %-14s → %s\n", "", f.mend)
		}
		if f.state == "fail" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return nil
}

func checkDatabase(ctx context.Context, c Config) []finding {
	if err := c.needDatabase(); err != nil {
		return []finding{ailing("fail", "database", "set it", "%v", err)}
	}
	asked := time.Now()
	pool, err := pg.Open(ctx, c.DatabaseURL)
	if err != nil {
		return []finding{ailing("fail", "database", "start it, or correct RESCUED_DATABASE_URL", "%v", err)}
	}
	defer pool.Close()
	var version string
	var durable string
	if err := pool.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync') || '/' || current_setting('synchronous_commit')`).Scan(&version, &durable); err != nil {
		return []finding{ailing("fail", "database", "check the account's rights", "%v", err)}
	}
	out := []finding{okay("database", "Postgres %s answers in %s", version, time.Since(asked).Round(time.Millisecond))}
	if durable != "on/on" {
		out = append(out, ailing("warn", "database", "set fsync and synchronous_commit to on: an acknowledged request must survive a power cut", "fsync/synchronous_commit is %s", durable))
	}
	schema := checkSchema(ctx, pool)
	out = append(out, schema)
	if schema.state == "ok" {
		out = append(out, checkSpeeds(ctx, pool))
	}
	return append(out, checkClock(ctx, pool))
}

func checkPort(ctx context.Context, c Config) []finding {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return []finding{ailing("warn", "port", "stop what holds it, or set RESCUED_LISTEN; nothing is wrong if the service itself is running there", "%s cannot be listened on: %v", c.Listen, err)}
	}
	l.Close()
	return []finding{okay("port", "%s is free", c.Listen)}
}

func checkDisk(dir string) finding {
	free, err := freeSpace(dir)
	switch {
	case err != nil:
		return ailing("fail", "disk", "name an existing directory with --dir", "%v", err)
	case free < enoughRoom:
		return ailing("fail", "disk", "make room: a full disk stops the journal, and with it the service", "%s has %.1f GB free", dir, float64(free)/1e9)
	}
	host, _ := os.Hostname()
	return okay("disk", "%.1f GB free on %s", float64(free)/1e9, host)
}

func checkBroker(ctx context.Context, c Config) []finding {
	if err := c.needKafka(); err != nil {
		return []finding{ailing("fail", "broker", "set it", "%v", err)}
	}
	asked := time.Now()
	states, err := events.CheckTopics(ctx, c.kafka())
	if err != nil {
		return []finding{ailing("fail", "broker", "start it, or correct RESCUED_KAFKA and its SASL and TLS settings", "%v", err)}
	}
	for _, s := range states {
		if s.Mend != "" {
			return []finding{ailing("fail", "broker", "run: rescued topics", "topic %s: %s", s.Name, s.Mend)}
		}
	}
	return []finding{okay("broker", "answers in %s, all topics are there", time.Since(asked).Round(time.Millisecond))}
}
