package dispatch_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/internal/fault"
)

func wrongFields(t *testing.T, err error) []string {
	t.Helper()
	var f *fault.Error
	require.True(t, errors.As(err, &f), "%v", err)
	require.Equal(t, fault.Invalid, f.Kind)
	var names []string
	for _, field := range f.Fields {
		require.NotEmpty(t, field.Detail)
		names = append(names, field.Field+" "+field.Code)
	}
	return names
}

func TestEveryWrongFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := dispatch.NewRequest{}.Check()
	require.ElementsMatch(t, []string{
		"contact.name required", "contact.phone required", "vehicle.plate required", "vehicle.energy required",
		"problem required", "location.lat required", "location.lng required", "location.datum required",
	}, wrongFields(t, err))

	for want, edit := range map[string]func(*dispatch.NewRequest){
		"location.lat range":          func(in *dispatch.NewRequest) { in.Location.Lat = ptr(91.0) },
		"location.lng range":          func(in *dispatch.NewRequest) { in.Location.Lng = ptr(math.Inf(-1)) },
		"location.datum unknown":      func(in *dispatch.NewRequest) { in.Location.Datum = "cgcs2000" },
		"location.accuracy_m range":   func(in *dispatch.NewRequest) { in.Location.AccuracyM = math.NaN() },
		"location.road_class unknown": func(in *dispatch.NewRequest) { in.Location.RoadClass = "canal" },
		"vehicle.vin format":          func(in *dispatch.NewRequest) { in.Vehicle.VIN = "IOQ" },
		"vehicle.plate format":        func(in *dispatch.NewRequest) { in.Vehicle.Plate = "粤B'; DROP" },
		"vehicle.weight_class unknown": func(in *dispatch.NewRequest) {
			in.Vehicle.WeightClass = "feather"
		},
		"contact.phone format":   func(in *dispatch.NewRequest) { in.Contact.Phone = "call me" },
		"contact.name format":    func(in *dispatch.NewRequest) { in.Contact.Name = "a\x00b" },
		"location.note too_long": func(in *dispatch.NewRequest) { in.Location.Note = strings.Repeat("长", 1001) },
		"destination.lat required": func(in *dispatch.NewRequest) {
			in.Destination = &dispatch.NewDestination{Lng: ptr(1.0), Datum: geo.WGS84}
		},
		"product format":         func(in *dispatch.NewRequest) { in.Product = "gold plan" },
		"idempotency_key format": func(in *dispatch.NewRequest) { in.Key = strings.Repeat("k", 256) },
	} {
		in := carCall(1)
		edit(&in)
		_, err := in.Check()
		require.Equal(t, []string{want}, wrongFields(t, err))
	}
}

// However a plate, a telephone number or a VIN is typed, it is the same.
func TestOneCarHasOnePlate(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"粤B12345", "粤b12345", " 粤B·12345 ", "粤B-12345", "粤Ｂ１２３４５", "粤ｂ．１２３４５", "粤B\u300012345"} {
		in := carCall(1)
		in.Vehicle.Plate, in.Contact.Phone, in.Vehicle.VIN = typed, "＋86 １３８ 0013 8000", "lsvaa4182e２184847"
		r, err := in.Check()
		require.NoError(t, err, typed)
		require.Equal(t, "粤B12345", r.Vehicle.Plate, typed)
		require.Equal(t, "+86 138 0013 8000", r.Contact.Phone)
		require.Equal(t, "LSVAA4182E2184847", r.Vehicle.VIN)
	}
}

