package traffic

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rescued/geo"
)

// Feed streams a demand file at its true places into a running system, with a
// fleet that answers, and accounts for every row.
type Feed struct {
	API     *API // an administrator's token: it registers the crews
	Partner *API // a partner's token: it opens the requests
	File    string
	Select  Selection
	Crews   int
	Seed    uint64
	Cover   bool          // cover the file's places when they are not covered yet
	Settle  time.Duration // business time to wait for outcomes after the last call
	Log     *slog.Logger
	Out     io.Writer
	Live    bool // Out is a terminal: the progress bar is drawn over itself
}

// Run streams the file and gives the account. Stopped early, it accounts for
// what was done until then; a second interrupt ends it at once.
func (f Feed) Run(ctx context.Context) (Report, error) {
	calls, bad, err := ReadDemand(f.File, f.Select)
	if err != nil {
		return Report{}, err
	}
	if len(calls) == 0 {
		return ReportOf(badRows(bad)), fmt.Errorf("%s has no call within --from, --to and --kind", f.File)
	}
	clock, err := NewClock(ctx, f.API)
	if err != nil {
		return Report{}, err
	}
	if err := f.cover(ctx, calls); err != nil {
		return Report{}, err
	}
	around := make([]geo.Point, len(calls))
	for i, c := range calls {
		around[i] = c.At
	}
	fmt.Fprintf(f.Out, "%d crews come on shift\n", f.Crews)
	fleet, err := Muster(ctx, f.API, clock, Plan{Key: "feed", Provider: "feed", Crews: f.Crews, Around: around, Plate: "FEED", Seed: f.Seed}, f.Log)
	if err != nil {
		return Report{}, err
	}
	s := &Stream{API: f.Partner, Clock: clock, Calls: calls, Bad: bad, Plate: "F", Settle: f.Settle, Round: int(clock.Now().Unix())}
	span := calls[len(calls)-1].CalledAt.Sub(calls[0].CalledAt)
	fmt.Fprintf(f.Out, "%d calls over %s of business time at %gx: about %s\n", len(calls), span.Round(time.Minute),
		clock.Speed(), time.Duration(float64(span)/clock.Speed()).Round(time.Second))

	work, stop := context.WithCancel(ctx)
	g, work := errgroup.WithContext(work)
	g.Go(func() error { clock.Keep(work); return nil })
	g.Go(func() error { return fleet.Run(work) })
	g.Go(func() error { f.progress(work, s); return nil })
	g.Go(func() error {
		defer stop()
		return s.Run(work)
	})
	err = g.Wait()
	stop()
	if f.Live {
		fmt.Fprintln(f.Out)
	}
	return ReportOf(s.Rows()), err
}

func badRows(bad []BadRow) []Row {
	rows := make([]Row, len(bad))
	for i, b := range bad {
		rows[i] = Row{Line: b.Line, Outcome: Invalid, Why: b.Why}
	}
	return rows
}

// cover makes sure that the file's places are covered. A file from a country
// that the system does not serve would otherwise be refused row by row.
func (f Feed) cover(ctx context.Context, calls []Call) error {
	middle := calls[len(calls)/2].At
	var place struct {
		Items []struct {
			Centre    geo.Point `json:"centre"`
			CoveredKm float64   `json:"covered_km"`
		} `json:"items"`
		NextCursor string `json:"next_cursor"`
	}
	for cursor := ""; ; cursor = place.NextCursor {
		place.NextCursor, place.Items = "", nil
		if _, err := f.API.call(ctx, http.MethodGet, "/v1/areas?limit=200&cursor="+url.QueryEscape(cursor), "", nil, &place); err != nil {
			return fmt.Errorf("read the covered areas: %w", err)
		}
		for _, a := range place.Items {
			if geo.Distance(a.Centre, middle) <= a.CoveredKm*1000 {
				return nil
			}
		}
		if place.NextCursor == "" {
			break
		}
	}
	if !f.Cover {
		return fmt.Errorf("the file's places (around %s) are not covered: import areas with `rescued areas import FILE`, or leave --no-cover out", middle)
	}
	centre, km := round(calls)
	csv := fmt.Sprintf("id,name,lat,lng,urban_radius_km,covered_radius_km,datum\nfeed,feed,%.5f,%.5f,%.0f,%.0f,wgs84\n", centre.Lat, centre.Lng, km, km+50)
	fmt.Fprintf(f.Out, "the file's places are not covered: adding one area of %.0f km around %s (--no-cover leaves them out)\n", km, centre)
	return f.API.upload(ctx, "/v1/areas?mode=add&name=feed", "text/csv", csv)
}

// round is a circle around calls: their middle and the farthest one's distance
// in kilometres, rounded up.
func round(calls []Call) (geo.Point, float64) {
	var middle geo.Point
	for _, c := range calls {
		middle.Lat += c.At.Lat / float64(len(calls))
		middle.Lng += c.At.Lng / float64(len(calls))
	}
	farthest := 0.0
	for _, c := range calls {
		farthest = max(farthest, geo.Distance(middle, c.At))
	}
	return middle, float64(int(farthest/1000) + 1)
}

const (
	barWidth  = 30
	plainStep = 10 * time.Second // between lines where no bar can be drawn
)

// progress draws the bar until ctx ends.
func (f Feed) progress(ctx context.Context, s *Stream) {
	every := time.Second
	if !f.Live {
		every = plainStep
	}
	for pause(ctx, every) == nil {
		total, sent := len(s.Calls), s.Sent()
		counts := ReportOf(s.Rows()).Counts
		done := barWidth * sent / max(total, 1)
		line := fmt.Sprintf("[%s%s] %d of %d calls", strings.Repeat("█", done), strings.Repeat("░", barWidth-done), sent, total)
		if sent > 0 { // the file's own clock: whoever watches looks for the storm in it
			line += ", up to " + s.Calls[sent-1].CalledAt.Format("2006-01-02 15:04")
		}
		line += fmt.Sprintf("  duplicates %d  invalid %d  in time %d  late %d", counts[Duplicate], counts[Invalid], counts[InTime], counts[Late])
		if f.Live {
			fmt.Fprintf(f.Out, "\r\033[K%s", line)
		} else {
			fmt.Fprintln(f.Out, line)
		}
	}
}
