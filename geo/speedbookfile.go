package geo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// speedBookVersion numbers the file form. Another form is another number.
const speedBookVersion = 2

// The file form holds the narrowest groups alone: the wider ones are their sums.
type speedBookFile struct {
	Version int              `json:"version"`
	Base    StraightLine     `json:"base"`
	Groups  []speedGroupFile `json:"groups"`
	Errors  []speedErrorFile `json:"errors"`
}

type speedGroupFile struct {
	Cell  Cell      `json:"cell"`
	Hour  int8      `json:"hour"`
	Class RoadClass `json:"class"`
	Jobs  int64     `json:"jobs"`
	Bins  binsFile  `json:"bins"` // of actual over expected time: bin, expected milliseconds
}

type speedErrorFile struct {
	Class  RoadClass `json:"class"`
	Before tallyFile `json:"before"`
	After  tallyFile `json:"after"`
}

type tallyFile struct {
	Jobs   int64    `json:"jobs"`
	AbsMs  int64    `json:"abs_ms"`
	BiasMs int64    `json:"bias_ms"`
	Within int64    `json:"within_10min"` // drives
	Bins   binsFile `json:"bins"`         // of the size of the error: bin, drives
}

// binsFile is a histogram as pairs in order of their bin.
type binsFile [][2]int64

func binsOf(m map[int16]int64) binsFile {
	pairs := make(binsFile, 0, len(m))
	for _, bin := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]int64{int64(bin), m[bin]})
	}
	return pairs
}

func (f binsFile) read() (map[int16]int64, error) {
	m := make(map[int16]int64, len(f))
	for _, pair := range f {
		bin := int16(pair[0])
		if _, twice := m[bin]; twice || int64(bin) != pair[0] {
			return nil, fmt.Errorf("bins: %d comes twice or is too large", pair[0])
		}
		m[bin] = pair[1]
	}
	return m, nil
}

// MarshalJSON writes the book. Equal books write equal bytes.
func (b *SpeedBook) MarshalJSON() ([]byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	file := speedBookFile{
		Version: speedBookVersion, Base: b.base, Groups: []speedGroupFile{}, Errors: []speedErrorFile{},
	}
	for key, s := range b.sketches {
		if key.cell != 0 {
			file.Groups = append(file.Groups, speedGroupFile{
				Cell: key.cell, Hour: key.hour, Class: key.class, Jobs: s.jobs, Bins: binsOf(s.weight),
			})
		}
	}
	slices.SortFunc(file.Groups, func(a, b speedGroupFile) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Class, b.Class))
	})
	for _, class := range slices.Sorted(maps.Keys(b.errors)) {
		pair := b.errors[class]
		file.Errors = append(file.Errors, speedErrorFile{
			Class: class, Before: tallyForm(pair.before), After: tallyForm(pair.after),
		})
	}
	return json.Marshal(file)
}

func tallyForm(t errorTally) tallyFile {
	return tallyFile{Jobs: t.jobs, AbsMs: t.absMs, BiasMs: t.biasMs, Within: t.within, Bins: binsOf(t.abs)}
}

func (f tallyFile) read() (errorTally, error) {
	bins, err := f.Bins.read()
	t := errorTally{jobs: f.Jobs, absMs: f.AbsMs, biasMs: f.BiasMs, within: f.Within, abs: bins}
	return t, errors.Join(err, t.check())
}

// ReadSpeedBook reads what MarshalJSON wrote. It refuses unknown fields, other
// versions, and numbers that no drives can have left.
func ReadSpeedBook(r io.Reader) (*SpeedBook, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("speed book: %w", err)
	}
	book, err := parseSpeedBook(text)
	if err != nil {
		return nil, fmt.Errorf("speed book: %w", err)
	}
	return book, nil
}

func parseSpeedBook(text []byte) (*SpeedBook, error) {
	var file speedBookFile
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, err
	}
	if file.Version != speedBookVersion {
		return nil, fmt.Errorf("version: %d is not %d; learn anew from the drives", file.Version, speedBookVersion)
	}
	book, err := NewSpeedBook(file.Base)
	if err != nil {
		return nil, err
	}
	for i, g := range file.Groups {
		if err := book.takeGroup(g); err != nil {
			return nil, fmt.Errorf("groups[%d]: %w", i, err)
		}
	}
	for i, e := range file.Errors {
		if _, err := ParseRoadClass(string(e.Class)); err != nil {
			return nil, fmt.Errorf("errors[%d]: %w", i, err)
		}
		if book.errors[e.Class] != nil {
			return nil, fmt.Errorf("errors[%d]: %s comes twice", i, e.Class)
		}
		before, err1 := e.Before.read()
		after, err2 := e.After.read()
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("errors[%d]: %w", i, err)
		}
		book.errors[e.Class] = &errorPair{before: before, after: after}
	}
	return book, nil
}

// takeGroup checks one group and counts it into the wider ones.
func (b *SpeedBook) takeGroup(g speedGroupFile) error {
	if _, err := ParseRoadClass(string(g.Class)); err != nil {
		return err
	}
	if g.Cell.Resolution() != SpeedResolution {
		return fmt.Errorf("cell: %s is not of resolution %d", g.Cell, SpeedResolution)
	}
	if g.Hour < 0 || g.Hour > 23 {
		return fmt.Errorf("hour: %d is outside 0..23", g.Hour)
	}
	weight, err := g.Bins.read()
	if err != nil {
		return err
	}
	s := &ratioSketch{jobs: g.Jobs, weight: weight}
	if err := s.check(); err != nil {
		return err
	}
	keys := levels(g.Cell, g.Class, int(g.Hour))
	if b.sketches[keys[0]] != nil {
		return fmt.Errorf("cell: %s at %d on %s comes twice", g.Cell, g.Hour, g.Class)
	}
	for _, key := range keys {
		b.sketch(key).merge(s)
	}
	return nil
}
