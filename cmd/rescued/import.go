package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/cmd/rescued/history"
	"rescued/cmd/rescued/sim"
	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/web"
	"rescued/sla"
)

// importCmd brings in what happened elsewhere.
type importCmd struct {
	History importHistoryCmd `cmd:"" help:"Bring past rescues of another system, or a run of the simulator, into the journal as history."`
}

// importHistoryCmd brings one file of past rescues in.
type importHistoryCmd struct {
	File          string `arg:"" help:"CSV or CSV.gz with at least reference,called_at (the package cmd/rescued/history lists the columns), or RUNS.csv of rescued replay." placeholder:"FILE.csv[.gz]"`
	Source        string `help:"Names the system the rescues come from; references are unique within it. The file's name by default." placeholder:"NAME"`
	Policy        string `help:"The policy that promises and prices each rescue, as if it had been opened then." default:"example-45/1" placeholder:"NAME/VERSION"`
	Payable       bool   `help:"What the rescues owe is to be paid, once somebody of finance other than who imports has approved."`
	Area          string `help:"Where rescues were that name no place; of a run, where all were." placeholder:"ID"`
	Tier          string `help:"Tier where it is not told: urban or county." enum:",urban,county" default:""`
	Datum         string `help:"Datum of positions that name none: wgs84, gcj02 or bd09." placeholder:"DATUM"`
	Zone          string `help:"Zone of times that name none." default:"UTC" placeholder:"Asia/Shanghai"`
	ArrivalSource string `help:"What proves arrivals when the file does not say: gps, code, owner, tap or operator." placeholder:"SOURCE"`
	Crews         string `help:"Whose each crew is, for rows that name a crew and no provider, such as those of a run: CSV with crew,provider (prv_…; empty: nobody's here)." placeholder:"CREWS.csv"`
	Demand        string `help:"The demand file a run of the simulator was made from, for the places." placeholder:"FILE.csv[.gz]"`
	Kind          string `help:"The --kind the run was made with." placeholder:"KIND"`
	DryRun        bool   `help:"Check every row and say what would come of it; write nothing."`
	By            string `help:"Who prepares the import; the account's name by default." placeholder:"NAME"`
}

// importRows is how many rows go in one transaction: enough to be quick, few
// enough that what is live never waits long behind them.
const importRows = 1000

// Run reads the file, brings in every row that can be history, names every
// one that cannot, and accounts for all.
func (c importHistoryCmd) Run(a *app) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		spec, lines, err := c.spec()
		if err != nil {
			return err
		}
		now := a.clock.Now
		key, err := web.NewTokens(pool, now).Secret(a.ctx, "tracking-links") // as the service has it, so that one car is one car
		if err != nil {
			return err
		}
		desk := dispatch.New(pool, dispatch.Config{Now: now, LinkKey: key[:]})
		if err := desk.Refresh(a.ctx); err != nil {
			return err
		}
		rows, err := c.open(desk, spec.Digest)
		if err != nil {
			return err
		}
		defer rows.Close()
		promises := sla.New(pool, sla.Config{Now: now})
		if err := promises.Install(a.ctx); err != nil {
			return err
		}
		by := commandLine()
		if c.By != "" {
			by.Subject = c.By
		}
		importer, err := promises.NewImporter(a.ctx, by, spec)
		if err != nil {
			return err
		}
		t := tally{cmd: c, spec: spec, out: a.stderr, earlier: map[events.ImportID]int{}}
		if err := t.all(a, rows, importer, newProgress(a.stderr, "import", max(lines-1, 0), "rows")); err != nil {
			return fmt.Errorf("%w (what was added stays; the same command goes on from there)", err)
		}
		if err := t.tell(a.ctx, a.stdout, rows, promises); err != nil {
			return err
		}
		if !c.DryRun {
			imp, found, err := importer.Finish(a.ctx)
			if err != nil {
				return err
			}
			tellImport(a.stdout, imp, found)
		}
		if t.refused > 0 {
			return fmt.Errorf("%d of %d rows were refused; mend them and give the file again: what is in already is passed over", t.refused, t.rows)
		}
		return nil
	})
}

// spec is what is brought in, and how many lines the file has.
func (c importHistoryCmd) spec() (spec sla.ImportSpec, lines int, err error) {
	spec = sla.ImportSpec{Source: c.Source, File: filepath.Base(c.File), Payable: c.Payable}
	if spec.Policy, spec.PolicyVersion, err = history.ParsePolicy(c.Policy); err != nil {
		return spec, 0, fmt.Errorf("--policy: %w", err)
	}
	if spec.Source == "" {
		spec.Source = strings.TrimSuffix(strings.TrimSuffix(spec.File, ".gz"), ".csv")
	}
	spec.Digest, lines, err = history.Survey(c.File)
	return spec, lines, err
}

func (c importHistoryCmd) open(desk *dispatch.Service, digest string) (*history.Reader, error) {
	cover := desk.Areas()
	covered := map[geo.AreaID]bool{}
	for _, area := range cover.All() {
		covered[area.ID] = true
	}
	if c.Area != "" && !covered[geo.AreaID(c.Area)] && c.Tier == "" {
		return nil, fmt.Errorf("--area %s is no covered area; import its areas first (rescued areas import), or say its --tier to name a place that is not covered", c.Area)
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return nil, fmt.Errorf("--zone %s: %w; write it as Asia/Shanghai", c.Zone, err)
	}
	cfg := history.Config{
		Locate: cover.Locate, Known: func(id geo.AreaID) bool { return covered[id] },
		Area: c.Area, Tier: c.Tier, Datum: c.Datum, Zone: zone, ArrivalSource: c.ArrivalSource, Vehicle: desk.VehicleKey, Digest: digest,
	}
	if c.Crews != "" {
		if cfg.Crews, err = history.ReadCrews(c.Crews); err != nil {
			return nil, fmt.Errorf("--crews: %w", err)
		}
	}
	if c.Demand != "" {
		if cfg.Demand, err = sim.ReadDemand(c.Demand, c.Kind); err != nil {
			return nil, err
		}
		if cfg.Demand == nil {
			return nil, fmt.Errorf("--demand %s has no calls of kind %q", c.Demand, c.Kind)
		}
	}
	return history.Open(c.File, cfg)
}

