package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/dispatch"
)

type speedsCmd struct {
	JSON bool `name:"json" help:"Print the figures as GET /v1/speeds gives them."`
}

// Run tells what the finished jobs in the database teach of travel times, and
// how far off the model was before and after.
func (c speedsCmd) Run(a *app) error {
	return withDatabase(a, func(_ Config, pool *pgxpool.Pool) error {
		report, err := learnedSpeeds(a.ctx, pool)
		if err != nil {
			return err
		}
		if c.JSON {
			out := json.NewEncoder(a.stdout)
			out.SetIndent("", "  ")
			return out.Encode(report)
		}
		return tellSpeeds(a.stdout, report)
	})
}

func learnedSpeeds(ctx context.Context, pool *pgxpool.Pool) (dispatch.SpeedReport, error) {
	return dispatch.New(pool, dispatch.Config{Now: wallClock().Now}).Speeds(ctx, commandLine())
}

func tellSpeeds(out io.Writer, r dispatch.SpeedReport) error {
	_, err := fmt.Fprintf(out, "%d drives finished since %s taught the straight-line model; %s\n",
		r.Jobs, r.Since.Format(time.DateOnly), notLearned(r))
	if err == nil && r.Jobs > 0 {
		_, err = fmt.Fprintf(out, "error of the drive predicted as each crew set off, by the bare model and after it had learned:\n%s", r.Errors)
	}
	return err
}

// notLearned says how many drives taught nothing, by reason.
func notLearned(r dispatch.SpeedReport) string {
	if len(r.NotLearned) == 0 {
		return "none was passed over"
	}
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(r.NotLearned)) {
		parts = append(parts, fmt.Sprintf("%s %d", why, r.NotLearned[why]))
	}
	return "passed over: " + strings.Join(parts, ", ")
}

// checkSpeeds is the doctor's line on travel times.
func checkSpeeds(ctx context.Context, pool *pgxpool.Pool) finding {
	const part = "travel times"
	r, err := learnedSpeeds(ctx, pool)
	if err != nil {
		return ailing("fail", part, "bring the schema up to date and check the account's rights", "%v", err)
	}
	if r.Jobs == 0 {
		return okay(part, "the straight-line model as it stands: no finished drive has taught it yet; %s", notLearned(r))
	}
	all := r.Errors[len(r.Errors)-1]
	was, is := all.Before, all.After
	seconds := func(s float64) time.Duration { return time.Duration(s) * time.Second }
	return okay(part, "%d drives learned: half predicted to within %s (bare model %s), %.0f%% within 10 min (%.0f%%), %s too long on average (%s); %s",
		r.Jobs, seconds(is.MedianAbs), seconds(was.MedianAbs), 100*is.Within10, 100*was.Within10, seconds(is.Bias), seconds(was.Bias), notLearned(r))
}
