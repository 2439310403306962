package dispatch

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

func (c *Crew) pinned() []column {
	return []column{
		{"id", &c.ID}, {"provider_id", &c.Provider}, {"registered_at", &c.RegisteredAt},
		{"idem_key", nullText{&c.key.key}}, {"idem_hash", &c.key.hash},
	}
}

func (c *Crew) moving() []column {
	return []column{
		{"state", &c.State}, {"name", &c.Name}, {"phone", &c.Phone}, {"plate", &c.Plate}, {"vehicle", &c.Vehicle},
		{"capabilities", capabilityBits{&c.Capabilities}}, {"auto_accept", &c.AutoAccept}, {"changed_at", &c.ChangedAt},
	}
}

func (c *Crew) columns() []column {
	return append(append(c.pinned(), c.moving()...), column{"version", &c.Version})
}

var (
	crewColumns = names(new(Crew).columns()) + `, fixed_at, fix_lat, fix_lng, fix_accuracy_m`
	crewUpdate  = updateVersion("dispatch.crews", new(Crew).moving(), "changed_in = pg_current_xact_id(), ")
	crewInsert  = insertInto("dispatch.crews", append(new(Crew).columns(), column{"registered_by", nil}))
)

func scanCrew(row pgx.CollectableRow) (c Crew, err error) {
	var at *time.Time
	var lat, lng, accuracy *float64
	if err = row.Scan(append(places(c.columns()), &at, &lat, &lng, &accuracy)...); err != nil {
		return c, err
	}
	utc(&c.RegisteredAt, &c.ChangedAt)
	if at != nil {
		c.Fix = &Fix{At: at.UTC(), Accuracy: *accuracy}
		c.Fix.Point.Lat, c.Fix.Point.Lng = *lat, *lng
	}
	return c, nil
}

func insertCrew(ctx context.Context, tx pgx.Tx, by events.Actor, c *Crew) error {
	_, err := tx.Exec(ctx, crewInsert, append(places(c.columns()), by.String())...)
	return err
}

func (c *Crew) save(ctx context.Context, tx pgx.Tx) (bool, error) {
	tag, err := tx.Exec(ctx, crewUpdate, append(places(c.moving()), c.ID, c.Version)...)
	return tag.RowsAffected() == 1, err
}

func selectCrew(ctx context.Context, db events.Querier, id events.CrewID) (Crew, error) {
	return one(ctx, db, scanCrew, ErrNoCrew, `SELECT `+crewColumns+` FROM dispatch.crews WHERE id = $1`, id)
}

func lockCrew(ctx context.Context, tx pgx.Tx, id events.CrewID) (Crew, error) {
	return one(ctx, tx, scanCrew, ErrNoCrew,
		`SELECT `+crewColumns+` FROM dispatch.crews WHERE id = $1 FOR NO KEY UPDATE`, id)
}

// lockFreeCrews locks those of the crews that are free, by ascending
// identifier. One that another area's round is locking at this moment is left
// out: it is as good as taken, and waiting for it would hold this area up.
func lockFreeCrews(ctx context.Context, tx pgx.Tx, ids []events.CrewID) ([]Crew, error) {
	return many(ctx, tx, scanCrew, `SELECT `+crewColumns+` FROM dispatch.crews
		WHERE id = ANY($1) AND state = 'available' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`, ids)
}

// lockCrewsOnDuty locks those of the crews that are at work or free, by
// ascending identifier, and leaves out those in other hands.
func lockCrewsOnDuty(ctx context.Context, tx pgx.Tx, ids []events.CrewID) ([]Crew, error) {
	return many(ctx, tx, scanCrew, `SELECT `+crewColumns+` FROM dispatch.crews
		WHERE id = ANY($1) AND state IN ('available', 'held', 'engaged') ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`, ids)
}

// listChangedCrews is every crew changed by a transaction that was not over
// before since. The next reading goes on from the horizon that readHorizon
// gave before this one.
func listChangedCrews(ctx context.Context, db events.Querier, since string) ([]Crew, error) {
	return many(ctx, db, scanCrew,
		`SELECT `+crewColumns+` FROM dispatch.crews WHERE changed_in >= $1::text::xid8 ORDER BY changed_in, id`, since)
}

func listCrewsByID(ctx context.Context, db events.Querier, ids []events.CrewID) ([]Crew, error) {
	return many(ctx, db, scanCrew, `SELECT `+crewColumns+` FROM dispatch.crews WHERE id = ANY($1) ORDER BY id`, ids)
}

// readHorizon is the oldest transaction still open: whatever is not visible
// now was or will be written by it or a later one.
func readHorizon(ctx context.Context, db events.Querier) (string, error) {
	var xid string
	err := db.QueryRow(ctx, `SELECT pg_snapshot_xmin(pg_current_snapshot())::text`).Scan(&xid)
	return xid, err
}

