package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"rescued/dispatch"
	"rescued/events"
)

// reach is where a running demonstration can be reached.
type reach struct {
	url, kafka, database string
	access               devTokens
}

// tell prints where to look, and writes the env file if asked.
func (d devCmd) tell(out io.Writer, at reach, dir string, clock *businessClock) error {
	link := func(name, next string) string { return at.url + "/login?token=" + at.access[name] + "&next=" + next }
	line := func(what, where string) { fmt.Fprintf(out, "  %-22s %s\n", what, where) }
	fmt.Fprintln(out)
	line("ask for help", at.url+"/")
	line("live queue (operator)", link("OPERATOR", "/queue"))
	line("finance", link("FINANCE", "/finance"))
	line("finance, approver", link("APPROVER", "/finance"))
	line("admin", link("ADMIN", "/queue"))
	line("partner", link("PARTNER", "/docs"))
	line("API documents", at.url+"/docs")
	line("Kafka", at.kafka)
	line("Postgres", at.database)
	line("data and log", dir)
	if clock.Speed() != 1 {
		line("clock", fmt.Sprintf("%s as fast as the wall's: a 45-minute promise lasts %s",
			formatSpeed(clock.Speed()), time.Duration(float64(45*time.Minute)/clock.Speed()).Round(100*time.Millisecond)))
	}
	fmt.Fprintln(out, "  Ctrl-C stops; the next make run goes on from there")
	fmt.Fprintln(out)
	// The data directory always holds one, for `rescued feed` beside it.
	if err := writeEnvFile(filepath.Join(dir, "env"), at); err != nil || d.EnvFile == "" {
		return err
	}
	return writeEnvFile(d.EnvFile, at)
}

// writeEnvFile writes shell assignments, whole or not at all: whoever waits for
// the file to appear may read it at once.
func writeEnvFile(file string, at reach) error {
	var b strings.Builder
	set := func(name, value string) {
		fmt.Fprintf(&b, "RESCUED_%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	set("URL", at.url)
	set("KAFKA", at.kafka)
	set("DATABASE_URL", at.database)
	for _, r := range devRoles {
		set(r.name+"_TOKEN", at.access[r.name])
	}
	part := file + ".part"
	if err := os.WriteFile(part, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write --env-file %s: %w", file, plain(err))
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("write --env-file %s: %w", file, plain(err))
	}
	return nil
}

const statusEvery = 2 * time.Second

// reportStatus prints a status line every two seconds until ctx ends: over
// itself on a terminal, one below the other elsewhere.
func reportStatus(ctx context.Context, out io.Writer, s *system, clock *businessClock) error {
	file, isFile := out.(*os.File)
	live := isFile && term.IsTerminal(int(file.Fd()))
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		line, err := s.statusLine(ctx, clock)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			line = "status unknown: " + err.Error()
		}
		if live {
			fmt.Fprintf(out, "\r\033[K%s", line)
		} else {
			fmt.Fprintln(out, line)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *system) statusLine(ctx context.Context, clock *businessClock) (string, error) {
	d, err := s.dispatch.Stats(ctx)
	if err != nil {
		return "", err
	}
	p, err := s.sla.Stats(ctx)
	if err != nil {
		return "", err
	}
	onTime := "–"
	if decided := p.Met + p.Late; decided > 0 {
		onTime = fmt.Sprintf("%.1f%%", 100*float64(p.Met)/float64(decided))
	}
	speed := ""
	if clock.Speed() != 1 {
		speed = " " + formatSpeed(clock.Speed())
	}
	return fmt.Sprintf("%s%s  requests %d  waiting %d  assigned %d  on scene %d  on time %s  compensation %s  request→offer p50 %s p99 %s",
		clock.Now().In(chinaZone).Format("01-02 15:04:05"), speed, d.Requests, d.Waiting, d.Assigned, d.OnScene,
		onTime, p.Owed, milliseconds(d.OfferP50), milliseconds(d.OfferP99)), nil
}

var chinaZone = time.FixedZone("UTC+8", 8*60*60)

func milliseconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// demoPartner is the partner whose requests the demonstration opens.
func (s *system) demoPartner(ctx context.Context) (events.PartnerID, error) {
	p, err := s.dispatch.RegisterPartner(ctx, events.System("dev"), dispatch.NewPartner{Name: "演示车企 demo", Key: "rescued dev"})
	return p.ID, err
}
