package sla_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"rescued/events"
	"rescued/sla"
)

// TestVerdicts reads the stories of testdata/verdicts; the README there says
// how they read.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/verdicts/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 20)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			s := verdictStory{T: t}
			s.tell(file)
		})
	}
}

// verdictStory is one rescue under one policy, and what the policy says of it.
type verdictStory struct {
	*testing.T
	policy   sla.Policy
	timeline sla.Timeline
	checks   int
}

func (s *verdictStory) tell(file string) {
	f, err := os.Open(file)
	require.NoError(s, err)
	defer f.Close()
	var en, zh []string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " ")
		words := strings.Fields(line)
		switch {
		case line == "" || line[0] == '#':
		case words[0] == "policy":
			s.policy = s.read(words[1])
		case words[0] == "spent":
			s.timeline.Spent = sla.Spent{VehicleMonthFen: s.fen(words[1]), BudgetFen: s.fen(words[2])}
		case words[0] == "=":
			require.Equal(s, strings.Join(words[2:], " "), s.now(words[1]), "%s:%d: %s\n%s", file, n, line, s.explained("en"))
			s.checks++
		case words[0] == "en":
			en = append(en, strings.TrimPrefix(line, "en "))
		case words[0] == "zh":
			zh = append(zh, strings.TrimPrefix(line, "zh "))
		default:
			s.happen(words)
		}
	}
	require.NoError(s, lines.Err())
	require.NotEmpty(s, en, "%s: a story explains its verdict:\n%s\n%s", file, s.explained("en"), s.explained("zh"))
	require.Equal(s, strings.Join(en, "\n"), s.explained("en"), file)
	require.Equal(s, strings.Join(zh, "\n"), s.explained("zh"), file)
	require.Positive(s, s.checks)
	s.backwards()
}

// read finds a policy among those the service ships and those of the stories.
func (s *verdictStory) read(name string) sla.Policy {
	s.Helper()
	document, err := os.ReadFile("policies/" + name + ".json")
	if err != nil {
		document, err = os.ReadFile("testdata/verdicts/" + name + ".json")
	}
	require.NoError(s, err)
	p, err := sla.ParsePolicy(document)
	require.NoError(s, err)
	return p
}

// time reads a time of day in China, of 2 March 2026.
func (s *verdictStory) time(text string) time.Time {
	s.Helper()
	clock, err := time.Parse("15:04:05.999999", text)
	require.NoError(s, err, text)
	return time.Date(2026, 3, 2, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), china).UTC()
}

var china = time.FixedZone("", 8*3600)

func (s *verdictStory) fen(text string) sla.Fen {
	s.Helper()
	fen, err := sla.ParseFen(text)
	require.NoError(s, err)
	return fen
}

// ref is the reference that a name of the story stands for.
func ref(name string) uuid.UUID {
	sum := sha256.Sum256([]byte(name))
	return uuid.UUID(sum[:16])
}

// happen tells one line: a time, what happened, and pairs of a word and what
// it says.
func (s *verdictStory) happen(words []string) {
	s.Helper()
	f := sla.Fact{At: s.time(words[0]), Kind: sla.FactKind(words[1])}
	rest := words[2:]
	take := func() string {
		s.Helper()
		require.NotEmpty(s, rest, "the line ends too soon: %q", words)
		word := rest[0]
		rest = rest[1:]
		return word
	}
	switch f.Kind {
	case "opened":
		s.open(f.At, rest)
		return
	case sla.FactArrived, sla.FactReleased, sla.FactFinished, sla.FactAssigned:
		f.Crew = events.IDFromUUID[events.CrewID](ref("crew " + take()))
	case sla.FactPaused, sla.FactEvidence, sla.FactCondition:
		f.Source = take()
	case sla.FactApproved, sla.FactWithdrawn:
		f.Ref = ref(take())
	case sla.FactScheduled:
		f.Until = s.time(take())
	case sla.FactMislocated:
		metres, err := strconv.ParseInt(take(), 10, 64)
		require.NoError(s, err)
		f.Metres = metres
	case sla.FactPriced:
		f.Fen = s.fen(take())
	}
	for len(rest) > 0 {
		switch word := take(); word {
		case "until":
			f.Until = s.time(take())
		case "as":
			if f.Kind == sla.FactEvidence {
				f.Record = ref(take())
			} else {
				f.Ref = ref(take())
			}
		case "about":
			f.Ref = ref(take())
		case "by":
			if by := take(); f.Kind == sla.FactArrived {
				f.Source = by
			} else {
				f.By = events.Role(by)
			}
		case "outcome":
			f.Source = take()
		case "told":
			f.SaidAt = s.time(take())
		case "level":
			f.Level = take()
		default:
			s.Fatalf("unknown word %q in %q", word, words)
		}
	}
	require.Contains(s, sla.FactKinds(), f.Kind)
	s.timeline.Facts = append(s.timeline.Facts, f)
}

func (s *verdictStory) open(at time.Time, words []string) {
	asked := sla.Facts{Area: "cn-3301", Priority: 2, Tier: words[0]}
	for i := 1; i+1 < len(words); i += 2 {
		switch words[i] {
		case "road":
			asked.RoadClass = words[i+1]
		case "problem":
			asked.Problem = words[i+1]
		case "product":
			asked.Product = words[i+1]
		case "weather":
			asked.Weather = words[i+1]
		default:
			s.Fatalf("unknown word %q", words[i])
		}
	}
	s.timeline.OpenedAt, s.timeline.Asked, s.timeline.Promise = at, asked, s.policy.Promise(at, asked)
}

// now is what the policy says at this point, in the words of the stories.
func (s *verdictStory) now(what string) string {
	s.Helper()
	v := s.policy.Owed(s.timeline)
	switch what {
	case "promise":
		return fmt.Sprintf("%s %d min", s.timeline.Promise.Rule, s.timeline.Promise.Minutes)
	case "outcome":
		return string(v.Outcome)
	case "started":
		return clockOf(v.StartedAt)
	case "due":
		return clockOf(v.DueAt)
	case "stopped":
		return clockOf(v.StoppedAt)
	case "late":
		return v.Late.String()
	case "raw":
		return v.RawFen.String()
	case "uncapped":
		return v.UncappedFen.String()
	case "owed":
		return v.Fen.String()
	case "excluded":
		return orNone(v.Excluded)
	case "over_budget":
		return strconv.FormatBool(v.OverBudget)
	case "review":
		return orNone(v.Review)
	}
	s.Fatalf("unknown expectation %q", what)
	return ""
}

func clockOf(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.In(china).Format("15:04:05.999999")
}

// explained is the explanation as it reads on a page.
func (s *verdictStory) explained(language string) string {
	v := s.policy.Owed(s.timeline)
	var total int64
	lines := make([]string, len(v.Reasons))
	for i, r := range v.Reasons {
		at, words := "--------", r.EN
		if r.At != nil {
			at = clockOf(*r.At)
		}
		if language == "zh" {
			words = r.ZH
		}
		lines[i] = at + " " + words
		total += r.Fen
	}
	require.Equal(s, int64(v.Fen), total, "the lines add up to what is owed")
	return strings.Join(lines, "\n")
}

// backwards tells the same facts in the opposite order, each twice.
func (s *verdictStory) backwards() {
	want := s.policy.Owed(s.timeline)
	again := s.timeline
	again.Facts = slices.Concat(s.timeline.Facts, s.timeline.Facts)
	slices.Reverse(again.Facts)
	require.Equal(s, want, s.policy.Owed(again), "told backwards")
}
