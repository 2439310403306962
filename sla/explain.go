package sla

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rescued/events"
)

// account is what an explanation is told from.
type account struct {
	timeline        Timeline
	verdict         Verdict
	arrival, cancel *Fact
	annulled        []annulment
	pauses          []pause
	tier            int
}

// explain tells the verdict line by line, in the order of time: what was
// promised, what moved it, what stopped the clock, and what that pays. Times
// of day stand in At and never in the words, which know no time zone.
func (p Policy) explain(a account) []events.Reason {
	v := a.verdict
	lines := []events.Reason{p.promised(a.timeline)}
	var middle []events.Reason
	for _, x := range a.annulled {
		if !v.StoppedAt.IsZero() && v.StoppedAt.Before(x.arrival.At) {
			continue
		}
		by := sourceWords(x.arrival.Source)
		middle = append(middle,
			line(x.arrival.At, "arrival_annulled",
				"救援曾到达（"+by.ZH+"），但后来交回任务，此次到达不计",
				"A crew arrived ("+by.EN+") and later gave the request back; that arrival does not count"),
			line(x.release.At, "released", "该救援人员交回任务，继续等待", "That crew gave the request back and the wait went on"))
	}
	for _, ps := range a.pauses {
		long := ps.to.Sub(ps.from)
		middle = append(middle, line(ps.from, "paused",
			"计时暂停 "+spanZH(long)+"："+ps.rule.Words.ZH, "The clock stood still for "+spanEN(long)+": "+ps.rule.Words.EN))
	}
	slices.SortStableFunc(middle, func(x, y events.Reason) int { return x.At.Compare(*y.At) })
	lines = append(lines, middle...)
	if len(a.pauses) > 0 {
		lines = append(lines, line(v.DueAt, "due_moved", "扣除暂停后的最迟到达时间", "The deadline after the pauses"))
	}
	switch {
	case v.Review != "":
		lines = append(lines, events.Reason{Code: v.Review,
			ZH: "救援人员已报完成，但到达未经证实，待人工认定",
			EN: "The crew reported the end of its work and no arrival is proven; an operator decides"})
	case a.arrival != nil:
		by := sourceWords(a.arrival.Source)
		lines = append(lines, line(a.arrival.At, "arrived", "救援到达（"+by.ZH+"）", "Help arrived ("+by.EN+")"))
	case v.Cancelled:
		lines = append(lines, line(a.cancel.At, "cancelled", "求助已取消", "The request was called off"))
	}
	return append(lines, p.outcome(a)...)
}

// promised tells the promise as the owner read it.
func (p Policy) promised(t Timeline) events.Reason {
	words := Words{t.Promise.Reason, t.Promise.Reason}
	if r := p.rule(t.Promise.Rule); r != nil {
		words = r.Reason
	}
	at := micro(t.OpenedAt)
	return events.Reason{At: &at, Code: "promised",
		ZH: fmt.Sprintf("受理求助，承诺 %d 分钟内到达（%s）", t.Promise.Minutes, words.ZH),
		EN: fmt.Sprintf("Request accepted, arrival promised within %d min (%s)", t.Promise.Minutes, words.EN),
	}
}

// outcome tells what it comes to.
func (p Policy) outcome(a account) []events.Reason {
	v := a.verdict
	switch {
	case v.Outcome == OutcomePending:
		return nil
	case v.Outcome == OutcomeVoid:
		return []events.Reason{{Code: "cancelled_in_time", ZH: "在承诺时间内取消，无需赔付", EN: "Called off in time; nothing is owed"}}
	case v.Outcome == OutcomeMet && v.Late > 0:
		return []events.Reason{{Code: "within_grace",
			ZH: fmt.Sprintf("晚到 %s，在宽限 %s 之内，视为准时", spanZH(v.Late), spanZH(p.grace())),
			EN: fmt.Sprintf("Late by %s, within the grace of %s: on time", spanEN(v.Late), spanEN(p.grace()))}}
	case v.Outcome == OutcomeMet:
		early := v.DueAt.Sub(v.StoppedAt)
		if early > time.Second {
			early = early.Truncate(time.Second) // no amount hangs on it
		}
		if early == 0 {
			return []events.Reason{{Code: "on_time", ZH: "准时到达", EN: "On time, at the last moment"}}
		}
		return []events.Reason{{Code: "on_time", ZH: "准时，提前 " + spanZH(early), EN: "On time, with " + spanEN(early) + " to spare"}}
	}
	late := events.Reason{Code: "late", ZH: "超时 " + spanZH(v.Late), EN: "Late by " + spanEN(v.Late)}
	if a.tier == 0 {
		return []events.Reason{late, {Code: "cancellation_pays_nothing", ZH: "按本方案，取消不赔付", EN: "Under this policy a cancellation pays nothing"}}
	}
	band := p.Compensation.Tiers[a.tier-1]
	zh, en := bandWords(band)
	return []events.Reason{late, {
		Code: fmt.Sprintf("tier_%d", a.tier), Fen: int64(v.Fen),
		ZH: fmt.Sprintf("第 %d 档（%s）：%s", a.tier, zh, v.Fen),
		EN: fmt.Sprintf("Tier %d (%s): %s", a.tier, en, v.Fen),
	}}
}

func bandWords(t Tier) (zh, en string) {
	over, end := seconds(t.OverS), time.Duration(0)
	if t.UpToS != nil {
		end = seconds(*t.UpToS)
	}
	switch {
	case t.UpToS == nil && t.OverS == 0:
		return "任何超时", "any lateness"
	case t.UpToS == nil:
		return "超过 " + spanZH(over), "more than " + spanEN(over)
	case t.OverS == 0:
		return spanZH(end) + "以内", "up to " + spanEN(end)
	}
	return "超过 " + spanZH(over) + "至 " + spanZH(end), "more than " + spanEN(over) + ", up to " + spanEN(end)
}

var sources = map[string]Words{
	"gps":      {"定位证实", "shown by its position"},
	"owner":    {"车主确认", "confirmed by the owner"},
	"code":     {"车主验证码", "shown by the owner's code"},
	"tap":      {"救援人员报到，定位相符", "reported by the crew, borne out by its position"},
	"operator": {"人工认定", "decided by an operator"},
}

func sourceWords(source string) Words {
	if w, ok := sources[source]; ok {
		return w
	}
	return Words{source, source}
}

func line(at time.Time, code, zh, en string) events.Reason {
	return events.Reason{At: &at, Code: code, ZH: zh, EN: en}
}

// spanZH and spanEN write a stretch of time exactly, to the microsecond, so
// that nobody reads "10 min" beside an amount for more than ten.
func spanZH(d time.Duration) string { return span(d, " 小时", " 分", " 秒") }
func spanEN(d time.Duration) string { return span(d, " h", " min", " s") }

func span(d time.Duration, hour, minute, second string) string {
	var parts []string
	if h := d / time.Hour; h > 0 {
		parts = append(parts, fmt.Sprintf("%d%s", h, hour))
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		parts = append(parts, fmt.Sprintf("%d%s", m, minute))
	}
	if rest := d % time.Minute; rest > 0 || len(parts) == 0 {
		text := fmt.Sprintf("%d", rest/time.Second)
		if us := rest % time.Second / time.Microsecond; us > 0 {
			text += "." + strings.TrimRight(fmt.Sprintf("%06d", us), "0")
		}
		parts = append(parts, text+second)
	}
	return strings.Join(parts, " ")
}