// tally counts what came of every row.
type tally struct {
	cmd  importHistoryCmd
	spec sla.ImportSpec
	out  io.Writer

	rows, added, known, refused, late int
	owed                              sla.Fen
	earlier                           map[events.ImportID]int
	// What the file itself says was owed, over the added rows that say so.
	says, owes sla.Fen
	differ     int
}

// all reads and brings in every row, some at a time.
func (t *tally) all(a *app, rows *history.Reader, to *sla.Importer, progress *progress) error {
	batch := make([]history.Row, 0, importRows)
	for {
		row, more, err := rows.Next()
		if err != nil {
			return err
		}
		if more {
			t.rows++
			if len(row.Wrong) > 0 {
				t.refuse(row.Line, row.Wrong)
			} else {
				batch = append(batch, row)
			}
		}
		if len(batch) == importRows || !more && len(batch) > 0 {
			if err := t.some(a.ctx, batch, to); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if !more {
			return nil
		}
		progress.at(t.rows, "")
	}
}

// some brings a batch of rows in.
func (t *tally) some(ctx context.Context, batch []history.Row, to *sla.Importer) error {
	rescues := make([]sla.PastRescue, len(batch))
	for i, row := range batch {
		rescues[i] = row.Rescue
	}
	do := to.Add
	if t.cmd.DryRun {
		do = to.Preview
	}
	got, err := do(ctx, rescues)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	for _, r := range got.Refused {
		t.refuse(batch[r.Row].Line, r.Fields)
	}
	for row, owes := range got.Owes {
		if says := batch[row].SaysFen; says != nil {
			t.says, t.owes = t.says+*says, t.owes+owes
			if *says != owes {
				t.differ++
			}
		}
	}
	for id, n := range got.Earlier {
		t.earlier[id] += n
	}
	t.added, t.known, t.late, t.owed = t.added+got.Added, t.known+got.Known, t.late+got.Late, t.owed+got.Owed
	return nil
}

func (t *tally) refuse(line int, wrong []fault.Field) {
	t.refused++
	for _, f := range wrong {
		fmt.Fprintf(t.out, "%s: line %d: %s: %s\n", t.cmd.File, line, f.Field, f.Detail)
	}
}

// tell prints the account: every row of the file is in exactly one line of it.
func (t *tally) tell(ctx context.Context, out io.Writer, rows *history.Reader, promises *sla.Service) error {
	verb := "import"
	if t.cmd.DryRun {
		verb = "dry run"
	}
	fmt.Fprintf(out, "%s of %s from %s under %s version %d\n  rows     %d\n  added    %d, %d of them late, %s owed\n",
		verb, t.spec.File, t.spec.Source, t.spec.Policy, t.spec.PolicyVersion, t.rows, t.added, t.late, t.owed)
	fmt.Fprintf(out, "  known    %d\n", t.known)
	byString := func(a, b events.ImportID) int { return a.Compare(b) }
	for _, id := range slices.SortedFunc(maps.Keys(t.earlier), byString) {
		was, err := promises.Import(ctx, commandLine(), id)
		if err != nil {
			return err
		}
		paid := "not payable"
		if was.Payable {
			paid = "payable"
		}
		fmt.Fprintf(out, "           %d by %s of %s, %s, under %s version %d\n", t.earlier[id], id, was.PreparedAt.Format(time.DateOnly), paid, was.Policy, was.PolicyVersion)
	}
	fmt.Fprintf(out, "  refused  %d\n", t.refused)
	if unread := rows.Unread(); len(unread) > 0 {
		fmt.Fprintf(out, "  columns passed over: %s\n", strings.Join(unread, ", "))
	}
	switch {
	case t.differ > 0:
		fmt.Fprintf(out, "  the file itself says %s for the added; by the policy it is %s, and %d rows differ\n", t.says, t.owes, t.differ)
	case t.says > 0:
		fmt.Fprintf(out, "  the file itself says %s for the added, and the policy the same for each\n", t.says)
	}
	if t.added+t.known+t.refused != t.rows {
		return fmt.Errorf("the account does not close: %d added, %d known and %d refused of %d rows", t.added, t.known, t.refused, t.rows)
	}
	return nil
}

// tellImport says what the import has come to.
func tellImport(out io.Writer, imp sla.Import, found bool) {
	switch {
	case !found:
		fmt.Fprintln(out, "nothing was added")
	case imp.State == sla.ImportPrepared:
		fmt.Fprintf(out, "%s is prepared by %s: %d rescues, %d late, %s; nothing accrues until somebody else of finance approves (POST /v1/imports/%s/approve); what has accrued is then approved at once by POST /v1/compensations/approve {\"import_id\": \"%s\", …}\n",
			imp.ID, imp.PreparedBy, imp.Rescues, imp.Late, imp.Owed, imp.ID, imp.ID)
	default:
		fmt.Fprintf(out, "%s is loaded: %d rescues, %d late; history, of which nothing is paid\n", imp.ID, imp.Rescues, imp.Late)
	}
}
