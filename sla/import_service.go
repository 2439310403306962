package sla

import (
	"context"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// importRoles may bring history in. Finance decides whether it is paid.
var importRoles = []events.Role{events.RoleAdmin, events.RoleFinance, events.RoleSystem}

// ImportRows is the most rows Importer.Add takes at once.
const ImportRows = 2000

// Importer brings one file of past rescues in, some rows at a time. What has
// been added stays when it is given up; the same file goes on where it
// stopped. It is for one goroutine.
type Importer struct {
	s    *Service
	by   events.Actor
	spec ImportSpec
	id   events.ImportID // zero until something was added

	previewed map[carMonth]Fen // by what Preview has seen, which the store has not
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// NewImporter begins an import, or goes on with one that was interrupted.
// Nothing is written before a row is added. Administrators and finance may.
func (s *Service) NewImporter(ctx context.Context, by events.Actor, spec ImportSpec) (_ *Importer, err error) {
	defer fault.Wrap(&err, "import %s", spec.File)
	if !by.Is(importRoles...) {
		return nil, forbidden(by)
	}
	var wrong []fault.Field
	if n := utf8.RuneCountInString(spec.Source); n == 0 || n > 100 || !plainText(spec.Source) {
		wrong = append(wrong, fault.Field{Field: "source", Code: "text", Detail: "must be 1 to 100 characters of plain text that name the system the rescues come from"})
	}
	if !digestForm.MatchString(spec.Digest) {
		wrong = append(wrong, fault.Field{Field: "digest", Code: "format", Detail: "must be the SHA-256 of the file, as 64 hexadecimal digits"})
	}
	if err := fault.InvalidFields(wrong); err != nil {
		return nil, err
	}
	if _, err := s.policy(ctx, s.pool, spec.Policy, spec.PolicyVersion); err != nil {
		return nil, err
	}
	i := &Importer{s: s, by: by, spec: spec}
	i.id, err = findLoading(ctx, s.pool, spec)
	if pg.NotFound(err) {
		err = nil
	}
	return i, err
}

// Preview says what Add would do with some rows, and writes nothing.
func (i *Importer) Preview(ctx context.Context, rows []PastRescue) (got ImportedRows, err error) {
	defer fault.Wrap(&err, "preview %s", i.spec.File)
	fresh, got, err := i.sift(ctx, i.s.pool, rows, i.s.now())
	if err != nil {
		return got, err
	}
	if i.previewed == nil {
		i.previewed = map[carMonth]Fen{}
	}
	err = i.cap(ctx, i.s.pool, fresh, i.previewed)
	got.count(fresh)
	return got, err
}

// Add brings at most ImportRows rows in, in one transaction. A row that cannot
// be history is refused whole, with every wrong field, and the others are
// added; one that is known word for word is passed over.
func (i *Importer) Add(ctx context.Context, rows []PastRescue) (got ImportedRows, err error) {
	defer fault.Wrap(&err, "import %s", i.spec.File)
	id := i.id
	err = i.s.inTx(ctx, func(tx pgx.Tx) error {
		// Two imports of one source at once would not see each other's rows.
		if err := pg.LockTx(ctx, tx, "sla import "+i.spec.Source); err != nil {
			return err
		}
		now := i.s.now()
		var fresh []past
		if fresh, got, err = i.sift(ctx, tx, rows, now); err != nil || len(fresh) == 0 {
			return err
		}
		if err := lockMonths(ctx, tx, monthsOf(fresh)...); err != nil {
			return err
		}
		if err := i.cap(ctx, tx, fresh, map[carMonth]Fen{}); err != nil {
			return err
		}
		got.count(fresh)
		if id.IsZero() {
			if id, err = i.begin(ctx, tx, now); err != nil {
				return err
			}
		}
		return i.keep(ctx, tx, id, fresh, got, now)
	})
	if err == nil {
		i.id = id
	}
	return got, err
}

// cap holds judged rescues, in their order, against what their cars' months
// have used up of the policy's cap: by live rescues, by imports before, and by
// more, to which they are added.
func (i *Importer) cap(ctx context.Context, db events.Querier, fresh []past, more map[carMonth]Fen) error {
	keys := monthsOf(fresh)
	if len(keys) == 0 {
		return nil
	}
	used, err := sumMonths(ctx, db, keys, events.GuaranteeID{}, !i.spec.Payable)
	if err != nil {
		return err
	}
	for n := range fresh {
		g, p := &fresh[n].guarantee, fresh[n].policy
		key, capped := g.capped(p, fresh[n].rescue.VehicleKey)
		if !capped {
			continue
		}
		g.SpentVehicleFen = used[key] + more[key]
		g.Verdict = p.Owed(g.timeline(fresh[n].facts))
		more[key] += g.Verdict.Fen
	}
	return nil
}

// sift judges rows and parts the new from those known already.
func (i *Importer) sift(ctx context.Context, db events.Querier, rows []PastRescue, now time.Time) (fresh []past, got ImportedRows, err error) {
	got.Earlier = map[events.ImportID]int{}
	references := make([]string, 0, len(rows))
	for n, r := range rows {
		p, wrong, err := i.s.judge(ctx, db, i.spec, n, r, now)
		if err != nil {
			return nil, got, err
		}
		if len(wrong) > 0 {
			got.Refused = append(got.Refused, RefusedRescue{n, wrong})
			continue
		}
		fresh, references = append(fresh, p), append(references, r.Reference)
	}
	known, err := listPast(ctx, db, i.spec.Source, references)
	if err != nil {
		return nil, got, err
	}
	fresh = slices.DeleteFunc(fresh, func(p past) bool {
		was, found := known[p.rescue.Reference]
		switch {
		case !found:
			known[p.rescue.Reference] = knownRescue{digest: p.digest, importID: i.id}
			return false
		case was.digest == p.digest:
			got.Known++
			got.Earlier[was.importID]++
		default:
			got.Refused = append(got.Refused, RefusedRescue{p.row, []fault.Field{{Field: "reference", Code: "taken",
				Detail: "is known from " + i.spec.Source + " with another content; what was imported is never edited, so give it another reference if it is another rescue"}}})
		}
		return true
	})
	slices.SortFunc(got.Refused, func(a, b RefusedRescue) int { return a.Row - b.Row })
	return fresh, got, nil
}

func (r *ImportedRows) count(added []past) {
	r.Added, r.Owes = len(added), make(map[int]Fen, len(added))
	for _, p := range added {
		if p.guarantee.State == Late {
			r.Late++
		}
		r.Owes[p.row] = p.guarantee.Verdict.Fen
		r.Owed += p.guarantee.Verdict.Fen
	}
}

// begin records the import itself.
func (i *Importer) begin(ctx context.Context, tx pgx.Tx, now time.Time) (events.ImportID, error) {
	imp := Import{
		ID: events.NewID[events.ImportID](), ImportSpec: i.spec, State: ImportLoading, Version: 1,
		PreparedBy: i.by.String(), PreparedAt: now, ChangedAt: now,
	}
	if err := insertImport(ctx, tx, imp); err != nil {
		return imp.ID, err
	}
	return imp.ID, events.Append(ctx, tx, i.by, now, imp.Version, imp.told(""))
}

// keep writes judged rescues: guarantee, facts, natural key and journal.
func (i *Importer) keep(ctx context.Context, tx pgx.Tx, id events.ImportID, fresh []past, got ImportedRows, now time.Time) error {
	imp, err := lockImport(ctx, tx, id)
	if err != nil {
		return err
	}
	if imp.State != ImportLoading {
		return ErrStale.Detailf("The import %s was finished meanwhile; give the file again.", id)
	}
	for n := range fresh {
		fresh[n].guarantee.ImportID = id
	}
	evs := make([]events.Event, len(fresh))
	for n, p := range fresh {
		evs[n] = p.event(i.spec, id, now)
	}
	told, err := events.AppendEach(ctx, tx, i.by, now, 1, evs)
	if err != nil {
		return err
	}
	if err := copyPast(ctx, tx, i.spec.Source, id, fresh, told, now); err != nil {
		return err
	}
	imp.Rescues, imp.Late, imp.Owed = imp.Rescues+got.Added, imp.Late+got.Late, imp.Owed+got.Owed
	imp.Version, imp.ChangedAt = imp.Version+1, now
	return updateImport(ctx, tx, imp)
}

// Finish completes the import: it is loaded, or, if it is payable, prepared
// for finance to decide. Without a row added there is no import, and found is
// false.
func (i *Importer) Finish(ctx context.Context) (imp Import, found bool, err error) {
	defer fault.Wrap(&err, "finish the import of %s", i.spec.File)
	if i.id.IsZero() {
		return Import{}, false, nil
	}
	ev := evLoad
	if i.spec.Payable {
		ev = evPrepare
	}
	err = i.s.inTx(ctx, func(tx pgx.Tx) error {
		if imp, err = lockImport(ctx, tx, i.id); err != nil {
			return err
		}
		imp, err = stepImport(ctx, tx, imp, ev, i.by, "", i.s.now())
		return err
	})
	return imp, err == nil, err
}

// stepImport moves a locked import by its table and tells so. Nothing else
// writes its state.
func stepImport(ctx context.Context, tx pgx.Tx, imp Import, ev ImportEvent, by events.Actor, why string, now time.Time) (Import, error) {
	next, err := importTable.Next(imp.State, ev)
	if err != nil {
		return imp, err
	}
	if ev == evApproveImport || ev == evRejectImport {
		imp.DecidedBy, imp.DecidedWhy, imp.DecidedAt = by.String(), why, now
	}
	imp.State, imp.Version, imp.ChangedAt = next, imp.Version+1, now
	if err := updateImport(ctx, tx, imp); pg.Violates(err, "import_four_eyes") {
		return imp, ErrImportFourEyes
	} else if err != nil {
		return imp, err
	}
	return imp, events.Append(ctx, tx, by, now, imp.Version, imp.told(why))
}

func (imp Import) told(why string) events.Event {
	return events.ImportChanged{
		ImportID: imp.ID, Source: imp.Source, State: string(imp.State), Digest: imp.Digest, Payable: imp.Payable,
		Rescues: imp.Rescues, Late: imp.Late, OwedFen: int64(imp.Owed), ChangedAt: imp.ChangedAt, Reason: why,
	}
}

// event tells a past rescue, with all its facts.
func (p past) event(spec ImportSpec, id events.ImportID, now time.Time) events.Event {
	r, g := p.rescue, p.guarantee
	ev := events.HistoryImported{
		ImportID: id, RequestID: g.RequestID, Source: spec.Source, Reference: r.Reference, Area: r.Area, Tier: r.Tier,
		OpenedAt: g.OpenedAt, Priority: r.Priority, Problem: r.Problem, Kind: r.Kind, RoadClass: r.RoadClass,
		Product: r.Product, VehicleKey: r.VehicleKey, Provider: r.Provider, Location: r.Location, Promise: g.Promise, Payable: spec.Payable, Facts: make([]events.PastFact, len(p.facts)), ImportedAt: now,
	}
	if !r.PartnerID.IsZero() {
		ev.PartnerID = &r.PartnerID
	}
	if !r.ProviderID.IsZero() {
		ev.ProviderID = &r.ProviderID
	}
	for i, f := range p.facts {
		ev.Facts[i] = events.PastFact{Kind: string(f.Kind), At: f.At, Until: nullable(f.Until), Source: f.Source, Fen: int64(f.Fen)}
		if !f.Crew.IsZero() {
			ev.Facts[i].CrewID = &p.facts[i].Crew
		}
		if !f.Provider.IsZero() {
			ev.Facts[i].ProviderID = &p.facts[i].Provider
		}
	}
	return ev
}
