package sla

import (
	"embed"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rescued/internal/fault"
)

//go:embed policies/*.json
var examples embed.FS

// example45 is the document of the policy the service starts with.
var example45 = must(ExamplePolicy("example-45"))

// ExamplePolicy is the document of one of the shipped examples by its name, or
// ErrNoPolicy. Their amounts are nobody's real ones.
func ExamplePolicy(name string) ([]byte, error) {
	document, err := examples.ReadFile("policies/" + name + ".json")
	if err != nil {
		return nil, ErrNoPolicy.Detailf("There is no example called %s.", name)
	}
	return document, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("sla: " + err.Error())
	}
	return v
}

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

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// ParsePolicy reads a policy document. What is wrong with it is one
// fault.Invalid that names every wrong field at once: those it does not know,
// those that are missing, repeated or of a wrong type, and those that cannot
// be meant.
func ParsePolicy(document []byte) (Policy, error) {
	var p Policy
	fields := readStrictly(document, &p)
	if len(fields) == 1 && fields[0].Code == "json" {
		return Policy{}, fault.InvalidFields(fields)
	}
	// Nothing is said twice of a field, nor of what could not be read.
	unread := len(fields)
	for _, f := range p.wrong() {
		known := slices.ContainsFunc(fields[:unread], func(u fault.Field) bool {
			rest, within := strings.CutPrefix(f.Field, u.Field)
			return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}) || slices.ContainsFunc(fields, func(u fault.Field) bool { return u.Field == f.Field && u.Code == f.Code })
		if !known {
			fields = append(fields, f)
		}
	}
	if len(fields) > 0 {
		return Policy{}, fault.InvalidFields(fields)
	}
	return p, nil
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
	if p.EffectiveTo != nil {
		c.check(p.EffectiveFrom == nil || p.EffectiveFrom.Before(*p.EffectiveTo), "effective_to", "range", "must be later than effective_from")
	}
	p.AppliesTo.wrong(&c, "applies_to", p.TimeZone)
	if _, err := zoneNamed(p.TimeZone); err != nil || p.TimeZone == "Local" {
		c.add("time_zone", "value", "%q is unknown; it must be a name of the IANA database, such as Asia/Shanghai", p.TimeZone)
	}
	p.ClockStart.wrong(&c, "clock_start", "while_start_missing", p.Waiting)
	c.check(p.GraceS >= 0 && p.GraceS <= maxSeconds, "grace_s", "range", "must be between 0 and %d seconds", maxSeconds)
	c.oneOf("late_cancellation", string(p.LateCancellation), wordsOf([]PayKind{PayTierReached, PayNothing, PayFixed}))
	wrongFixed(&c, "late_cancellation_fen", p.LateCancellation, p.LateCancellationFen)
	p.EarlyCancellation.wrong(&c, "early_cancellation", PayNothing, PayFixed)
	p.GoneOnArrival.wrong(&c, "gone_on_arrival", PayTierReached, PayNothing, PayFixed)
	p.NoCoverage.wrong(&c, "no_coverage", PayTierReached, PayNothing, PayFixed)
	p.wrongPromises(&c)
	p.wrongPauses(&c)
	p.ArrivalBy.wrong(&c)
	p.Compensation.wrong(&c, p.Bearers.ServiceFeeFen)
	p.wrongExclusions(&c)
	p.wrongMoney(&c)
	p.wrongAttribution(&c)
	return c
}

func (s ClockStart) wrong(c *complaints, field, waiting string, w StartMissing) {
	c.oneOf(field, string(s), wordsOf(ClockStarts()))
	if s.fact() == "" {
		c.check(w == (StartMissing{}), waiting, "unused", "does not belong to a clock that starts with %s; remove it", StartAccepted)
		return
	}
	c.oneOf(waiting+".then", string(w.Then), wordsOf([]MissingThen{MissingRun, MissingWait}))
	c.check(w.LongestS >= 0 && w.LongestS <= maxSeconds, waiting+".longest_s", "range", "must be between 0 and %d seconds", maxSeconds)
	c.check(w.Then != MissingRun || w.LongestS == 0, waiting+".longest_s", "unused", "belongs to wait only; remove it")
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
		r.When.wrong(c, at+".when", p.TimeZone)
		if r.ClockStart != "" {
			r.ClockStart.wrong(c, at+".clock_start", at+".while_start_missing", r.Waiting)
		} else {
			c.check(r.Waiting == (StartMissing{}), at+".while_start_missing", "unused", "belongs to a clock_start of the rule's own; give one or remove it")
		}
		before := slices.IndexFunc(p.Promises[:i], func(b PromiseRule) bool { return b.When.covers(r.When) })
		c.check(before < 0, at, "unreachable", "is never reached: promises[%d] matches all that it matches", before)
		if r.When.everything() && catchAll < 0 {
			catchAll = i
		}
	}
	if len(p.Promises) > 0 && catchAll < 0 {
		c.add(fmt.Sprintf("promises[%d].when", len(p.Promises)-1), "not_total", "must be empty: the last rule promises to everybody no other rule matched")
	}
}

// covers reports whether m matches all that n matches, as far as the lists
// show it: each of m's is missing or has all that n's has.
func (m Match) covers(n Match) bool {
	a, b := reflect.ValueOf(m), reflect.ValueOf(n)
	for i := range a.NumField() {
		wide, narrow := a.Field(i), b.Field(i)
		if wide.Len() == 0 {
			continue
		}
		if narrow.Len() == 0 {
			return false
		}
		has := map[any]bool{}
		for j := range wide.Len() {
			has[wide.Index(j).Interface()] = true
		}
		for j := range narrow.Len() {
			if !has[narrow.Index(j).Interface()] {
				return false
			}
		}
	}
	return true
}
