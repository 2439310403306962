package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/pg"
)

// withDatabase runs do on the database that the environment names.
func withDatabase(a *app, do func(Config, *pgxpool.Pool) error) error {
	c, err := readConfig(a.env)
	if err == nil {
		err = c.needDatabase()
	}
	if err != nil {
		return err
	}
	pool, err := pg.Open(a.ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(c, pool)
}

type migrateCmd struct {
	DryRun bool `help:"Only count what would run."`
}

// Run brings the database to this program's schema. Any number of replicas
// may do so at once.
func (m migrateCmd) Run(a *app) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		pending, err := pg.Pending(a.ctx, pool, migrations())
		if err != nil {
			return err
		}
		if m.DryRun || pending == 0 {
			fmt.Fprintf(a.stdout, "%d migrations to run\n", pending)
			return nil
		}
		err = pg.Migrate(a.ctx, pool, migrations(), func(p pg.Progress) { fmt.Fprintln(a.stdout, p) })
		if err == nil {
			fmt.Fprintln(a.stdout, "the database is up to date")
		}
		return err
	})
}

type topicsCmd struct {
	Check bool `help:"Create nothing, only look."`
}

// Run creates missing topics; existing ones are never changed, and what should
// be changed by hand is said.
func (t topicsCmd) Run(a *app) error {
	c, err := readConfig(a.env)
	if err == nil {
		err = c.needKafka()
	}
	if err != nil {
		return err
	}
	var states []events.TopicState
	if t.Check {
		states, err = events.CheckTopics(a.ctx, c.kafka())
	} else {
		states, err = events.EnsureTopics(a.ctx, c.kafka(), events.TopicLimits{Replicas: c.KafkaReplicas})
	}
	wrong := 0
	out := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	for _, s := range states {
		word := "is there"
		switch {
		case s.Mend != "":
			word = s.Mend
			wrong++
		case s.Created:
			word = "created"
		}
		fmt.Fprintf(out, "%s\t%d partitions\t%s\n", s.Name, s.Partitions, word)
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d topics need a hand", wrong)
	}
	return nil
}

type areasCmd struct {
	Import importAreasCmd `cmd:"" help:"Import a CSV of centres or GeoJSON polygons."`
	List   listAreasCmd   `cmd:"" help:"List what the present cover is made of."`
}

type importAreasCmd struct {
	File string `arg:"" type:"existingfile" help:"CSV with id,name,lat,lng and optionally population_10k, urban_radius_km, covered_radius_km, datum; or a GeoJSON FeatureCollection of polygons with id, name and tier."`
	Add  bool   `help:"Extend the present cover instead of replacing it."`
	Name string `help:"What to call the set; the file's name if left out."`
}

type listAreasCmd struct{}

// Run imports a set of areas; every running replica takes it up within seconds.
func (c importAreasCmd) Run(a *app) error {
	file, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	in := dispatch.AreaFile{Name: c.Name, Mode: dispatch.AreaReplace, File: file}
	if in.Name == "" {
		in.Name = filepath.Base(c.File)
	}
	if c.Add {
		in.Mode = dispatch.AreaAdd
	}
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		s := dispatch.New(pool, dispatch.Config{Now: wallClock().Now})
		set, err := s.ImportAreas(a.ctx, commandLine(), in)
		if err != nil {
			return err
		}
		verb := "replaced by"
		if c.Add {
			verb = "extended by"
		}
		fmt.Fprintf(a.stdout, "the cover is %s %s: %d places (version %d)\n", verb, set.Name, set.Places, set.Version)
		return nil
	})
}

// Run lists the imported sets that make up the cover.
func (listAreasCmd) Run(a *app) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		sets, err := dispatch.New(pool, dispatch.Config{Now: wallClock().Now}).CurrentAreas(a.ctx)
		if err != nil {
			return err
		}
		if len(sets) == 0 {
			fmt.Fprintln(a.stdout, "the default cover: China's prefecture-level cities")
			return nil
		}
		out := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(out, "VERSION\tMODE\tNAME\tPLACES\tIMPORTED\tBY")
		for _, s := range sets {
			fmt.Fprintf(out, "%d\t%s\t%s\t%d\t%s\t%s\n", s.Version, s.Mode, s.Name, s.Places, s.ImportedAt.Format(time.RFC3339), s.ImportedBy)
		}
		return out.Flush()
	})
}

type republishCmd struct {
	From int64 `help:"First feed number; 1 is the first event ever." default:"1"`
	To   int64 `help:"Last feed number; the latest if left out."`
}