func listCrews(ctx context.Context, db events.Querier, f CrewFilter) ([]Crew, error) {
	return many(ctx, db, scanCrew, `SELECT `+crewColumns+` FROM dispatch.crews
		WHERE (cardinality($1::text[]) = 0 OR state = ANY($1)) AND ($2::uuid IS NULL OR provider_id = $2)
			AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4`,
		texts(f.States), f.Provider, f.After, pageSize(f.Limit))
}

// updateFixes samples last positions, older ones apart. It is not a change of
// the crew: no version, no event.
func updateFixes(ctx context.Context, tx pgx.Tx, last map[events.CrewID]Fix) error {
	ids, ats, lats, lngs, accs := fixColumns(last)
	// The rows are locked in order first: UPDATE … FROM takes them in any, and
	// two samplers would deadlock.
	_, err := tx.Exec(ctx, `WITH heard AS (
			SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[]) AS h (id, at, lat, lng, acc)),
		locked AS (
			SELECT c.id FROM dispatch.crews c JOIN heard h USING (id)
			WHERE c.fixed_at IS NULL OR c.fixed_at < h.at ORDER BY c.id FOR NO KEY UPDATE OF c)
		UPDATE dispatch.crews c SET fixed_at = h.at, fix_lat = h.lat, fix_lng = h.lng, fix_accuracy_m = h.acc,
			changed_in = pg_current_xact_id()
		FROM heard h JOIN locked USING (id) WHERE c.id = h.id`, ids, ats, lats, lngs, accs)
	return err
}

func insertProvider(ctx context.Context, tx pgx.Tx, by events.Actor, p *Provider) error {
	_, err := tx.Exec(ctx, `INSERT INTO dispatch.providers (id, name, phone, registered_at, registered_by, idem_key, idem_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, p.Name, p.Phone, p.RegisteredAt, by.String(), nullText{&p.key.key}, p.key.hash)
	return err
}

func insertPartner(ctx context.Context, tx pgx.Tx, by events.Actor, p *Partner) error {
	_, err := tx.Exec(ctx, `INSERT INTO dispatch.partners (id, name, registered_at, registered_by, idem_key, idem_hash)
		VALUES ($1, $2, $3, $4, $5, $6)`, p.ID, p.Name, p.RegisteredAt, by.String(), nullText{&p.key.key}, p.key.hash)
	return err
}

func selectCrewByKey(ctx context.Context, db events.Querier, by events.Actor, key string) (Crew, error) {
	return one(ctx, db, scanCrew, ErrNoCrew,
		`SELECT `+crewColumns+` FROM dispatch.crews WHERE registered_by = $1 AND idem_key = $2`, by.String(), key)
}

func selectProviderByKey(ctx context.Context, db events.Querier, by events.Actor, key string) (Provider, error) {
	return one(ctx, db, func(row pgx.CollectableRow) (p Provider, err error) {
		err = row.Scan(&p.ID, &p.Name, &p.Phone, &p.RegisteredAt, &p.key.key, &p.key.hash)
		utc(&p.RegisteredAt)
		return p, err
	}, ErrNoProvider, `SELECT id, name, phone, registered_at, idem_key, idem_hash FROM dispatch.providers
		WHERE registered_by = $1 AND idem_key = $2`, by.String(), key)
}

func selectPartnerByKey(ctx context.Context, db events.Querier, by events.Actor, key string) (Partner, error) {
	return one(ctx, db, func(row pgx.CollectableRow) (p Partner, err error) {
		err = row.Scan(&p.ID, &p.Name, &p.RegisteredAt, &p.key.key, &p.key.hash)
		utc(&p.RegisteredAt)
		return p, err
	}, ErrNoPartner, `SELECT id, name, registered_at, idem_key, idem_hash FROM dispatch.partners
		WHERE registered_by = $1 AND idem_key = $2`, by.String(), key)
}

func partnerExists(ctx context.Context, db events.Querier, id events.PartnerID) (ok bool, err error) {
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM dispatch.partners WHERE id = $1)`, id).Scan(&ok)
	return ok, err
}

// fixColumns are fixes as columns, by crew.
func fixColumns(last map[events.CrewID]Fix) (ids []events.CrewID, ats []time.Time, lats, lngs, accs []float64) {
	for _, id := range sortedKeys(last) {
		f := last[id]
		ids, ats = append(ids, id), append(ats, f.At)
		lats, lngs, accs = append(lats, f.Point.Lat), append(lngs, f.Point.Lng), append(accs, f.Accuracy)
	}
	return ids, ats, lats, lngs, accs
}
