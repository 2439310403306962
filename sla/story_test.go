package sla_test

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// TestStories tells the stories of testdata; its README says how they read.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 10)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			newStory(t, newRig(t)).tell(file)
		})
	}
}

type story struct {
	*testing.T
	rig    *rig
	id     events.RequestID
	crews  map[string]events.CrewID
	told   []events.Event
	swept  time.Time
	checks int
}

func newStory(t *testing.T, r *rig) *story {
	return &story{T: t, rig: r, id: events.NewID[events.RequestID](), crews: map[string]events.CrewID{}}
}

func (s *story) tell(file string) {
	f, err := os.Open(file)
	require.NoError(s, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch words := strings.Fields(line); {
		case line == "" || line[0] == '#':
		case line[0] == '=':
			what, want, _ := strings.Cut(strings.TrimSpace(line[1:]), " ")
			require.Equal(s, want, s.now(what), "%s:%d: %s", file, n, line)
			s.checks++
		default:
			s.happen(words)
		}
	}
	require.NoError(s, lines.Err())
	require.Positive(s, s.checks, "a story must say what comes of it")
	s.tellBackwards()
}

func (s *story) time(text string) time.Time {
	s.Helper()
	clock, err := time.Parse("15:04:05.999999", text)
	require.NoError(s, err)
	return time.Date(2026, 3, 2, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), time.UTC)
}

func (s *story) crew(name string) events.CrewID {
	if _, ok := s.crews[name]; !ok {
		s.crews[name] = events.NewID[events.CrewID]()
	}
	return s.crews[name]
}

// happen tells one line: a time, what happened, and to whom.
func (s *story) happen(words []string) {
	s.Helper()
	at := s.time(words[0])
	f := sla.Fact{At: at}
	if len(words) > 2 {
		f.Crew = s.crew(words[2])
	}
	switch words[1] {
	case "sweep":
		s.rig.sweep(at)
		s.swept = at
		return
	case "opened":
		require.Equal(s, opened, at, "stories open at 07:12")
		s.hear(s.rig.open(s.id, words[2]))
		return
	case "offered", "assigned":
		f.Kind, f.Until = sla.FactKind(words[1]), s.time(words[4])
	case "lapsed":
		f.Kind = sla.FactLapsed
	case "arrived":
		f.Kind, f.Source = sla.FactArrived, words[4]
	case "released":
		f.Kind, f.Source = sla.FactReleased, "on_scene"
	case "cancelled":
		f.Kind = sla.FactCancelled
	case "finished":
		f.Kind, f.Source = sla.FactFinished, "fixed"
	default:
		s.Fatalf("unknown line: %q", words)
	}
	s.hear(asEvent(s.id, f))
}

func (s *story) hear(ev events.Event) {
	s.Helper()
	require.NoError(s, s.rig.tell(ev))
	s.told = append(s.told, ev)
}

// now is what is true at this point of the story, in the words of its lines.
func (s *story) now(what string) string {
	s.Helper()
	st := s.rig.standing(s.id)
	g := st.Guarantee
	switch what {
	case "state":
		return string(g.State)
	case "stopped":
		return g.Verdict.StoppedAt.Format("15:04:05.999999")
	case "late":
		for _, r := range g.Verdict.Reasons {
			if r.Code == "late" {
				return strings.TrimPrefix(r.EN, "Late by ")
			}
		}
		return "not"
	case "owed":
		return g.Verdict.Fen.String()
	case "compensation":
		if c, ok := st.Live(); ok {
			return string(c.State) + " " + c.Fen.String()
		}
		return "none"
	case "voided":
		var list []string
		for _, c := range st.Compensations {
			if c.State == sla.Voided {
				list = append(list, c.Fen.String())
			}
		}
		return orNone(strings.Join(list, ", "))
	case "alarm":
		if g.AtRiskAt.IsZero() {
			return "no"
		}
		return "yes"
	case "review":
		return orNone(g.Verdict.Review)
	}
	s.Fatalf("unknown expectation %q", what)
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// tellBackwards tells the same facts of another request in the opposite order,
// each twice.
func (s *story) tellBackwards() {
	s.Helper()
	want := []string{s.now("state"), s.now("owed"), s.now("stopped"), s.now("late"), s.now("review"), s.now("compensation")}
	told := slices.Clone(s.told)
	slices.Reverse(told)
	again := newStory(s.T, s.rig)
	for _, ev := range told {
		ev = of(ev, again.id)
		again.hear(ev)
		again.hear(ev)
	}
	if !s.swept.IsZero() {
		s.rig.sweep(s.swept)
	}
	require.Equal(s, want, []string{
		again.now("state"), again.now("owed"), again.now("stopped"), again.now("late"), again.now("review"), again.now("compensation"),
	}, "told backwards")
}

// of is the same event of another request.
func of(ev events.Event, id events.RequestID) events.Event {
	switch e := ev.(type) {
	case events.RequestOpened:
		e.RequestID = id
		return e
	case events.OfferMade:
		e.RequestID = id
		return e
	case events.OfferLapsed:
		e.RequestID = id
		return e
	case events.RequestAssigned:
		e.RequestID = id
		return e
	case events.CrewArrived:
		e.RequestID = id
		return e
	case events.RequestReleased:
		e.RequestID = id
		return e
	case events.RequestCancelled:
		e.RequestID = id
		return e
	case events.RequestFinished:
		e.RequestID = id
		return e
	}
	panic("of: " + ev.EventType())
}
