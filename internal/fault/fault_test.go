package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/internal/fault"
)

var errGone = fault.New(fault.Conflict, "offer_gone", "The offer is no longer open.")

func TestCopiesAreStillTheDeclaredError(t *testing.T) {
	t.Parallel()
	cause := errors.New("row locked")
	err := fmt.Errorf("accept: %w", errGone.With("request_id", "req_1").Detailf("Taken by %s.", "B").Because(cause))
	require.ErrorIs(t, err, errGone)
	require.ErrorIs(t, err, cause)
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	require.Empty(t, errGone.Facts, "the declaration itself never changes")
	require.NotErrorIs(t, err, fault.New(fault.Conflict, "other", ""))
}

func TestInvalidFieldsNamesEveryField(t *testing.T) {
	t.Parallel()
	require.NoError(t, fault.InvalidFields(nil))
	err := fault.InvalidFields([]fault.Field{
		{Field: "location.lat", Code: "range", Detail: "must be between -90 and 90"},
		{Field: "vehicle.plate", Code: "required", Detail: "is missing"},
	})
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.ErrorContains(t, err, "location.lat")
	require.ErrorContains(t, err, "vehicle.plate")
}

func TestWrapKeepsNilAndKind(t *testing.T) {
	t.Parallel()
	do := func(fail bool) (err error) {
		defer fault.Wrap(&err, "do(%v)", fail)
		if fail {
			return errGone
		}
		return nil
	}
	require.NoError(t, do(false))
	require.ErrorIs(t, do(true), errGone)
	require.ErrorContains(t, do(true), "do(true): ")
	require.Equal(t, fault.Internal, fault.KindOf(errors.New("x")))
}
