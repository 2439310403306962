package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rescued/cmd/rescued/sim"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/sla"
)

// Config says how a file is to be read where it does not say so itself.
type Config struct {
	// Locate finds the area of a place; its error says what covers it not.
	Locate func(geo.Point) (geo.Place, error)
	// Known reports whether an area is covered.
	Known func(geo.AreaID) bool
	// Area is where every rescue was that names no place of its own; of a run
	// of the simulator, where all were. Tier is the tier there, and anywhere
	// it is not told.
	Area, Tier string
	// Datum is of positions without one.
	Datum string
	// Zone is of times without one; UTC when nil.
	Zone *time.Location
	// ArrivalSource is what proves an arrival when the file does not say.
	ArrivalSource string
	// Vehicle stands for the car of a plate, without telling which; empty for
	// what is no plate. Nil keeps no cars.
	Vehicle func(plate string) string
	// Crews says whose each crew is, zero for nobody's that is known; nil when
	// there is no such list.
	Crews map[string]events.ProviderID
	// Demand is what a run of the simulator was made from; nil when not given.
	Demand []sim.Call
	// Digest is the file's, from Survey; rescues of a run are named by it.
	Digest string
}

// Row is a row of a file: a rescue, or what is wrong with the row.
type Row struct {
	Line    int
	Rescue  sla.PastRescue
	Wrong   []fault.Field
	SaysFen *sla.Fen // what the file itself says was owed
}

// Reader reads the rows of a file.
type Reader struct {
	cfg    Config
	sheet  *sheet
	run    bool           // it is a run of the simulator
	lineOf map[string]int // where each reference stands
}

var runColumns = []string{"request", "crew_id", "called_at", "assigned_at", "arrived_at", "freed_at"}

// Open opens a file of either shape and reads its heading.
func Open(path string, cfg Config) (*Reader, error) {
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	s, err := openSheet(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{cfg: cfg, sheet: s, lineOf: map[string]int{}}
	r.run = !s.has("reference") && !slices.ContainsFunc(runColumns, func(c string) bool { return !s.has(c) })
	if err := r.usable(path); err != nil {
		s.in.Close()
		return nil, err
	}
	return r, nil
}

// usable refuses a file of which no row could be read.
func (r *Reader) usable(path string) error {
	if r.run {
		if r.cfg.Demand == nil && r.cfg.Area == "" {
			return fmt.Errorf("%s is a run of the simulator and holds no places; name the file it was made from with --demand, or one area for all with --area", path)
		}
		return nil
	}
	for _, c := range []string{"reference", "called_at"} {
		if !r.sheet.has(c) {
			return fmt.Errorf("%s: line 1: the heading has no column %s; it needs reference and called_at, or, for a run of the simulator, %s", path, c, strings.Join(runColumns, ","))
		}
	}
	if r.cfg.Demand != nil {
		return fmt.Errorf("%s is no run of the simulator; --demand goes with one", path)
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.sheet.in.Close() }

// Run reports whether the file is a run of the simulator.
func (r *Reader) Run() bool { return r.run }

// Unread lists the columns that are not read, in order, so that a misspelt
// one is seen.
func (r *Reader) Unread() []string {
	known := columns
	if r.run {
		known = append(slices.Clone(runColumns), "expected_at", "late_s", "compensation_fen")
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.sheet.col)), func(c string) bool { return slices.Contains(known, c) })
}

// Next reads a row; false at the end of the file. Only a file that cannot be
// read is an error: what is wrong with a row is in the row.
func (r *Reader) Next() (Row, bool, error) {
	more, err := r.sheet.next()
	if !more {
		return Row{}, false, err
	}
	row := Row{Line: r.sheet.line}
	if err != nil {
		row.Wrong = []fault.Field{{Field: "line", Code: "csv", Detail: err.Error()}}
		return row, true, nil
	}
	f := fields{sheet: r.sheet, cfg: r.cfg, row: &row}
	if r.run {
		f.run()
	} else {
		f.general()
	}
	if ref := row.Rescue.Reference; ref != "" {
		if first, twice := r.lineOf[ref]; twice {
			f.wrong("reference", "twice", "%q stands on line %d already; a reference names one rescue", ref, first)
		} else {
			r.lineOf[ref] = row.Line
		}
	}
	return row, true, nil
}
