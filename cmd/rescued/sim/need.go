package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"rescued/geo"
)

// maxWords is how many capabilities a set can tell apart.
const maxWords = 64

// Vocabulary gives each word for a capability a bit of its own. A replay's
// words are the fleet file's, whatever they are; they need not be the
// service's.
type Vocabulary struct{ words []string }

// Learn returns the bit of a word, a new one for a new word; false when there
// are no bits left.
func (v *Vocabulary) Learn(word string) (geo.Capabilities, bool) {
	i := slices.Index(v.words, word)
	if i < 0 {
		if len(v.words) == maxWords {
			return 0, false
		}
		i = len(v.words)
		v.words = append(v.words, strings.Clone(word))
	}
	return 1 << i, true
}

// All is every capability learned.
func (v *Vocabulary) All() geo.Capabilities {
	if len(v.words) == maxWords {
		return ^geo.Capabilities(0)
	}
	return 1<<len(v.words) - 1
}

// ReadNeeds reads the JSON file at path: an object that maps a kind of call to
// the capabilities a crew must have for it, as a list or as one text with |
// between the words. A kind that is not there needs nothing.
func ReadNeeds(path string, words *Vocabulary) (map[string]geo.Capabilities, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &Wrong{File: path, Detail: "cannot be opened: " + reason(err)}
	}
	var kinds map[string]wordList
	if err := json.Unmarshal(text, &kinds); err != nil {
		return nil, &Wrong{File: path, Detail: fmt.Sprintf(`%v; write an object such as {"DISABLED_VEHICLE": ["tow", "winch"]}`, err)}
	}
	needs := map[string]geo.Capabilities{}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		var need geo.Capabilities
		for _, word := range kinds[kind] {
			bit, ok := words.Learn(word)
			if !ok {
				return nil, &Wrong{File: path, Field: kind, Detail: fmt.Sprintf("%q is one too many: at most %d different words are told apart", word, maxWords)}
			}
			need |= bit
		}
		needs[kind] = need
	}
	return needs, nil
}

// wordList is a JSON list of words, or one text with | between them.
type wordList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *wordList) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = strings.Split(one, "|")
	} else if err := json.Unmarshal(text, (*[]string)(l)); err != nil {
		return fmt.Errorf("%s is neither a list of capabilities nor one text", text)
	}
	kept := (*l)[:0]
	for _, word := range *l {
		if word = strings.TrimSpace(word); word != "" {
			kept = append(kept, word)
		}
	}
	*l = kept
	return nil
}
