package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/geo"
)

// column ties a column to the field it is read into and written from.
type column struct {
	name string
	at   any // pointer to the field
}

// names lists columns for a SELECT.
func names(cols []column) string {
	var b strings.Builder
	for i, c := range cols {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name)
	}
	return b.String()
}

// places lists the fields of columns, for Scan and for arguments.
func places(cols []column) []any {
	at := make([]any, len(cols))
	for i, c := range cols {
		at[i] = c.at
	}
	return at
}

// insertInto writes an INSERT of columns.
func insertInto(table string, cols []column) string {
	var marks strings.Builder
	for i := range cols {
		if i > 0 {
			marks.WriteString(", ")
		}
		fmt.Fprintf(&marks, "$%d", i+1)
	}
	return "INSERT INTO " + table + " (" + names(cols) + ") VALUES (" + marks.String() + ")"
}

// updateVersion writes an UPDATE of columns that overwrites only the previous
// version; the identifier and the new version follow the columns as arguments.
func updateVersion(table string, cols []column, also string) string {
	var set strings.Builder
	for i, c := range cols {
		fmt.Fprintf(&set, "%s = $%d, ", c.name, i+1)
	}
	n := len(cols)
	return fmt.Sprintf("UPDATE %s SET %s%sversion = $%d WHERE id = $%d AND version = $%d - 1",
		table, set.String(), also, n+2, n+1, n+2)
}

// pinned are the columns of a request that never change once it is open.
func (r *Request) pinned() []column {
	return []column{
		{"id", &r.ID}, {"area", &r.Area}, {"area_name", &r.AreaName}, {"tier", &r.Tier}, {"priority", &r.Priority},
		{"opened_by", actorText{&r.OpenedBy}}, {"owner_id", &r.Owner}, {"partner_id", &r.Partner}, {"partner_ref", &r.PartnerRef},
		{"product", &r.Product},
		{"contact_name", &r.Contact.Name}, {"contact_phone", &r.Contact.Phone},
		{"plate", &r.Vehicle.Plate}, {"vin", &r.Vehicle.VIN}, {"make", &r.Vehicle.Make}, {"model", &r.Vehicle.Model},
		{"energy", &r.Vehicle.Energy}, {"weight_class", &r.Vehicle.WeightClass}, {"problem", &r.Problem},
		{"live_lane", &r.Safety.LiveLane}, {"children", &r.Safety.Children},
		{"alone_at_night", &r.Safety.AloneAtNight}, {"injury", &r.Safety.Injury}, {"need", capabilityBits{&r.Need}},
		{"lat", &r.Place.Point.Lat}, {"lng", &r.Place.Point.Lng}, {"given_lat", &r.Place.Lat}, {"given_lng", &r.Place.Lng},
		{"datum", &r.Place.Datum}, {"address", &r.Place.Address}, {"accuracy_m", &r.AccuracyM},
		{"road_class", &r.Road}, {"direction", &r.Direction}, {"note", &r.Note}, {"destination", &r.Destination},
		{"opened_at", &r.OpenedAt}, {"promise_minutes", &r.Promise.Minutes}, {"due_at", &r.Promise.DueAt},
		{"policy", &r.Promise.Policy}, {"policy_version", &r.Promise.PolicyVersion},
		{"promise_rule", &r.Promise.Rule}, {"promise_reason", &r.Promise.Reason},
		{"promise_weather", &r.Promise.Weather},
		{"arrival_code", &r.Code}, {"idem_key", nullText{&r.key.key}}, {"idem_hash", &r.key.hash}, {"opened_wall_at", &r.walls.opened},
	}
}

