package pages

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
)

// The queue says the dangers and the remedy, the owner's story the dangers and
// their end, and a deadline that moved, each in the reader's language.
func TestWarningsAreToldInBothLanguages(t *testing.T) {
	t.Parallel()
	reasons := []events.Reason{{Code: "silent", ZH: "没有位置", EN: "No word"}, {Code: "expected_late", ZH: "晚到", EN: "Late"}}
	w := &dispatch.Warning{Reasons: reasons, Remedy: &dispatch.Remedy{CrewName: "B7", ZH: "来得及", EN: "in time"}}
	require.Equal(t, "没有位置 · 晚到 · 补救：B7（来得及）", texts["zh"].risk(w))
	require.Equal(t, "No word · Late · remedy: B7 (in time)", texts["en"].risk(w))
	require.Empty(t, texts["en"].risk(nil))

	at := time.Date(2026, 3, 2, 4, 30, 0, 0, time.UTC)
	p := &pages{Config: Config{Zone: time.FixedZone("", 8*3600)}}
	for _, c := range []struct {
		ev     events.Event
		zh, en string
	}{
		{events.RequestWarned{Reasons: reasons}, "没有位置 · 晚到", "No word · Late"},
		{events.RequestWarned{Reasons: []events.Reason{}, ExpectedAt: &at}, "险情解除，预计 12:30:00 到达", "Back on track, expected at 12:30:00"},
		{events.RequestWarned{Reasons: []events.Reason{}}, "险情解除", "Back on track"},
		{events.DeadlineMoved{WasDueAt: at, DueAt: at.Add(6 * time.Minute), Reasons: []events.Reason{
			{Code: "promised", ZH: "受理求助", EN: "Request accepted"}, {Code: "paused", ZH: "暂停 6 分：联系不上车主", EN: "Paused 6 min: owner unreachable"}}},
			"承诺到达时间由 12:30:00 改为 12:36:00 暂停 6 分：联系不上车主", "The promised time moves from 12:30:00 to 12:36:00 Paused 6 min: owner unreachable"},
		{events.DeadlineMoved{WasDueAt: at, DueAt: at.Add(-6 * time.Minute)},
			"承诺到达时间由 12:30:00 改为 12:24:00", "The promised time moves from 12:30:00 to 12:24:00"},
		{events.ArrivalForecast{ExpectedAt: at}, "", ""}, // the page shows the time itself
	} {
		data, err := json.Marshal(c.ev)
		require.NoError(t, err)
		entry := dispatch.TimelineEntry{Type: c.ev.EventType(), Data: data}
		require.Equal(t, c.zh, p.sentence(texts["zh"], entry))
		require.Equal(t, c.en, p.sentence(texts["en"], entry))
	}
}
