package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"rescued/cmd/rescued/traffic"
)

// feedCmd streams a demand file into a running system.
type feedCmd struct {
	Demand  string        `help:"CSV or CSV.gz with call_time,lat,lng,kind (WGS-84)." required:"" type:"existingfile" placeholder:"FILE.csv[.gz]"`
	From    string        `help:"First moment of the file's own clock, such as 2016-02-22 or 2016-02-22T06:00:00." placeholder:"TIME"`
	To      string        `help:"First moment left out; a bare date leaves out nothing of that day." placeholder:"TIME"`
	Kind    string        `help:"Only calls of this kind." placeholder:"KIND"`
	Crews   int           `help:"How many crews answer." default:"60" placeholder:"N"`
	Seed    uint64        `help:"Seed of the crews' places and habits." default:"1"`
	NoCover bool          `help:"Do not add an area when the file's places are not covered."`
	Settle  time.Duration `help:"Business time to wait for outcomes after the last call." default:"3h"`
	Report  string        `help:"Also write the account of every row here, as CSV." placeholder:"FILE.csv"`
	EnvFile string        `help:"Read addresses and tokens from this file instead of the environment; .rescued/env of a running rescued dev is tried by itself." placeholder:"FILE"`
}

// Run streams and prints the account.
func (c feedCmd) Run(a *app) error {
	sel, err := c.selection()
	if err != nil {
		return err
	}
	if c.Crews < 1 {
		return fmt.Errorf("--crews %d: at least 1", c.Crews)
	}
	vars, err := c.reach(a.env)
	if err != nil {
		return err
	}
	file, isFile := a.stdout.(*os.File)
	api := traffic.NewAPI(vars["RESCUED_URL"], vars["RESCUED_ADMIN_TOKEN"])
	report, err := traffic.Feed{
		API: api, Partner: api.As(vars["RESCUED_PARTNER_TOKEN"]), File: c.Demand, Select: sel, Crews: c.Crews, Seed: c.Seed,
		Cover: !c.NoCover, Settle: c.Settle, Log: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Out: a.stdout,
		Live: isFile && term.IsTerminal(int(file.Fd())),
	}.Run(a.ctx)
	if report.Rows > 0 {
		report.WriteText(a.stdout)
		err = errors.Join(err, c.writeReport(report))
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (c feedCmd) selection() (traffic.Selection, error) {
	sel := traffic.Selection{Kind: c.Kind}
	for _, bound := range []struct {
		flag, text string
		at         *time.Time
		wholeDay   time.Duration
	}{{"--from", c.From, &sel.From, 0}, {"--to", c.To, &sel.To, 24 * time.Hour}} {
		if bound.text == "" {
			continue
		}
		day, errDay := time.Parse(time.DateOnly, bound.text)
		at, errTime := time.Parse("2006-01-02T15:04:05", bound.text)
		switch {
		case errDay == nil:
			*bound.at = day.Add(bound.wholeDay)
		case errTime == nil:
			*bound.at = at
		default:
			return sel, fmt.Errorf("%s %q is neither a date (2016-02-22) nor a time (2016-02-22T06:00:00)", bound.flag, bound.text)
		}
	}
	if !sel.To.IsZero() && !sel.From.Before(sel.To) {
		return sel, fmt.Errorf("--from %s is not before --to %s", c.From, c.To)
	}
	return sel, nil
}

// reach finds the running system: the env file that was named, the
// environment, or the file that rescued dev keeps in its data directory.
func (c feedCmd) reach(environ []string) (map[string]string, error) {
	vars := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		vars[name] = value
	}
	file := c.EnvFile
	if file == "" && vars["RESCUED_URL"] == "" {
		file = filepath.Join(defaultData, "env")
	}
	if file != "" {
		if err := readEnvFile(file, vars); err != nil && (c.EnvFile != "" || !errors.Is(err, os.ErrNotExist)) {
			return nil, fmt.Errorf("read %s: %w", file, plain(err))
		}
	}
	for _, name := range []string{"RESCUED_URL", "RESCUED_ADMIN_TOKEN", "RESCUED_PARTNER_TOKEN"} {
		if vars[name] == "" {
			return nil, fmt.Errorf("%s is not known: start `rescued dev` (make run) in this directory, give its --env-file here, or set it", name)
		}
	}
	return vars, nil
}

// readEnvFile reads the assignments that rescued dev writes.
func readEnvFile(file string, into map[string]string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if ok {
			into[name] = strings.ReplaceAll(strings.Trim(value, "'"), `'\''`, "'")
		}
	}
	return lines.Err()
}

func (c feedCmd) writeReport(r traffic.Report) error {
	if c.Report == "" {
		return nil
	}
	f, err := os.Create(c.Report)
	if err != nil {
		return fmt.Errorf("write --report: %w", err)
	}
	return errors.Join(r.WriteCSV(f), f.Close())
}
