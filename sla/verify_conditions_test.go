package sla_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

func TestWhatWasDeclaredIsHeldAgainstTheJournal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"what":              {`UPDATE sla.conditions SET condition = 'closure', level = '' WHERE level = 'red'`, []string{"revision 1: condition: stored closure, must be weather_alert", "revision 1: level: stored nothing, must be red"}},
		"how grave":         {`UPDATE sla.conditions SET level = 'blue' WHERE level = 'orange'`, []string{"revision 2: level: stored blue, must be orange"}},
		"where":             {`UPDATE sla.conditions SET areas = '{}' WHERE level = 'red'`, []string{"revision 1: areas: stored nothing, must be cn-3301"}},
		"from when":         {`UPDATE sla.conditions SET from_at = from_at - interval '1 hour' WHERE revision = 1`, []string{"revision 1: from: stored 2026-03-02T06:"}},
		"when it ended":     {`UPDATE sla.conditions SET until_at = until_at + interval '1 hour' WHERE revision = 3`, []string{"revision 3: until: stored 2026-03-02T09:12:00Z, must be 2026-03-02T08:12:00Z"}},
		"that it ended":     {`DELETE FROM sla.conditions WHERE revision = 3`, []string{"revision 3: stored nothing, must be weather_alert orange in cn-3301 from 2026-03-02T07:12:00Z until 2026-03-02T08:12:00Z by operator:"}},
		"what bears it out": {`UPDATE sla.conditions SET evidence = '{photo}' WHERE revision = 1`, []string{"revision 1: evidence: stored photo, must be official_notice"}},
		"who":               {`UPDATE sla.conditions SET actor = 'operator:nobody' WHERE revision = 2`, []string{"revision 2: declared by: stored operator:nobody, must be operator:wei"}},
		"when":              {`UPDATE sla.conditions SET declared_at = declared_at - interval '1 day' WHERE revision = 1`, []string{"revision 1: declared_at: stored 2026-03-01T"}},
		"one too many": {`INSERT INTO sla.conditions SELECT gen_random_uuid(), 1, 'storm_mode', '', '{}', from_at, NULL, '{}', 'n', 'operator:wei', declared_at FROM sla.conditions WHERE revision = 1`,
			[]string{"revision 1: stored storm_mode from 2026-03-02T07:12:00Z by operator:wei at 2026-03-02T07:12:00Z, must be nothing"}},
		"the journal": {`DELETE FROM events.outbox; DELETE FROM events.journal WHERE type LIKE '%condition.declared%'`, []string{"revision 1: stored", "revision 2: stored", "revision 3: stored"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, ctx := newRig(t), t.Context()
			alert := r.declares(redAlert)
			alert, err := r.Redeclare(ctx, operator, alert.ID, 1, sla.NewCondition{Level: "orange", Evidence: alert.Evidence, Note: "lighter"})
			require.NoError(t, err)
			r.at(opened.Add(time.Hour))
			_, err = r.EndCondition(ctx, operator2, alert.ID, 2, time.Time{}, "over")
			require.NoError(t, err)
			lines, done := r.differences()
			require.Empty(t, lines)
			require.Equal(t, "conditions", done[len(done)-1].Name)
			require.Equal(t, 3, done[len(done)-1].Checked)
			r.tamper(c.sql)
			lines, _ = r.differences()
			for _, want := range c.want {
				require.Contains(t, strings.Join(lines, "\n"), want)
			}
			require.Contains(t, strings.Join(lines, "\n"), "conditions: cnd_")
		})
	}
}
