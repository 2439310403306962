package events_test

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
)

var (
	noon   = time.Date(2026, 3, 1, 4, 0, 0, 123456000, time.UTC)
	quietL = testLog()
	by     = events.System("test")
)

func u(n byte) uuid.UUID {
	return uuid.UUID{0x01, 0x98, 0x5a, 0x3c, 0x7e, 0x00, 0x70, 0x00, 0x80, 0, 0, 0, 0, 0, 0, n}
}

func after(d time.Duration) time.Time   { return noon.Add(d) }
func pAfter(d time.Duration) *time.Time { at := noon.Add(d); return &at }
func ptr[T any](v T) *T                 { return &v }

// samples has every registered event once, with every field filled.
func samples() []events.Event {
	req := events.IDFromUUID[events.RequestID](u(1))
	crew := events.IDFromUUID[events.CrewID](u(2))
	offer := events.IDFromUUID[events.OfferID](u(3))
	gua := events.IDFromUUID[events.GuaranteeID](u(4))
	cmp := events.IDFromUUID[events.CompensationID](u(5))
	imp := events.IDFromUUID[events.ImportID](u(9))
	batch := events.IDFromUUID[events.BatchID](u(10))
	digest := strings.Repeat("9f", 32)
	stm := events.IDFromUUID[events.StatementID](u(10))
	const area = "shanghai-pudong"
	promise := events.Promise{Minutes: 45, DueAt: after(45 * time.Minute), Policy: "example-45", PolicyVersion: 1,
		Rule: "urban", Reason: "Urban area: 45 minutes.", Weather: "yellow"}
	reasons := []events.Reason{{At: pAfter(50 * time.Minute), Code: "late", ZH: "晚到5分钟", EN: "5 minutes late", Fen: 2000}}
	return []events.Event{
		events.RequestOpened{RequestID: req, Area: area, Tier: "urban", OpenedAt: noon, Priority: 1, Problem: "tow_flatbed",
			Capabilities: []string{"tow_flatbed"}, Location: events.LatLng{Lat: 31.2304, Lng: 121.4737}, RoadClass: "urban",
			Promise: promise, PartnerID: ptr(events.IDFromUUID[events.PartnerID](u(6))), PartnerRef: "A-17", Product: "plan-gold", VehicleKey: "5f1d7a84db00d2fce00b31a7fc73224f", IntakeID: "A-17-1", Source: "//maker.example/app"},
		events.RequestRefused{IntakeID: "A-18", Source: "//maker.example/app", Code: "duplicate", Detail: "The vehicle has an open request.",
			Fields: []events.RefusedField{{Field: "plate", Code: "duplicate", Detail: "This plate has an open request."}}, RequestID: &req, RefusedAt: noon},
		events.OfferMade{OfferID: offer, RequestID: req, Area: area, CrewID: crew, MadeAt: noon, ExpiresAt: after(45 * time.Second),
			TravelS: 720, ExpectedAt: after(12 * time.Minute), Metres: 4210, Reason: "Soonest of 3."},
		events.OfferLapsed{OfferID: offer, RequestID: req, Area: area, CrewID: crew, Outcome: "declined", Reason: "no_fuel", LapsedAt: after(20 * time.Second)},
		events.RequestAssigned{RequestID: req, Area: area, OfferID: offer, CrewID: crew, ProviderID: events.IDFromUUID[events.ProviderID](u(7)), AssignedAt: after(30 * time.Second), ExpectedAt: after(12 * time.Minute)},
		events.RequestStranded{RequestID: req, Area: area, StrandedAt: after(time.Minute), WhyNot: map[string]int{"busy": 4, "incapable": 2}},
		events.RequestHeld{RequestID: req, Area: area, HeldAt: after(time.Minute), Why: "planned", CrewID: &crew, ExpectedAt: pAfter(40 * time.Minute)},
		events.CrewDeparted{RequestID: req, Area: area, CrewID: crew, DepartedAt: after(2 * time.Minute)},
		events.ArrivalUnproven{RequestID: req, Area: area, CrewID: crew, ClaimedAt: after(13 * time.Minute), Why: "The last fix is 2 km away."},
		events.CrewArrived{RequestID: req, Area: area, CrewID: crew, ArrivedAt: after(50 * time.Minute), Source: "gps",
			Evidence: events.ArrivalEvidence{GPSAt: pAfter(50 * time.Minute), OwnerAt: pAfter(51 * time.Minute), ClaimedAt: pAfter(52 * time.Minute),
				OperatorAt: pAfter(53 * time.Minute), FixMetres: ptr(40), FixAgeS: ptr(12), Note: "dwell of 30 s"}},
		events.RequestReleased{RequestID: req, Area: area, CrewID: crew, ReleasedAt: after(5 * time.Minute), Reason: "breakdown", FromState: "en_route", Cause: "crew"},
		events.RequestCancelled{RequestID: req, Area: area, CancelledAt: after(6 * time.Minute), Reason: "solved", FromState: "assigned", CrewID: &crew},
		events.RequestFinished{RequestID: req, Area: area, CrewID: crew, FinishedAt: after(80 * time.Minute), Outcome: "towed"},
		events.RequestWarned{RequestID: req, Area: area, CrewID: &crew, ExpectedAt: pAfter(52 * time.Minute), DueAt: promise.DueAt, WarnedAt: after(20 * time.Minute),
			Reasons: []events.Reason{{Code: "expected_late", ZH: "预计晚到约 7 分钟", EN: "Expected about 7 min late"}},
			Remedy: &events.Remedy{CrewID: events.IDFromUUID[events.CrewID](u(8)), ReadyAt: after(24 * time.Minute), ExpectedAt: after(38 * time.Minute),
				Saves: true, Metres: 6120, ZH: "另派一队可准时到达", EN: "Another crew would be in time"}},
		events.ArrivalForecast{RequestID: req, Area: area, CrewID: crew, ExpectedAt: after(40 * time.Minute), DueAt: promise.DueAt, ForecastAt: after(22 * time.Minute)},
		events.CrewPositioned{CrewID: crew, FixedAt: noon, Location: events.LatLng{Lat: 31.2, Lng: 121.5}, AccuracyM: 8.5, HeardAt: after(time.Second)},
		events.CrewChanged{CrewID: crew, ProviderID: events.IDFromUUID[events.ProviderID](u(7)), State: "available",
			Capabilities: []string{"battery_jump", "tyre"}, ChangedAt: noon, Version: 3},
		events.GuaranteeArmed{GuaranteeID: gua, RequestID: req, Area: area, ArmedAt: noon, Promise: promise},
		events.GuaranteeAtRisk{GuaranteeID: gua, RequestID: req, Area: area, DueAt: promise.DueAt, NoticedAt: after(30 * time.Minute), Reason: "expected_late",
			RemedyZH: "另派一队可准时到达", RemedyEN: "Another crew would be in time"},
		events.GuaranteeBreached{GuaranteeID: gua, RequestID: req, Area: area, DueAt: promise.DueAt, NoticedAt: after(46 * time.Minute)},
		events.GuaranteeSettled{GuaranteeID: gua, RequestID: req, Area: area, Outcome: "late", DueAt: promise.DueAt,
			StoppedAt: pAfter(50 * time.Minute), LateS: 300, OwedFen: 2000, Reasons: reasons},
		events.CompensationAccrued{CompensationID: cmp, GuaranteeID: gua, RequestID: req, Area: area, Fen: 2000, Policy: "example-45",
			PolicyVersion: 1, AccruedAt: after(50 * time.Minute), Reasons: reasons},
		events.CompensationChanged{CompensationID: cmp, RequestID: req, Area: area, State: "approved", Fen: 2000, ChangedAt: after(2 * time.Hour), Reason: "policy"},
		events.BatchChanged{BatchID: batch, Event: "record", State: "submitted", Title: "2026-02", Lines: 3, TotalFen: 9000, Digest: digest,
			PaidLines: 2, PaidFen: 7000, BouncedLines: 1, BouncedFen: 2000, ChangedAt: after(30 * time.Hour), Reason: "results-1.csv"},
		events.PayoutChanged{BatchID: batch, State: "failed", Via: "webhook", Key: "payout-01985a3c-7e00-7000-8000-00000000000a", Attempts: 8,
			Lines: 3, TotalFen: 9000, Digest: digest, Receipt: "order 4711", Failure: "503 Service Unavailable", ChangedAt: after(29 * time.Hour)},
		events.StatementReconciled{ReconciliationID: events.IDFromUUID[events.ReconciliationID](u(11)), Source: "bank", Name: "2026-03-01.csv", Day: "2026-03-01",
			Lines: 2, TotalFen: 7000, Digest: digest, ImportedAt: after(48 * time.Hour)},
		events.DayChanged{Day: "2026-03-01", State: "signed", OursFen: 7000, TheirsFen: 8000, Matched: 1, OursOnly: 1, TheirsOnly: 2, AmountsDiffer: 1,
			ChangedAt: after(49 * time.Hour), Reason: "the bank tells the fee apart"},
		events.PolicyChanged{Policy: "example-45", PolicyVersion: 2, State: "activated", Digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			EffectiveFrom: pAfter(time.Hour), EffectiveTo: pAfter(48 * time.Hour), ChangedAt: noon, Reason: "the spring programme"},
		events.HistoryImported{ImportID: imp, RequestID: req, Source: "old-desk", Reference: "R-2015-0017", Area: area, Tier: "urban", OpenedAt: noon,
			Priority: 2, Problem: "tyre", Kind: "flat tyre", VehicleKey: "9f86d081884c7d659a2feaa0c55ad015", Provider: "Lin's garage", RoadClass: "urban", Product: "plan-gold", Location: &events.LatLng{Lat: 31.2304, Lng: 121.4737}, Promise: promise,
			PartnerID: ptr(events.IDFromUUID[events.PartnerID](u(6))), ProviderID: ptr(events.IDFromUUID[events.ProviderID](u(7))), Payable: true,
			Facts: []events.PastFact{{Kind: "assigned", At: after(time.Minute), Until: pAfter(40 * time.Minute), CrewID: &crew, Source: "desk", Fen: 30000}}, ImportedAt: after(time.Hour)},
		events.ImportChanged{ImportID: imp, Source: "old-desk", State: "prepared", Digest: "9f86d081884c7d65", Payable: true, Rescues: 3, Late: 1,
			OwedFen: 2000, ChangedAt: after(time.Hour), Reason: "February 2016"},
		events.FactRecorded{RequestID: req, Area: area, RecordID: events.IDFromUUID[events.RecordID](u(10)), Kind: "paused", At: after(20 * time.Minute),
			Until: pAfter(26 * time.Minute), Source: "owner_unreachable", RefersTo: "fct_01985a3c-7e00-7000-8000-00000000000b", Role: "operator",
			RecordedAt: after(27 * time.Minute), Level: "red", Metres: 900, Fen: 30000},
		events.DeadlineMoved{GuaranteeID: gua, RequestID: req, Area: area, DueAt: after(51 * time.Minute), WasDueAt: promise.DueAt, MovedAt: after(27 * time.Minute), Reasons: reasons},
		events.ConditionDeclared{ConditionID: events.IDFromUUID[events.ConditionID](u(12)), Revision: 2, Condition: "weather_alert", Level: "red",
			Areas: []string{area}, From: noon, Until: pAfter(6 * time.Hour), Evidence: []string{"official_notice"}, DeclaredAt: after(time.Minute)},
		events.ExportMade{ExportID: events.IDFromUUID[events.ExportID](u(9)), What: "compensations", Format: "csv", Filter: `{"state":"paid"}`, Lines: 2, TotalFen: 4000,
			Digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", LedgerSeq: 12, LedgerHash: "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
			Failed: "the client left", MadeAt: after(3 * time.Hour)},
		events.ChargebackChanged{CompensationID: cmp, RequestID: req, Area: area, Bearer: "provider", BearerID: events.IDFromUUID[events.ProviderID](u(7)).String(),
			State: "reversed", Fen: 800, FaultPct: 75, ChangedAt: after(4 * time.Hour), Reason: "the road was closed"},
		events.StatementChanged{StatementID: stm, Bearer: "provider", BearerID: events.IDFromUUID[events.ProviderID](u(7)).String(), ProviderID: events.IDFromUUID[events.ProviderID](u(7)), Month: "2026-02", State: "discarded",
			Services: 31, FeesFen: 372000, ChargesFen: 9600, CompensationFen: 16000, ChangedAt: after(5 * time.Hour), Reason: "drawn up too early"},
		events.StatementLineChanged{StatementID: stm, Bearer: "provider", BearerID: events.IDFromUUID[events.ProviderID](u(7)).String(), ProviderID: events.IDFromUUID[events.ProviderID](u(7)), Line: 4, RequestID: req, CompensationID: cmp,
			State: "disputed", Fen: 800, ChangedAt: after(6 * time.Hour), Reason: "the road was closed"},
	}
}

