package pages

import (
	"bytes"
	"html/template"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
)

// A move is told in both languages, with every figure in its place.
func TestAdviceInWords(t *testing.T) {
	t.Parallel()
	m := dispatch.MoveAdvice{
		Crew: dispatch.QueueCrew{Name: "Southern 3"}, AreaName: "深圳市",
		From: events.LatLng{Lat: 22.5431, Lng: 114.0579}, To: events.LatLng{Lat: 22.6431, Lng: 114.1661},
		TravelS: 1790, GainPerHour: 0.073,
		Reaches: dispatch.ReachedView{CallsPerHour: 0.375}, Leaves: dispatch.ReachedView{CallsPerHour: 0.25, OtherCrews: 1.25},
	}
	require.Equal(t, readyRow{
		Crew: "Southern 3", Area: "深圳市", To: "about 16 km north-east, 22.6431, 114.1661", Drive: "30 min", Gain: "0.07 more promises kept an hour",
		Why: "from there it is in time for 0.38 calls an hour that it does not reach from where it stands, and 0.0 other crews do on average; it leaves 0.25 calls an hour to 1.2 others",
	}, readyWords(texts["en"], m))
	require.Equal(t, readyRow{
		Crew: "Southern 3", Area: "深圳市", To: "向东北约 16 公里，22.6431, 114.1661", Drive: "30 分钟", Gain: "每小时多兑现 0.07 个承诺",
		Why: "到那里后，每小时约 0.38 个原位置来不及的求助可以按时到达，目前平均有 0.0 支其他救援队来得及；原位置每小时约 0.25 个求助改由其他 1.2 支救援队负责",
	}, readyWords(texts["zh"], m))
	m.Leaves = dispatch.ReachedView{}
	m.To = events.LatLng{Lat: 22.6431, Lng: 114.0570} // a little west of north
	row := readyWords(texts["en"], m)
	require.Contains(t, row.To, "km north,")
	require.NotContains(t, row.Why, "leaves")
}

// The page shows advice, says when there is none, and leaves it out for one who
// is not to have it.
func TestQueuePageShowsAdvice(t *testing.T) {
	t.Parallel()
	draw := func(lang string, r *ready) string {
		page := queuePage{common: common{T: texts[lang], Lang: texts[lang].Lang}, Ready: r}
		var b bytes.Buffer
		require.NoError(t, template.Must(template.ParseFS(templateFiles, "templates/layout.html", "templates/queue.html")).ExecuteTemplate(&b, "queue.html", page))
		return b.String()
	}
	for lang, text := range texts {
		full := draw(lang, &ready{Hint: "as of now", Rows: []readyRow{{Crew: "<Crew>", Area: "A", To: "B", Drive: "C", Gain: "D", Why: "E"}}})
		require.Contains(t, full, text.ReadyTitle)
		require.Contains(t, full, "as of now")
		require.Contains(t, full, "&lt;Crew&gt;")
		require.NotContains(t, full, text.ReadyEmpty)
		require.Contains(t, draw(lang, &ready{}), text.ReadyEmpty)
		require.NotContains(t, draw(lang, nil), text.ReadyTitle)
		require.Len(t, text.Compass, 8)
		require.Len(t, text.ReadyCols, 6)
	}
}
