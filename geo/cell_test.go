package geo

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCellRefusesNonsense(t *testing.T) {
	t.Parallel()
	var coordinate *CoordinateError
	_, err := CellAt(Point{math.NaN(), 0}, 7)
	require.ErrorAs(t, err, &coordinate)
	_, err = CellAt(Point{0, 200}, 7)
	require.ErrorAs(t, err, &coordinate)

	var wrong *CellError
	for _, res := range []int{-1, 16, 1000} {
		_, err = CellAt(Point{30, 120}, res)
		require.ErrorAs(t, err, &wrong)
	}
	for _, s := range []string{"", "zz", "0", "8928308280fffff0000", "ffffffffffffffff"} {
		_, err = ParseCell(s)
		require.ErrorAs(t, err, &wrong, s)
	}
	none := Cell(0)
	require.False(t, none.Valid())
	require.Equal(t, -1, none.Resolution())
	_, err = none.Centre()
	require.ErrorAs(t, err, &wrong)
	_, err = none.Parent(0)
	require.ErrorAs(t, err, &wrong)
	_, err = none.Disk(1)
	require.ErrorAs(t, err, &wrong)

	c, err := CellAt(Point{30, 120}, 5)
	require.NoError(t, err)
	_, err = c.Parent(6)
	require.ErrorAs(t, err, &wrong)
	_, err = c.Disk(-1)
	require.ErrorAs(t, err, &wrong)
	_, err = c.Ring(101)
	require.ErrorAs(t, err, &wrong)
}

func TestCellsAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPoint(t, "p")
		res := rapid.IntRange(0, MaxResolution).Draw(t, "res")
		c, err := CellAt(p, res)
		require.NoError(t, err)
		require.Equal(t, res, c.Resolution())

		again, err := ParseCell(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)

		centre, err := c.Centre()
		require.NoError(t, err)
		own, err := CellAt(centre, res)
		require.NoError(t, err)
		require.Equal(t, c, own)

		up := rapid.IntRange(0, res).Draw(t, "up")
		parent, err := c.Parent(up)
		require.NoError(t, err)
		require.Equal(t, up, parent.Resolution())
	})
}

func TestDiskIsItsRings(t *testing.T) {
	t.Parallel()
	// The second lies on a pentagon, which has five neighbours.
	for _, p := range []Point{{31.2, 121.5}, {58.157705839572586, 10.445198734715341}} {
		c, err := CellAt(p, 3)
		require.NoError(t, err)
		disk, err := c.Disk(3)
		require.NoError(t, err)
		var rings []Cell
		for k := range 4 {
			ring, err := c.Ring(k)
			require.NoError(t, err)
			rings = append(rings, ring...)
		}
		require.ElementsMatch(t, disk, rings)
		require.True(t, slices.Contains(disk, c))
	}
}

func TestCellJSON(t *testing.T) {
	t.Parallel()
	c, err := CellAt(Point{31.2, 121.5}, 7)
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, `"`+c.String()+`"`, string(text))
	var back Cell
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, c, back)
	require.Error(t, json.Unmarshal([]byte(`"nonsense"`), &back))
}