// sample is the sample of one type.
func sample(of events.Event) events.Event {
	for _, ev := range samples() {
		if ev.EventType() == of.EventType() {
			return ev
		}
	}
	panic("no sample of " + of.EventType())
}

func TestSamplesFillEveryField(t *testing.T) {
	t.Parallel()
	require.Len(t, samples(), len(events.Registered()))
	for i, ev := range samples() {
		require.Equal(t, events.Registered()[i].EventType(), ev.EventType())
		requireFilled(t, ev.EventType(), reflect.ValueOf(ev))
	}
}

func requireFilled(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	require.False(t, v.IsZero(), "%s is empty in the sample", path)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			requireFilled(t, path+"."+f.Name, v.Field(i))
		}
	}
}

// departed is a small event of the requests topic, told apart by its crew.
func departed(area string, crew events.CrewID) events.CrewDeparted {
	return events.CrewDeparted{RequestID: events.NewID[events.RequestID](), Area: area, CrewID: crew, DepartedAt: noon}
}

// appendAll appends in one transaction.
func appendAll(t testing.TB, pool *pgxpool.Pool, evs ...events.Event) {
	t.Helper()
	require.NoError(t, pg.InTx(context.Background(), pool, func(tx pgx.Tx) error {
		return events.Append(context.Background(), tx, by, noon, 1, evs...)
	}))
}

// start runs a loop until the test ends or stop is called.
func start(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(time.Minute):
			t.Error("a loop does not end with its context")
		}
	}
	t.Cleanup(stop)
	return stop
}

func count(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, pool.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

// testLog is silent unless RESCUED_TEST_LOG is set.
func testLog() *slog.Logger {
	if os.Getenv("RESCUED_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.Default()
}
