package sla

import (
	"bytes"
	_ "embed" // the default policy
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"rescued/internal/fault"
)

//go:embed policies/example-45.json
var example45 []byte

// Example45 is the policy the service starts with: 45 minutes in town, 60 in
// the county; late by up to 10 minutes ¥20, up to 30 minutes ¥50, beyond ¥100.
// The amounts are an example and nobody's real ones.
func Example45() Policy {
	p, err := ParsePolicy(example45)
	if err != nil {
		panic("the embedded policy is not valid: " + err.Error())
	}
	return p
}

// Bounds that keep a slip of the pen from becoming a promise or a payment.
const (
	maxMinutes = 7 * 24 * 60
	maxSeconds = 30 * 24 * 3600
	maxFen     = Fen(100_000_000)     // a million yuan
	maxBudget  = Fen(100_000_000_000) // a thousand million yuan
)

// The words a match may use, as requests carry them. A misspelt one would
// never match, silently.
var (
	tierWords    = []string{"urban", "county"}
	roadWords    = []string{"urban", "rural", "motorway"}
	problemWords = []string{
		"battery_jump", "battery_replace", "tyre", "fuel", "ev_charge", "ev_fault", "lockout",
		"tow_flatbed", "tow_wheel_lift", "winch", "accident", "garage_extraction", "heavy", "other",
	}
)

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// ParsePolicy reads a policy document. What is wrong with it is one
// fault.Invalid that names every wrong field at once; of fields it does not
// know, the first.
func ParsePolicy(document []byte) (Policy, error) {
	var p Policy
	var fields []fault.Field
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		field, fatal := decodeField(err)
		if fatal {
			return Policy{}, fault.InvalidFields([]fault.Field{field})
		}
		fields = append(fields, field)
		p = Policy{}
		// Go on without the strictness, so that one misspelt word does not
		// hide the other mistakes.
		if err := json.Unmarshal(document, &p); err != nil {
			if again, _ := decodeField(err); again != field {
				fields = append(fields, again)
			}
		}
	} else if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		fields = append(fields, fault.Field{Field: "", Code: "json", Detail: "there is something after the end of the document; remove it"})
	}
	fields = append(fields, p.wrong()...)
	if len(fields) > 0 {
		return Policy{}, fault.InvalidFields(fields)
	}
	return p, nil
}

// decodeField puts a decoding error in the form of a wrong field; fatal means
// that the document cannot be read further.
func decodeField(err error) (f fault.Field, fatal bool) {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType):
		return fault.Field{Field: wrongType.Field, Code: "type", Detail: fmt.Sprintf("is a %s; it must be %s", wrongType.Value, wrongType.Type)}, false
	case errors.As(err, &syntax):
		return fault.Field{Code: "json", Detail: fmt.Sprintf("is not JSON at byte %d: %s", syntax.Offset, syntax)}, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Field{Code: "json", Detail: "ends before the document is complete"}, true
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.Field{Field: strings.Trim(name, `"`), Code: "unknown", Detail: "is not a field of a policy; correct or remove it"}, false
	}
	return fault.Field{Code: "json", Detail: err.Error()}, false
}

// complaints gathers wrong fields.
type complaints []fault.Field

func (c *complaints) add(field, code, detail string, args ...any) {
	*c = append(*c, fault.Field{Field: field, Code: code, Detail: fmt.Sprintf(detail, args...)})
}

func (c *complaints) check(ok bool, field, code, detail string, args ...any) {
	if !ok {
		c.add(field, code, detail, args...)
	}
}

func (c *complaints) words(field string, w Words) {
	c.check(strings.TrimSpace(w.ZH) != "", field+".zh", "required", "is missing; say it in Chinese")
	c.check(strings.TrimSpace(w.EN) != "", field+".en", "required", "is missing; say it in English")
}

// wrong lists everything that cannot be meant.
func (p Policy) wrong() []fault.Field {
	var c complaints
	c.check(nameForm.MatchString(p.Name), "name", "form", "must be lower-case letters, digits, - and _, beginning with a letter")
	c.check(p.Version >= 1, "version", "range", "must be 1 or more")
	c.words("title", p.Title)
	c.check(p.ClockStart == StartAccepted, "clock_start", "value", "must be %s", StartAccepted)
	c.check(p.GraceS >= 0 && p.GraceS <= maxSeconds, "grace_s", "range", "must be between 0 and %d seconds", maxSeconds)
	c.check(p.LateCancellation == PayTierReached || p.LateCancellation == PayNothing,
		"late_cancellation", "value", "must be %s or %s", PayTierReached, PayNothing)
	p.wrongPromises(&c)
	p.wrongPauses(&c)
	p.Compensation.wrong(&c)
	p.wrongMoney(&c)
	return c
}

