package history

import (
	"fmt"
	"strings"

	"rescued/events"
)

// ReadCrews reads whose each crew is: a CSV file, gzipped or not, with the
// columns crew and provider in any order. A crew with no provider is nobody's
// that this service knows. Its errors name file, line and column.
func ReadCrews(path string) (map[string]events.ProviderID, error) {
	s, err := openSheet(path)
	if err != nil {
		return nil, err
	}
	defer s.in.Close()
	for _, c := range []string{"crew", "provider"} {
		if !s.has(c) {
			return nil, fmt.Errorf("%s: line 1: the heading has no column %s; it needs crew and provider", path, c)
		}
	}
	crews, lineOf := map[string]events.ProviderID{}, map[string]int{}
	for {
		more, err := s.next()
		switch {
		case err != nil && !more:
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%s: line %d: %w", path, s.line, err)
		case !more:
			return crews, nil
		}
		crew, text := strings.Clone(s.field("crew")), s.field("provider")
		if crew == "" {
			return nil, fmt.Errorf("%s: line %d: crew is missing; name the crew as the rescues do", path, s.line)
		}
		if first, twice := lineOf[crew]; twice {
			return nil, fmt.Errorf("%s: line %d: crew %q stands on line %d already; it is of one provider", path, s.line, crew, first)
		}
		lineOf[crew] = s.line
		crews[crew] = events.ProviderID{}
		if text == "" {
			continue
		}
		if crews[crew], err = events.ParseID[events.ProviderID](text); err != nil {
			return nil, fmt.Errorf("%s: line %d: provider %q is no provider; write prv_… as this service lists them, or leave it empty", path, s.line, text)
		}
	}
}