// moving are the columns of a request that its life changes.
func (r *Request) moving() []column {
	return []column{
		{"state", &r.State}, {"crew_id", &r.Crew}, {"round", &r.Round}, {"assigned_at", &r.AssignedAt},
		{"expected_at", &r.ExpectedAt}, {"departed_at", &r.DepartedAt}, {"arrived_at", &r.ArrivedAt},
		{"arrival_source", &r.ArrivalSource}, {"evidence", evidenceJSON{&r.Evidence}}, {"unproven_at", &r.UnprovenAt},
		{"released_at", &r.ReleasedAt}, {"warning", &r.Warning}, {"stranded_at", &r.StrandedAt}, {"stranded_why", &r.StrandedWhy}, {"closed_at", &r.ClosedAt},
		{"outcome", &r.Outcome}, {"reason", &r.Reason}, {"code_tries", &r.CodeTries},
		{"tracking_epoch", &r.TrackingEpoch}, {"changed_at", &r.ChangedAt}, {"offered_wall_at", &r.walls.offered},
		{"held", &r.Held}, {"swaps", &r.Swaps},
	}
}

func (r *Request) columns() []column {
	return append(append(r.pinned(), r.moving()...), column{"version", &r.Version})
}

var (
	requestColumns = names(new(Request).columns())
	requestInsert  = insertInto("dispatch.requests", new(Request).columns())
	requestUpdate  = updateVersion("dispatch.requests", new(Request).moving(), "")
)

func scanRequest(row pgx.CollectableRow) (r Request, err error) {
	if err = row.Scan(places(r.columns())...); err != nil {
		return r, err
	}
	r.inUTC()
	return r, nil
}

// inUTC turns the times of a row just read into UTC.
func (r *Request) inUTC() {
	utc(&r.OpenedAt, &r.Promise.DueAt, r.AssignedAt, r.ExpectedAt, r.DepartedAt, r.ArrivedAt, r.UnprovenAt,
		r.ReleasedAt, r.StrandedAt, r.ClosedAt, &r.ChangedAt, &r.walls.opened, r.walls.offered)
}

// insertRequest is false when the key or the plate is taken. It waits for a
// transaction that is about to take either, and leaves tx usable.
func insertRequest(ctx context.Context, tx pgx.Tx, r *Request) (bool, error) {
	tag, err := tx.Exec(ctx, requestInsert+" ON CONFLICT DO NOTHING", places(r.columns())...)
	return tag.RowsAffected() == 1, err
}

func (r *Request) save(ctx context.Context, tx pgx.Tx) (bool, error) {
	tag, err := tx.Exec(ctx, requestUpdate, append(places(r.moving()), r.ID, r.Version)...)
	return tag.RowsAffected() == 1, err
}

func selectRequest(ctx context.Context, db events.Querier, id events.RequestID) (Request, error) {
	return one(ctx, db, scanRequest, ErrNoRequest,
		`SELECT `+requestColumns+` FROM dispatch.requests WHERE id = $1`, id)
}

func lockRequest(ctx context.Context, tx pgx.Tx, id events.RequestID) (Request, error) {
	return one(ctx, tx, scanRequest, ErrNoRequest,
		`SELECT `+requestColumns+` FROM dispatch.requests WHERE id = $1 FOR NO KEY UPDATE`, id)
}

// lockUnarrived locks those of the requests at which nobody has arrived, by
// ascending identifier. One that somebody else is changing at this moment is
// left out: what he does to it decides whether it still waits.
func lockUnarrived(ctx context.Context, tx pgx.Tx, ids []events.RequestID) ([]Request, error) {
	return many(ctx, tx, scanRequest, `SELECT `+requestColumns+` FROM dispatch.requests
		WHERE id = ANY($1) AND state IN ('open', 'stranded', 'offered', 'assigned', 'en_route')
		ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`, ids)
}

// listWaiting is what waits in an area, most urgent first.
func listWaiting(ctx context.Context, tx pgx.Tx, area geo.AreaID, limit int) ([]Request, error) {
	return many(ctx, tx, scanRequest, `SELECT `+requestColumns+` FROM dispatch.requests
		WHERE area = $1 AND state IN ('open', 'stranded') ORDER BY priority, opened_at, id LIMIT $2`, area, limit)
}

// listWaitingAreas is where anything waits.
func listWaitingAreas(ctx context.Context, db events.Querier) ([]geo.AreaID, error) {
	return many(ctx, db, pgx.RowTo[geo.AreaID],
		`SELECT DISTINCT area FROM dispatch.requests WHERE state IN ('open', 'stranded')`)
}

