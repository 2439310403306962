package dispatch_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/geo"
	"rescued/internal/fault"
)

const norristown = "id,name,lat,lng,urban_radius_km,covered_radius_km\nUS-NOR,Norristown,40.1215,-75.3399,10,40\n"

func TestImportedAreasReachEveryReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.replica(w.pool)
	require.NoError(t, other.Refresh(w.ctx))
	there := func(in *dispatch.NewRequest) { in.Location.Lat, in.Location.Lng = ptr(40.13), ptr(-75.33) }
	in := w.call()
	there(&in)
	_, err := w.Open(w.ctx, desk, in)
	require.ErrorIs(t, err, dispatch.ErrOutside)

	_, err = w.ImportAreas(w.ctx, desk, dispatch.AreaFile{Name: "pa.csv", File: []byte(norristown)})
	require.ErrorIs(t, err, dispatch.ErrForbidden)
	set, err := w.ImportAreas(w.ctx, root, dispatch.AreaFile{Name: "pa.csv", Mode: dispatch.AreaAdd, File: []byte(norristown)})
	require.NoError(t, err)
	require.Equal(t, int64(1), set.Version)
	require.Equal(t, 1, set.Places)

	r := w.open(there)
	require.Equal(t, geo.AreaID("US-NOR"), r.Area)
	require.Equal(t, geo.AreaID("440300"), w.open().Area, "the default cover still counts")
	require.NoError(t, other.Refresh(w.ctx))
	require.Len(t, other.Areas().All(), 371)

	set, err = w.ImportAreas(w.ctx, root, dispatch.AreaFile{Name: "pa.csv", Mode: dispatch.AreaReplace, File: []byte(norristown)})
	require.NoError(t, err)
	require.NoError(t, other.Refresh(w.ctx))
	require.Len(t, other.Areas().All(), 1)
	_, err = other.Open(w.ctx, desk, w.call())
	require.ErrorIs(t, err, dispatch.ErrOutside)
	require.ErrorContains(t, err, "Norristown")

	current, err := w.CurrentAreas(w.ctx)
	require.NoError(t, err)
	require.Equal(t, []dispatch.AreaSet{set}, current)

	_, err = w.ImportAreas(w.ctx, root, dispatch.AreaFile{Name: "x.csv", File: []byte("id,name,lat,lng\n1,,95,0\n")})
	require.ErrorIs(t, err, dispatch.ErrAreaFile)
	var f *fault.Error
	require.True(t, errors.As(err, &f))
	require.NotEmpty(t, f.Fields)
	require.Len(t, w.Areas().All(), 1, "a bad file changes nothing")
}
