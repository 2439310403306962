package geo

import (
	"fmt"

	"github.com/uber/h3-go/v4"
)

// MaxResolution is the finest H3 resolution. An average cell edge is 1.4 km at
// resolution 7 and shrinks by a factor of about 2.65 with each step.
const MaxResolution = 15

// Cell is an H3 cell: one of the hexagons, and 12 pentagons, that tile the
// Earth at each of 16 resolutions (https://h3geo.org). The zero Cell is none.
type Cell uint64

// CellError says why a cell or a resolution was refused.
type CellError struct{ Detail string }

func (e *CellError) Error() string { return "cell: " + e.Detail }

// CellAt returns the cell of a resolution, 0 to 15, that a point lies in. A bad
// point is a *CoordinateError, a bad resolution a *CellError: both are found
// before H3 sees them, because it answers nonsense for nonsense.
func CellAt(p Point, res int) (Cell, error) {
	if _, err := NewPoint(p.Lat, p.Lng); err != nil {
		return 0, err
	}
	if err := checkResolution(res); err != nil {
		return 0, err
	}
	c, err := h3.LatLngToCell(h3.LatLng{Lat: p.Lat, Lng: p.Lng}, res)
	if err != nil {
		return 0, &CellError{fmt.Sprintf("none at %s, resolution %d: %v", p, res, err)}
	}
	return Cell(c), nil
}

// ParseCell reads the hexadecimal form that String writes.
func ParseCell(s string) (Cell, error) {
	var c h3.Cell
	if err := c.UnmarshalText([]byte(s)); err != nil || !c.IsValid() {
		return 0, &CellError{fmt.Sprintf("%q is not an H3 cell in hexadecimal", s)}
	}
	return Cell(c), nil
}

// Valid reports whether this is a cell of the grid.
func (c Cell) Valid() bool { return h3.Cell(c).IsValid() }

// String writes the cell in H3's hexadecimal form.
func (c Cell) String() string { return h3.Cell(c).String() }

// MarshalText writes the cell as String does.
func (c Cell) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Cell) UnmarshalText(text []byte) error {
	parsed, err := ParseCell(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// Resolution returns the cell's resolution, 0 to 15, or -1 for no cell.
func (c Cell) Resolution() int {
	if !c.Valid() {
		return -1
	}
	return h3.Cell(c).Resolution()
}

// Centre returns the middle of the cell.
func (c Cell) Centre() (Point, error) {
	if err := c.check(); err != nil {
		return Point{}, err
	}
	ll, err := h3.Cell(c).LatLng()
	if err != nil {
		return Point{}, c.failed("centre", err)
	}
	return Point{Lat: ll.Lat, Lng: wrapLng(ll.Lng)}, nil
}

// Parent returns the coarser cell of a resolution that this cell belongs to.
// H3 cells do not nest exactly: a parent's outline may cut its children.
func (c Cell) Parent(res int) (Cell, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	if own := h3.Cell(c).Resolution(); res < 0 || res > own {
		return 0, &CellError{fmt.Sprintf("a parent of resolution %d needs 0..%d", res, own)}
	}
	parent, err := h3.Cell(c).Parent(res)
	if err != nil {
		return 0, c.failed("parent", err)
	}
	return Cell(parent), nil
}

// Disk returns every cell within k steps of this one, itself included, in no
// particular order.
func (c Cell) Disk(k int) ([]Cell, error) {
	if err := c.checkSteps(k); err != nil {
		return nil, err
	}
	cells, err := h3.Cell(c).GridDisk(k)
	if err != nil {
		return nil, c.failed("disk", err)
	}
	return ours(cells), nil
}

// Ring returns every cell exactly k steps from this one, in no particular order.
func (c Cell) Ring(k int) ([]Cell, error) {
	if err := c.checkSteps(k); err != nil {
		return nil, err
	}
	// GridDiskDistances works beside the 12 pentagons, where a bare ring walk fails.
	rings, err := h3.Cell(c).GridDiskDistances(k)
	if err != nil {
		return nil, c.failed("ring", err)
	}
	return ours(rings[k]), nil
}

// maxSteps bounds a disk to about 30,000 cells, so that a wrong number cannot
// ask for the memory of the whole machine.
const maxSteps = 100

func (c Cell) checkSteps(k int) error {
	if k < 0 || k > maxSteps {
		return &CellError{fmt.Sprintf("%d steps is outside 0..%d", k, maxSteps)}
	}
	return c.check()
}

func (c Cell) check() error {
	if !c.Valid() {
		return &CellError{fmt.Sprintf("%#x is not an H3 cell", uint64(c))}
	}
	return nil
}

func (c Cell) failed(what string, err error) error {
	return &CellError{fmt.Sprintf("no %s for %s: %v", what, c, err)}
}

func checkResolution(res int) error {
	if res < 0 || res > MaxResolution {
		return &CellError{fmt.Sprintf("resolution %d is outside 0..%d", res, MaxResolution)}
	}
	return nil
}

func ours(cells []h3.Cell) []Cell {
	out := make([]Cell, len(cells))
	for i, c := range cells {
		out[i] = Cell(c)
	}
	return out
}