func (p Policy) wrongPromises(c *complaints) {
	c.check(len(p.Promises) > 0, "promises", "required", "is empty; at least one rule must promise something")
	catchAll := -1
	seen := map[string]int{}
	for i, r := range p.Promises {
		at := fmt.Sprintf("promises[%d]", i)
		c.check(nameForm.MatchString(r.Rule), at+".rule", "form", "must be lower-case letters, digits, - and _, beginning with a letter")
		if first, twice := seen[r.Rule]; twice {
			c.add(at+".rule", "repeated", "%q is already the name of promises[%d]", r.Rule, first)
		} else {
			seen[r.Rule] = i
		}
		c.check(r.Minutes >= 1 && r.Minutes <= maxMinutes, at+".minutes", "range", "must be between 1 and %d", maxMinutes)
		c.words(at+".reason", r.Reason)
		r.When.wrong(c, at+".when")
		if catchAll >= 0 {
			c.add(at, "unreachable", "is never reached: promises[%d] matches everything before it", catchAll)
		} else if r.When.everything() {
			catchAll = i
		}
	}
	if len(p.Promises) > 0 && catchAll < 0 {
		c.add(fmt.Sprintf("promises[%d].when", len(p.Promises)-1), "not_total", "must be empty: the last rule promises to everybody no other rule matched")
	}
}

func (m Match) wrong(c *complaints, at string) {
	for _, list := range []struct {
		name         string
		given, known []string
	}{
		{"tiers", m.Tiers, tierWords},
		{"road_classes", m.RoadClasses, roadWords},
		{"problems", m.Problems, problemWords},
	} {
		for i, word := range list.given {
			c.check(slices.Contains(list.known, word), fmt.Sprintf("%s.%s[%d]", at, list.name, i), "value",
				"%q is unknown; it must be one of %s", word, strings.Join(list.known, ", "))
		}
	}
	for i, n := range m.Priorities {
		c.check(n >= 0 && n <= 2, fmt.Sprintf("%s.priorities[%d]", at, i), "range", "must be 0, 1 or 2")
	}
	for i, id := range m.Partners {
		c.check(!id.IsZero(), fmt.Sprintf("%s.partners[%d]", at, i), "required", "is empty; name a partner as ptn_…")
	}
	for i, area := range m.Areas {
		c.check(area != "", fmt.Sprintf("%s.areas[%d]", at, i), "required", "is empty; name an area")
	}
}

func (p Policy) wrongPauses(c *complaints) {
	seen := map[string]int{}
	for i, r := range p.Pauses {
		at := fmt.Sprintf("pauses[%d]", i)
		c.check(nameForm.MatchString(r.Reason), at+".reason", "form", "must be lower-case letters, digits, - and _, beginning with a letter")
		if first, twice := seen[r.Reason]; twice {
			c.add(at+".reason", "repeated", "%q is already the reason of pauses[%d]", r.Reason, first)
		} else {
			seen[r.Reason] = i
		}
		c.words(at+".words", r.Words)
		c.check(r.LongestS >= 1 && r.LongestS <= maxSeconds, at+".longest_s", "range", "must be between 1 and %d seconds", maxSeconds)
	}
}

func (r CompensationRule) wrong(c *complaints) {
	const field = "compensation"
	c.check(r.Kind == KindTiers, field+".kind", "value", "must be %s", KindTiers)
	if len(r.Tiers) == 0 {
		c.add(field+".tiers", "required", "is empty; say what lateness pays")
		return
	}
	var reached int64 // seconds covered so far
	for i, t := range r.Tiers {
		at := fmt.Sprintf("%s.tiers[%d]", field, i)
		last := i == len(r.Tiers)-1
		switch {
		case i == 0 && t.OverS != 0:
			c.add(at+".over_s", "gap", "must be 0: the first tier begins with the first microsecond of lateness")
		case i > 0 && t.OverS < reached:
			c.add(at+".over_s", "overlap", "overlaps tiers[%d], which goes up to %d s; it must be %d", i-1, reached, reached)
		case i > 0 && t.OverS > reached:
			c.add(at+".over_s", "gap", "leaves a gap after tiers[%d], which goes up to %d s; it must be %d", i-1, reached, reached)
		}
		switch {
		case t.UpToS == nil && !last:
			c.add(at+".up_to_s", "required", "is missing; only the last tier has no end")
			reached = t.OverS
		case t.UpToS == nil:
		case last:
			c.add(at+".up_to_s", "endless", "must be left out: the last tier has no end, or a longer wait would pay nothing")
		case *t.UpToS <= t.OverS || *t.UpToS > maxSeconds:
			c.add(at+".up_to_s", "range", "must be more than over_s (%d) and at most %d", t.OverS, maxSeconds)
			reached = t.OverS
		default:
			reached = *t.UpToS
		}
		c.check(t.Fen >= 0 && t.Fen <= maxFen, at+".fen", "range", "must be between 0 and %d fen", maxFen)
		c.check(i == 0 || t.Fen >= r.Tiers[i-1].Fen, at+".fen", "falls", "is less than the tier before; a longer wait must not pay less")
	}
}
