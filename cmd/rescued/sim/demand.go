package sim

import (
	"slices"
	"time"

	"rescued/geo"
)

// Call is one row of a demand file: somebody needed help there and then.
type Call struct {
	CalledAt time.Time // UTC, whole milliseconds, never before the file's time
	At       geo.Point // WGS-84
	Kind     string    // the file's word for what happened
}

// ReadDemand reads the CSV file at path, gzipped or not, with the columns
// call_time, lat, lng and kind in any order; others are ignored. Only calls of
// the given kind are kept, all of them when it is empty. They come back in time
// order, those of one moment in the order of the file: a call's place in the
// answer is its request's number. A row that is no call is a *Wrong.
func ReadDemand(path, kind string) ([]Call, error) {
	t, err := openTable(path, "call_time", "lat", "lng", "kind")
	if err != nil {
		return nil, err
	}
	defer t.close()
	var calls []Call
	kinds := map[string]string{} // one copy of each word, not one per row
	for {
		ok, err := t.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		word, known := kinds[t.field("kind")]
		if !known {
			word = string([]byte(t.field("kind")))
			kinds[word] = word
		}
		if kind != "" && word != kind {
			continue
		}
		at, err := t.moment("call_time")
		if err != nil {
			return nil, err
		}
		p, err := t.point()
		if err != nil {
			return nil, err
		}
		calls = append(calls, Call{CalledAt: at, At: p, Kind: word})
	}
	slices.SortStableFunc(calls, func(a, b Call) int { return a.CalledAt.Compare(b.CalledAt) })
	for i := range calls {
		calls[i].CalledAt = notBefore(calls[i].CalledAt)
	}
	return calls, nil
}

// notBefore is the first whole millisecond that is not before t.
func notBefore(t time.Time) time.Time {
	whole := t.Truncate(time.Millisecond)
	if whole.Before(t) {
		whole = whole.Add(time.Millisecond)
	}
	return whole
}

// Months cuts calls in time order into calendar months (UTC). Each part shares
// the memory of the whole.
func Months(calls []Call) [][]Call {
	var months [][]Call
	for from := 0; from < len(calls); {
		year, month, _ := calls[from].CalledAt.Date()
		to := from
		for to < len(calls) {
			y, m, _ := calls[to].CalledAt.Date()
			if y != year || m != month {
				break
			}
			to++
		}
		months = append(months, calls[from:to])
		from = to
	}
	return months
}