func TestNeedAndPriority(t *testing.T) {
	t.Parallel()
	for _, p := range dispatch.Problems() {
		for _, e := range dispatch.Energies() {
			need := dispatch.Need(p, e, dispatch.WeightLight)
			require.Equal(t, need|dispatch.CanHeavy, dispatch.Need(p, e, dispatch.WeightHeavy))
			require.False(t, e != dispatch.EnergyICE && need.Has(dispatch.CanWheelLift), "a battery car is not towed on its wheels")
		}
	}
	require.Equal(t, dispatch.CanWheelLift, dispatch.Need(dispatch.ProblemTowWheelLift, dispatch.EnergyICE, dispatch.WeightLight))
	require.Equal(t, dispatch.CanFlatbed, dispatch.Need(dispatch.ProblemTowWheelLift, dispatch.EnergyBEV, dispatch.WeightLight))
	for _, name := range dispatch.AllCapabilities() {
		set, _, ok := dispatch.ParseCapabilities([]string{name})
		require.True(t, ok)
		require.Equal(t, []string{name}, dispatch.CapabilityNames(set))
	}
	for _, c := range []struct {
		s    dispatch.Safety
		road geo.RoadClass
		want dispatch.Priority
	}{
		{dispatch.Safety{}, geo.UrbanRoad, dispatch.PriorityNormal},
		{dispatch.Safety{}, geo.Motorway, dispatch.PriorityExposed},
		{dispatch.Safety{Children: true}, geo.RuralRoad, dispatch.PriorityExposed},
		{dispatch.Safety{AloneAtNight: true}, geo.UrbanRoad, dispatch.PriorityExposed},
		{dispatch.Safety{Injury: true}, geo.UrbanRoad, dispatch.PriorityDanger},
		{dispatch.Safety{LiveLane: true, Children: true}, geo.Motorway, dispatch.PriorityDanger},
	} {
		require.Equal(t, c.want, dispatch.PriorityOf(c.s, c.road))
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := events.Actor{Role: events.RoleOwner, Subject: events.NewID[events.OwnerID]().String()}
	in := w.call()
	in.Key = "k1"
	r, err := w.Open(w.ctx, owner, in)
	require.NoError(t, err)

	again, err := w.Open(w.ctx, owner, in)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	again.Replayed = false
	require.Equal(t, w.reload(r), again)

	changed := in
	changed.Contact.Name = "李雷"
	_, err = w.Open(w.ctx, owner, changed)
	require.ErrorIs(t, err, dispatch.ErrKeyReused)
	require.Equal(t, fault.Unprocessable, fault.KindOf(err))

	changed.Key, changed.Vehicle.Plate = "", " 粤b 00001 "
	_, err = w.Open(w.ctx, desk, changed)
	require.ErrorIs(t, err, dispatch.ErrPlateOpen)
	var f *fault.Error
	require.True(t, errors.As(err, &f))
	require.Equal(t, r.ID, f.Facts["request_id"])

	sea := w.call()
	sea.Location.Lat, sea.Location.Lng = ptr(20.0), ptr(130.0)
	_, err = w.Open(w.ctx, owner, sea)
	require.ErrorIs(t, err, dispatch.ErrOutside)
	require.ErrorContains(t, err, "nearest covered place is")

	_, err = w.Open(w.ctx, events.Actor{Role: events.RoleFinance, Subject: "he"}, w.call())
	require.ErrorIs(t, err, dispatch.ErrForbidden)
	_, err = w.Open(w.ctx, events.Actor{Role: events.RolePartner, Subject: events.NewID[events.PartnerID]().String()}, w.call())
	require.ErrorIs(t, err, dispatch.ErrNoPartner)

	st, err := w.Stats(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, st.Requests, "nothing refused has left a trace")

	_, err = w.Cancel(w.ctx, owner, r.ID, "done with it", 0)
	require.NoError(t, err)
	changed.Key = ""
	_, err = w.Open(w.ctx, desk, changed)
	require.NoError(t, err, "the plate is free again")
}

func TestGivenCoordinatesAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lat, lng, err := geo.FromWGS84(geo.BD09, futian)
	require.NoError(t, err)
	r := w.open(func(in *dispatch.NewRequest) {
		in.Location.Lat, in.Location.Lng, in.Location.Datum = &lat, &lng, geo.BD09
	})
	require.Less(t, geo.Distance(futian, r.Place.Point), 1.0)
	require.Equal(t, []any{lat, lng, geo.BD09}, []any{r.Place.Lat, r.Place.Lng, r.Place.Datum})
	require.Equal(t, 45*time.Minute, r.Promise.DueAt.Sub(r.OpenedAt))
}