// listAreasFor is where something waits, in a box of degrees, that a crew
// with these capabilities could take.
func listAreasFor(ctx context.Context, db events.Querier, at geo.Point, degrees float64, can geo.Capabilities) ([]geo.AreaID, error) {
	return many(ctx, db, pgx.RowTo[geo.AreaID], `SELECT DISTINCT area FROM dispatch.requests
		WHERE state IN ('open', 'stranded') AND need & ~$1::bigint = 0
			AND abs(lat - $2) <= $4 AND abs(lng - $3) * greatest(cos(radians($2)), 0.01) <= $4`,
		int64(can), at.Lat, at.Lng, degrees)
}

func selectByKey(ctx context.Context, db events.Querier, by events.Actor, key string) (Request, error) {
	return one(ctx, db, scanRequest, ErrNoRequest,
		`SELECT `+requestColumns+` FROM dispatch.requests WHERE opened_by = $1 AND idem_key = $2`, by.String(), key)
}

func selectOpenOfPlate(ctx context.Context, db events.Querier, plate string) (id events.RequestID, err error) {
	return one(ctx, db, pgx.RowTo[events.RequestID], ErrNoRequest,
		`SELECT id FROM dispatch.requests WHERE plate = $1 AND state NOT IN ('done', 'cancelled')`, plate)
}

// listRequests is what an actor may see of what the filter names.
func listRequests(ctx context.Context, db events.Querier, by events.Actor, f RequestFilter) ([]Request, error) {
	var owner events.OwnerID
	var partner events.PartnerID
	var crew events.CrewID
	var provider events.ProviderID
	var err error
	switch by.Role {
	case events.RoleOperator, events.RoleAdmin, events.RoleFinance, events.RoleSystem:
	case events.RoleOwner:
		owner, err = events.ParseID[events.OwnerID](by.Subject)
	case events.RolePartner:
		partner, err = events.ParseID[events.PartnerID](by.Subject)
	case events.RoleCrew:
		crew, err = events.ParseID[events.CrewID](by.Subject)
	case events.RoleProvider:
		provider, err = events.ParseID[events.ProviderID](by.Subject)
	default:
		err = ErrForbidden
	}
	if err != nil {
		return nil, err
	}
	return many(ctx, db, scanRequest, `SELECT `+requestColumns+` FROM dispatch.requests
		WHERE ($1::uuid IS NULL OR owner_id = $1) AND ($2::uuid IS NULL OR partner_id = $2)
			AND ($3::uuid IS NULL OR crew_id = $3)
			AND ($4::uuid IS NULL OR crew_id IN (SELECT c.id FROM dispatch.crews c WHERE c.provider_id = $4))
			AND (cardinality($5::text[]) = 0 OR state = ANY($5)) AND ($6 = '' OR area = $6)
			AND ($7::uuid IS NULL OR crew_id = $7) AND ($8 = '' OR plate = $8) AND ($9::uuid IS NULL OR id < $9)
		ORDER BY id DESC LIMIT $10`,
		owner, partner, crew, provider, texts(f.States), f.Area, f.Crew, normalPlate(f.Plate), f.Before, pageSize(f.Limit))
}

func insertRound(ctx context.Context, tx pgx.Tx, id events.RequestID, r Round) error {
	crews, err := json.Marshal(r.Crews)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO dispatch.considered (request_id, version, at, crews, counts) VALUES ($1, $2, $3, $4, $5)`,
		id, r.Version, r.At, crews, r.Counts)
	return err
}

func listRounds(ctx context.Context, db events.Querier, id events.RequestID) ([]Round, error) {
	return many(ctx, db, func(row pgx.CollectableRow) (r Round, err error) {
		err = row.Scan(&r.Version, &r.At, &r.Crews, &r.Counts)
		utc(&r.At)
		return r, err
	}, `SELECT version, at, crews, counts FROM dispatch.considered WHERE request_id = $1 ORDER BY version`, id)
}
