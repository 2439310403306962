package dispatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// areaFileLimit bounds an imported file, in bytes.
const areaFileLimit = 32 << 20

// ErrAreaFile: the file of covered places cannot be read; the fields say where.
var ErrAreaFile = fault.New(fault.Invalid, "area_file_invalid", "The file of covered places is not valid; see fields.")

// ImportAreas checks a file of covered places, keeps it as it is, and puts it
// in force: in place of all before it, or in addition. Every replica takes it
// up with its next refresh. Requests that are open keep the area they have.
func (s *Service) ImportAreas(ctx context.Context, by events.Actor, in AreaFile) (set AreaSet, err error) {
	defer fault.Wrap(&err, "import areas")
	if !by.Is(events.RoleAdmin, events.RoleSystem) {
		return AreaSet{}, ErrForbidden
	}
	var c checker
	name := c.text("name", in.Name, 1, 200)
	mode := oneOf(&c, "mode", orElse(in.Mode, AreaReplace), []AreaMode{AreaReplace, AreaAdd})
	if len(in.File) > areaFileLimit {
		c.add("file", "too_long", "must be at most %d MiB", areaFileLimit>>20)
	}
	if err := c.err(); err != nil {
		return AreaSet{}, err
	}
	areas, err := geo.ParseAreas(bytes.NewReader(in.File))
	if err != nil {
		return AreaSet{}, areaFault(err)
	}
	digest := sha256.Sum256(in.File)
	set = AreaSet{
		Mode: mode, Name: name, Digest: hex.EncodeToString(digest[:]), Places: areas.Len(),
		ImportedAt: s.now(), ImportedBy: by.String(),
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		// One import at a time: the version is the next number.
		if err := pg.LockTx(ctx, tx, "dispatch.areas"); err != nil {
			return err
		}
		set.Version, err = insertAreas(ctx, tx, set, in.File)
		return err
	})
	if err != nil {
		return AreaSet{}, err
	}
	return set, s.refreshAreas(ctx)
}

func areaFault(err error) error {
	var bad *geo.ImportError
	if !errors.As(err, &bad) {
		return ErrAreaFile.Detailf("The file of covered places cannot be read: %v.", err).Because(err)
	}
	f := *ErrAreaFile
	for _, p := range bad.Problems {
		what := p.Detail
		if p.Field != "" {
			what = p.Field + ": " + what
		}
		f.Fields = append(f.Fields, fault.Field{Field: p.Where, Code: "area_file", Detail: what})
	}
	return &f
}

// CurrentAreas is the imported files in force, oldest first; none when the
// default cover is.
func (s *Service) CurrentAreas(ctx context.Context) (sets []AreaSet, err error) {
	defer fault.Wrap(&err, "current areas")
	return listAreaSets(ctx, s.pool)
}

// refreshAreas takes up a cover that was imported since the last time.
func (s *Service) refreshAreas(ctx context.Context) error {
	version, err := latestAreas(ctx, s.pool)
	if err != nil || version == s.cover.Load().version {
		return err
	}
	files, err := listAreaFiles(ctx, s.pool)
	if err != nil {
		return err
	}
	next := &Cover{version: version}
	replaced := false
	for _, f := range files { // newest first
		areas, err := geo.ParseAreas(bytes.NewReader(f.file))
		if err != nil {
			return fmt.Errorf("read imported areas %d: %w", f.version, err)
		}
		next.sets = append(next.sets, areas)
		replaced = f.mode == AreaReplace
	}
	if !replaced {
		next.sets = append(next.sets, s.cfg.Areas)
	}
	s.cover.Store(next)
	return nil
}

// locate finds the area of a place; outside of all it is ErrOutside with the
// fact nearest.
func (s *Service) locate(p geo.Point) (geo.Place, error) {
	place, err := s.cover.Load().Locate(p)
	var out *geo.OutsideError
	if errors.As(err, &out) {
		return place, ErrOutside.Detailf("The place is outside the covered area; the nearest covered place is %s, %.0f km away.", out.Nearest.Name, out.Km).
			With("nearest", map[string]any{
				"id": out.Nearest.ID, "name": out.Nearest.Name, "lat": out.Nearest.Centre.Lat, "lng": out.Nearest.Centre.Lng, "km": int(out.Km + 0.5),
			})
	}
	return place, err
}

// Locate says in which area a point lies: the latest import that covers it
// has it. Outside of all, the *geo.OutsideError names the nearest area.
func (c *Cover) Locate(p geo.Point) (geo.Place, error) {
	var nearest error
	least := 0.0
	for _, set := range c.sets {
		place, err := set.Locate(p)
		var out *geo.OutsideError
		if !errors.As(err, &out) {
			return place, err
		}
		if nearest == nil || out.Km < least {
			nearest, least = err, out.Km
		}
	}
	return geo.Place{}, nearest
}

// All lists every covered area, the latest import first; of areas with one
// identifier, the first is in force.
func (c *Cover) All() []geo.Area {
	var all []geo.Area
	seen := map[geo.AreaID]bool{}
	for _, set := range c.sets {
		for _, a := range set.All() {
			if !seen[a.ID] {
				seen[a.ID] = true
				all = append(all, a)
			}
		}
	}
	return all
}

func insertAreas(ctx context.Context, tx pgx.Tx, a AreaSet, file []byte) (version int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO dispatch.areas (version, mode, name, file, digest, places, imported_at, imported_by)
		SELECT coalesce(max(version), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM dispatch.areas RETURNING version`,
		a.Mode, a.Name, file, a.Digest, a.Places, a.ImportedAt, a.ImportedBy).Scan(&version)
	return version, err
}

func latestAreas(ctx context.Context, db events.Querier) (version int64, err error) {
	err = db.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM dispatch.areas`).Scan(&version)
	return version, err
}

// inForce is the imports since the last one that replaced all before it.
const inForce = ` FROM dispatch.areas WHERE version >= coalesce(
	(SELECT max(version) FROM dispatch.areas WHERE mode = 'replace'), 0)`

func listAreaSets(ctx context.Context, db events.Querier) ([]AreaSet, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (a AreaSet, err error) {
		err = row.Scan(&a.Version, &a.Mode, &a.Name, &a.Digest, &a.Places, &a.ImportedAt, &a.ImportedBy)
		utc(&a.ImportedAt)
		return a, err
	}, `SELECT version, mode, name, digest, places, imported_at, imported_by`+inForce+` ORDER BY version`)
}

type areaFile struct {
	version int64
	mode    AreaMode
	file    []byte
}

func listAreaFiles(ctx context.Context, db events.Querier) ([]areaFile, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (f areaFile, err error) {
		err = row.Scan(&f.version, &f.mode, &f.file)
		return f, err
	}, `SELECT version, mode, file`+inForce+` ORDER BY version DESC`)
}
