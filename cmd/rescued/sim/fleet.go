package sim

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"rescued/geo"
)

// Member is a crew as the fleet file has it.
type Member struct {
	ID    string
	At    geo.Point // where it waits at first
	Can   geo.Capabilities
	Shift Shift
}

// ReadFleet reads the CSV file at path, gzipped or not, with the columns
// crew_id, lat, lng, capabilities, shift_start and shift_end in any order.
// Capabilities are separated by |; vocabulary learns the words. A row that is
// no crew is a *Wrong.
func ReadFleet(path string, words *Vocabulary) ([]Member, error) {
	t, err := openTable(path, "crew_id", "lat", "lng", "capabilities", "shift_start", "shift_end")
	if err != nil {
		return nil, err
	}
	defer t.close()
	var fleet []Member
	lines := map[string]int{}
	for {
		ok, err := t.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		m := Member{ID: strings.Clone(t.field("crew_id"))}
		if m.ID == "" {
			return nil, t.wrong("crew_id", "is empty; name the crew")
		}
		if first, twice := lines[m.ID]; twice {
			return nil, t.wrong("crew_id", "%q is already the crew of line %d; each crew stands once", m.ID, first)
		}
		lines[m.ID] = t.line
		if m.At, err = t.point(); err != nil {
			return nil, err
		}
		for word := range strings.SplitSeq(t.field("capabilities"), "|") {
			if word = strings.TrimSpace(word); word == "" {
				continue
			}
			bit, ok := words.Learn(word)
			if !ok {
				return nil, t.wrong("capabilities", "%q is one too many: at most %d different words are told apart", word, maxWords)
			}
			m.Can |= bit
		}
		if m.Shift, err = t.shift(); err != nil {
			return nil, err
		}
		fleet = append(fleet, m)
	}
	if len(fleet) == 0 {
		return nil, &Wrong{File: path, Detail: "has no crews; add a row for each"}
	}
	return fleet, nil
}

func (t *table) shift() (Shift, error) {
	start, end := t.field("shift_start"), t.field("shift_end")
	switch {
	case start == "" && end == "":
		return Always, nil
	case start == "":
		return Shift{}, t.wrong("shift_start", "is empty while shift_end is %s; give both, or neither for a crew always on duty", end)
	case end == "":
		return Shift{}, t.wrong("shift_end", "is empty while shift_start is %s; give both, or neither for a crew always on duty", start)
	}
	from, ok := timeOfDay(start)
	if !ok {
		return Shift{}, t.wrong("shift_start", "%q is not a time of day; write it as 07:30", start)
	}
	to, ok := timeOfDay(end)
	if !ok {
		return Shift{}, t.wrong("shift_end", "%q is not a time of day; write it as 19:30", end)
	}
	if from%day == to%day && to != day {
		return Shift{}, t.wrong("shift_end", "%s is the same as shift_start; leave both empty for a crew always on duty", end)
	}
	return NewShift(from, to), nil
}

// timeOfDay reads 7:30, 07:30 or 07:30:15, up to 24:00.
func timeOfDay(s string) (time.Duration, bool) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	var at time.Duration
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || len(part) > 2 || i > 0 && n > 59 {
			return 0, false
		}
		at += time.Duration(n) * []time.Duration{time.Hour, time.Minute, time.Second}[i]
	}
	return at, at <= day
}

// Placed makes a fleet of size n, always on duty and able to do everything
// that can is, each crew at the place of a call drawn with the seed. A smaller
// fleet of the same seed is the beginning of a larger one.
func Placed(calls []Call, n int, seed uint64, can geo.Capabilities) []Member {
	draw := rand.New(rand.NewPCG(seed, 0))
	fleet := make([]Member, n)
	for i := range fleet {
		fleet[i] = Member{
			ID: "c" + strconv.Itoa(i+1), At: calls[draw.IntN(len(calls))].At,
			Can: can, Shift: Always,
		}
	}
	return fleet
}
