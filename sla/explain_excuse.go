package sla

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"rescued/events"
)

// refusal is an exclusion that was considered by a fact, and why it does not
// apply.
type refusal struct {
	rule    *ExclusionRule
	fact    Fact
	against Words
}

// condition tells the fact that excuses the lateness, where one does.
func (a account) condition() []events.Reason {
	x := a.settled.excuse
	if x == nil || x.fact == nil {
		return nil
	}
	w := x.rule.Words
	switch {
	case x.fact.Level != "":
		level := levelWords(x.fact.Level)
		w = Words{w.ZH + "（" + level.ZH + "）", w.EN + " (" + level.EN + ")"}
	case x.fact.Metres > 0:
		w = Words{fmt.Sprintf("%s（相差 %d 米）", w.ZH, x.fact.Metres), fmt.Sprintf("%s (%d m off)", w.EN, x.fact.Metres)}
	}
	return []events.Reason{line(x.fact.At, "condition", "情况："+w.ZH, "Condition: "+w.EN)}
}

// notExcused tells what might have excused the lateness and does not. What
// began once the clock had stopped bears on nothing and is left out.
func (a account) notExcused() []events.Reason {
	var lines []events.Reason
	for _, x := range a.settled.refused {
		if x.fact.Kind == FactCondition && x.fact.At.After(a.verdict.StoppedAt) {
			continue
		}
		at, w := x.fact.At, x.rule.Words
		if at.IsZero() { // the place or the promise itself says so
			at = micro(a.timeline.OpenedAt)
		}
		lines = append(lines, line(at, "not_excused",
			fmt.Sprintf("免责条款 %s（%s）不适用：%s", x.rule.Rule, w.ZH, x.against.ZH),
			fmt.Sprintf("Not excused by rule %s (%s): %s", x.rule.Rule, w.EN, x.against.EN)))
	}
	return lines
}

// tell explains what an excuse leaves of an amount.
func (x excuse) tell(v Verdict) events.Reason {
	owes := Words{"不予赔付", "nothing is owed"}
	if x.rule.OwesPct > 0 {
		owes = Words{fmt.Sprintf("赔付 %d%%，即 %s", x.rule.OwesPct, v.UncappedFen), fmt.Sprintf("%d%% is owed, %s", x.rule.OwesPct, v.UncappedFen)}
	}
	return events.Reason{Code: "excluded", Fen: int64(v.UncappedFen - v.RawFen),
		ZH: fmt.Sprintf("免责条款 %s（%s）：%s", x.rule.Rule, x.rule.Words.ZH, owes.ZH),
		EN: fmt.Sprintf("Excused by rule %s (%s): %s", x.rule.Rule, x.rule.Words.EN, owes.EN)}
}

// elsewhere says by what a rule is for other requests than one.
func (m Match) elsewhere(at time.Time, f Facts, zone *time.Location) Words {
	only := func(what Words, list []string) Words {
		return Words{
			"该条款只适用于" + what.ZH + " " + strings.Join(list, "、"),
			"the rule is for " + what.EN + " " + strings.Join(list, ", ") + " only",
		}
	}
	switch {
	case !among(m.Areas, f.Area):
		return only(Words{"地区", "area"}, m.Areas)
	case !among(m.Tiers, f.Tier):
		return only(Words{"城市类别", "tier"}, m.Tiers)
	case !among(m.RoadClasses, f.RoadClass):
		return only(Words{"道路类别", "road class"}, m.RoadClasses)
	case !among(m.Problems, f.Problem):
		return only(Words{"故障", "problem"}, m.Problems)
	case !among(m.Products, f.Product):
		return only(Words{"产品", "product"}, m.Products)
	case !among(m.Weather, weatherOr(f.Weather)):
		return only(Words{"受理时的天气模式", "weather mode at acceptance"}, m.Weather)
	case !among(m.Partners, f.PartnerID):
		return Words{"该条款只适用于其他合作方的客户", "the rule is for other partners' customers only"}
	case !among(m.Priorities, f.Priority):
		return Words{"该条款不适用于此紧急程度", "the rule is for another priority"}
	case !m.inHours(at, zone):
		return Words{"受理时间不在该条款的时段内", "the rule is for other hours"}
	}
	return Words{}
}

// against says why a declared condition does not excuse; empty when it does.
// The condition is one that the rule is about.
func (r *ExclusionRule) against(f Fact, opened, due time.Time, facts []Fact) Words {
	storm := r.Because == ExclusionCause(StormMode)
	switch {
	case !f.Until.IsZero() && !f.Until.After(f.At):
		return Words{"已更正：从未生效", "it was corrected: it never held"}
	case !f.Until.IsZero() && !f.Until.After(opened):
		return Words{"受理求助前已解除", "it was over before the request"}
	case !f.At.Before(due):
		return Words{"开始时承诺时限已过", "it began after the deadline"}
	case len(r.Levels) > 0 && !slices.Contains(r.Levels, f.Level):
		wanted := mapped(r.Levels, func(level string) string { return levelWords(level).ZH })
		return Words{
			"当时为" + levelWords(f.Level).ZH + "，该条款要求" + strings.Join(wanted, "或"),
			"the alert is " + f.Level + ", and the rule asks for " + strings.Join(r.Levels, " or "),
		}
	case storm && f.At.After(opened):
		return Words{"受理求助之后才开始", "it began after the request"}
	case storm && f.said().After(opened):
		after := f.said().Sub(opened)
		return Words{"受理求助 " + spanZH(after) + " 之后才公告", "it was announced " + spanEN(after) + " after the request"}
	case storm:
		return r.unproven(facts, f.Ref, opened)
	}
	return r.unproven(facts, f.Ref, time.Time{})
}

// unproven names the evidence that a rule needs and lacks, about what ref
// names, by that moment unless it is zero; empty when nothing is missing.
func (r *ExclusionRule) unproven(facts []Fact, ref uuid.UUID, by time.Time) Words {
	for _, need := range r.Evidence {
		n := 0
		for _, e := range facts {
			if e.Kind == FactEvidence && e.Source == string(need.Kind) && (e.Ref == uuid.Nil || e.Ref == ref) && (by.IsZero() || !e.At.After(by)) {
				n++
			}
		}
		if n < need.count() {
			w := lacking(need, n)
			if !by.IsZero() {
				w = Words{"受理求助之前" + w.ZH, w.EN + " from before the request"}
			}
			return w
		}
	}
	return Words{}
}

// lacking says how much of some evidence there is and how much it takes.
func lacking(need EvidenceNeed, n int) Words {
	w := evidenceWords(need.Kind)
	return Words{
		fmt.Sprintf("需 %d 次%s，仅有 %d 次", need.count(), w.ZH, n),
		fmt.Sprintf("it needs %d × %s and there is %d", need.count(), w.EN, n),
	}
}
