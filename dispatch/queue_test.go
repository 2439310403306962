package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rescued/events"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func rowDue(in time.Duration) QueueRow {
	return QueueRow{ID: events.NewID[events.RequestID](), DueAt: noon.Add(in)}
}

func (r QueueRow) expected(in time.Duration) QueueRow {
	at := noon.Add(in)
	r.ExpectedAt, r.ReachS = &at, 0
	return r
}

func TestSlackIsDueLessExpectedArrival(t *testing.T) {
	t.Parallel()
	waiting := rowDue(30 * time.Minute)
	waiting.ReachS = 900
	cases := map[string]struct {
		row   QueueRow
		slack time.Duration
		tier  Tier
	}{
		"on its way":               {rowDue(40 * time.Minute).expected(10 * time.Minute), 30 * time.Minute, TierOK},
		"on its way, tight":        {rowDue(40 * time.Minute).expected(20 * time.Minute), 20 * time.Minute, TierRisk20},
		"at ten minutes":           {rowDue(40 * time.Minute).expected(30 * time.Minute), 10 * time.Minute, TierRisk10},
		"expected late":            {rowDue(5 * time.Minute).expected(15 * time.Minute), -10 * time.Minute, TierRisk10},
		"expected earlier, not in": {rowDue(12 * time.Minute).expected(-3 * time.Minute), 12 * time.Minute, TierRisk20},
		"due passed":               {rowDue(-time.Second).expected(-time.Minute), -time.Second, TierBreached},
		"due this moment":          {rowDue(0).expected(-time.Minute), 0, TierRisk10},
		"nobody yet":               {waiting, 15 * time.Minute, TierRisk20},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.row.asOf(noon)
			require.Equal(t, int(c.slack.Seconds()), got.SlackS)
			require.Equal(t, c.tier, got.Tier)
		})
	}
}

func TestQueueOrderIsTotalAndCountsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]QueueRow, rapid.IntRange(0, 30).Draw(t, "n"))
		for i := range rows {
			rows[i] = rowDue(time.Duration(rapid.IntRange(-30, 60).Draw(t, "due")) * time.Minute)
			if rapid.Bool().Draw(t, "crew") {
				rows[i].Crew = &QueueCrew{}
				rows[i] = rows[i].expected(time.Duration(rapid.IntRange(-5, 40).Draw(t, "eta")) * time.Minute)
			} else {
				rows[i].ReachS = int(nominalReach.Seconds())
			}
		}
		bySlack(rows, noon)
		for i := 1; i < len(rows); i++ {
			require.LessOrEqual(t, rows[i-1].slack(noon), rows[i].slack(noon))
			if rows[i-1].slack(noon) == rows[i].slack(noon) {
				require.Negative(t, rows[i-1].ID.Compare(rows[i].ID))
			}
		}
		c := count(rows, noon)
		require.Equal(t, len(rows), c.All)
		require.Equal(t, c.All, c.Breached+c.Risk10+c.Risk20+c.OK)
		require.LessOrEqual(t, c.Unassigned, c.All)
	})
}

func TestMaskPlate(t *testing.T) {
	t.Parallel()
	for plate, want := range map[string]string{
		"粤B12345": "粤B***45", "粤BD12345": "粤B***45", "AB12": "***", "": "***", "KA12345": "KA***45",
	} {
		require.Equal(t, want, MaskPlate(plate))
	}
}
