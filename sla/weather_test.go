package sla_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/sla"
)

// TestDeclaredWeatherChoosesThePromise follows an alert: requests of its region
// opened while it holds are promised by the rule for bad weather and say so;
// those elsewhere, before and after are not, and dating it back changes nothing
// that was shown.
func TestDeclaredWeatherChoosesThePromise(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	document, err := os.ReadFile("policies/example-per-minute.json")
	require.NoError(t, err)
	r.inForce(document)
	r.Service = sla.New(r.pool, sla.Config{Now: r.now, Visible: onlyOwners, Policy: "example-per-minute"})
	promised := func(area string) (p events.Promise) {
		t.Helper()
		require.NoError(t, pg.InTx(ctx, r.pool, func(tx pgx.Tx) (err error) {
			p, err = r.Promise(ctx, tx, events.PromiseFacts{At: r.now(), Area: area, Tier: "urban"})
			return err
		}))
		return p
	}
	why := func(id events.RequestID) sla.Words {
		reason := r.standing(id).Guarantee.Verdict.Reasons[0]
		return sla.Words{ZH: reason.ZH, EN: reason.EN}
	}

	before := r.opens()
	shown := r.standing(before).Guarantee.Promise
	require.Equal(t, []any{"urban", 45, ""}, []any{shown.Rule, shown.Minutes, shown.Weather})
	r.at(opened.Add(5 * time.Minute))
	alert := sla.NewCondition{Condition: sla.WeatherAlert, Level: "orange", Areas: []string{"cn-3301"}, From: opened.Add(-time.Hour), Evidence: []sla.EvidenceKind{sla.OfficialNotice}}
	c := r.declares(alert)
	require.Equal(t, "urban", promised("cn-1101").Rule, "another region")
	r.at(opened.Add(6 * time.Minute))
	during := r.opens()
	p := r.standing(during).Guarantee.Promise
	require.Equal(t, []any{"bad-weather", 75, "orange"}, []any{p.Rule, p.Minutes, p.Weather})
	require.Equal(t, sla.Words{
		ZH: "受理求助；按规则 3（bad-weather）承诺 75 分钟：橙色及以上预警期间 75 分钟（已公告橙色预警）",
		EN: "Request accepted; promise 75 min by rule 3 (bad-weather): 75 minutes under an orange or red alert (declared: orange alert)",
	}, why(during))

	r.spreads()
	g := r.standing(before).Guarantee
	require.Equal(t, shown, g.Promise, "what was shown is kept, however far back the alert is dated")
	require.Equal(t, sla.Words{ZH: "受理求助；按规则 7（urban）承诺 45 分钟：市区 45 分钟", EN: "Request accepted; promise 45 min by rule 7 (urban): 45 minutes in town"}, why(before))
	require.Equal(t, opened.Add(45*time.Minute), g.Promise.DueAt)
	r.rescuedAt(before, 20*time.Minute)
	require.Equal(t, "orange-alert", r.standing(before).Guarantee.Verdict.Excluded, "it excuses by its own rule alone")

	_, err = r.EndCondition(ctx, operator, c.ID, 1, time.Time{}, "lifted")
	require.NoError(t, err)
	r.at(opened.Add(7 * time.Minute))
	require.Equal(t, "urban", promised("cn-3301").Rule)
	r.spreads()
	require.Equal(t, p, r.standing(during).Guarantee.Promise, "nor is it taken from those who were shown it")
	lines, _ := r.differences()
	require.Empty(t, lines)
}