// Run puts a range of the journal back into the outbox; a running relay sends
// it. Consumers that had an event do nothing with its repeat.
func (r republishCmd) Run(a *app) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		if r.To == 0 {
			latest, err := events.LatestFeedNo(a.ctx, pool)
			if err != nil {
				return err
			}
			r.To = latest
		}
		if r.From < 1 || r.From > r.To {
			return fmt.Errorf("--from %d --to %d is no range of the journal: it runs from 1 to %d", r.From, r.To, r.To)
		}
		n, err := events.Republish(a.ctx, pool, r.From, r.To)
		if err == nil {
			fmt.Fprintf(a.stdout, "%d events are in the outbox again; a running relay sends them\n", n)
		}
		return err
	})
}

type deadLettersCmd struct {
	List  listDeadLettersCmd `cmd:"" default:"1" help:"List them, newest first."`
	Retry retryDeadLetterCmd `cmd:"" help:"Handle one again."`
}

type listDeadLettersCmd struct {
	Limit int `help:"How many." default:"50"`
}

type retryDeadLetterCmd struct {
	ID string `arg:"" help:"As listed."`
}

// Run lists events nobody could handle.
func (l listDeadLettersCmd) Run(a *app) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		letters, err := events.ListDeadLetters(a.ctx, pool, l.Limit)
		if err != nil {
			return err
		}
		if len(letters) == 0 {
			fmt.Fprintln(a.stdout, "no dead letters")
			return nil
		}
		out := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(out, "ID\tAT\tGROUP\tTOPIC\tPLACE\tERROR")
		for _, d := range letters {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%d:%d\t%s\n", d.ID, d.At.Format(time.RFC3339), d.Group, d.Topic, d.Partition, d.Offset, oneLine(d.Error, 100))
		}
		return out.Flush()
	})
}

// oneLine keeps a table a table.
func oneLine(s string, most int) string {
	runes := []rune(s)
	for i, r := range runes {
		if r == '\n' || r == '\t' {
			runes[i] = ' '
		}
	}
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// Run handles one dead letter again, with the handlers of its group.
func (r retryDeadLetterCmd) Run(a *app) error {
	id, err := uuid.Parse(r.ID)
	if err != nil {
		return fmt.Errorf("%q is not the id of a dead letter; `rescued dead-letters` lists them", r.ID)
	}
	return withDatabase(a, func(c Config, pool *pgxpool.Pool) error {
		if err := c.needKafka(); err != nil {
			return err
		}
		sys, err := newSystem(a.ctx, systemConfig{
			Pool: pool, Kafka: c.kafka(), Clock: wallClock(), Log: c.logger(os.Stderr), Roles: allRoles(),
			PublicURL: c.PublicURL, OfferTTL: c.OfferTTL, FreshFor: c.FreshFor, Service: c.Service, Swaps: c.Swaps, DrainFor: c.DrainFor, RequestRate: c.RequestRate,
		})
		if err != nil {
			return err
		}
		defer sys.close()
		if err := events.RetryDeadLetter(a.ctx, pool, sys.handlers(), id); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, "handled")
		return nil
	})
}

func checkSchema(ctx context.Context, pool *pgxpool.Pool) finding {
	pending, err := pg.Pending(ctx, pool, migrations())
	switch {
	case err != nil:
		return ailing("fail", "schema", "use a program as new as the database, or check the account's rights", "%v", err)
	case pending > 0:
		return ailing("fail", "schema", "run: rescued migrate", "%d migrations are missing", pending)
	}
	return okay("schema", "up to date")
}

func checkClock(ctx context.Context, pool *pgxpool.Pool) finding {
	asked := time.Now()
	var theirs time.Time
	if err := pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
		return ailing("fail", "clock", "check the database", "%v", err)
	}
	off := theirs.Sub(asked.Add(time.Since(asked) / 2)).Abs()
	switch {
	case off > clockOffFail:
		return ailing("fail", "clock", "run a time service (chrony, systemd-timesyncd) on both machines: lateness is counted in fen", "differs from the database's by %s", off.Round(time.Millisecond))
	case off > clockOffWarn:
		return ailing("warn", "clock", "run a time service (chrony, systemd-timesyncd) on both machines", "differs from the database's by %s", off.Round(time.Millisecond))
	}
	return okay("clock", "within %s of the database's", max(off, time.Millisecond).Round(time.Millisecond))
}

type openAPICmd struct{}

// Run prints the OpenAPI document; it needs no database and no broker.
func (openAPICmd) Run(a *app) error {
	doc, err := openAPIDocument()
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(append(doc, '\n'))
	return err
}

type asyncAPICmd struct{}

// Run prints the AsyncAPI document.
func (asyncAPICmd) Run(a *app) error {
	doc, err := asyncAPIDocument()
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(append(doc, '\n'))
	return err
}
