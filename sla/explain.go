package sla

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rescued/events"
)

// account is what an explanation is told from: all that a verdict was worked
// out by.
type account struct {
	timeline        Timeline
	facts           []Fact // the timeline's, as setOf leaves them
	arrivals        arrivals
	arrival, cancel *Fact // what stopped the clock; one of them at most
	run             run
	settled         settlement
	verdict         Verdict
}

// explain tells the verdict line by line, in the order of time: what was
// promised, what moved it, what stopped the clock, and what that pays. Times
// of day stand in At and never in the words, which know no time zone. The
// amounts of the lines add up to what is owed.
func (p Policy) explain(a account) []events.Reason {
	v := a.verdict
	lines := slices.Concat([]events.Reason{p.promised(a.timeline)}, a.condition(), a.notExcused(), a.start(), a.pauses(), a.notArrived())
	slices.SortStableFunc(lines, func(x, y events.Reason) int { return x.At.Compare(*y.At) })
	lines = append(lines, a.due()...)
	switch {
	case v.Review == ReviewFinishedUnproven:
		lines = append(lines, events.Reason{Code: v.Review,
			ZH: "救援人员已报完成，但到达未经证实，待人工认定",
			EN: "The crew reported the end of its work and no arrival is proven; an operator decides"})
	case a.arrival != nil:
		by := sourceWords(a.arrival.Source)
		lines = append(lines, line(a.arrival.At, "arrived", "救援到达（"+by.ZH+"）", "Arrived "+by.EN))
		if v.Review == ReviewEvidenceDisagrees {
			lines = append(lines, events.Reason{Code: v.Review,
				ZH: fmt.Sprintf("各项到达证据相差超过 %s，待人工核对", spanZH(seconds(p.ArrivalBy.DisagreementS))),
				EN: fmt.Sprintf("The proofs of arrival lie more than %s apart; a person must look", spanEN(seconds(p.ArrivalBy.DisagreementS)))})
		}
	case v.Cancelled:
		lines = append(lines, line(a.cancel.At, "cancelled", "求助已取消", "The request was called off"))
	}
	return append(append(lines, p.outcome(a)...), p.amounts(a)...)
}

// promised tells the promise as the owner read it, by which rule, and under
// which declared weather.
func (p Policy) promised(t Timeline) events.Reason {
	words, rule := Words{t.Promise.Reason, t.Promise.Reason}, Words{t.Promise.Rule, t.Promise.Rule}
	if r, n := p.rule(t.Promise.Rule); r != nil {
		words = r.Reason
		rule = Words{fmt.Sprintf("规则 %d（%s）", n, r.Rule), fmt.Sprintf("rule %d (%s)", n, r.Rule)}
	}
	if weather := t.Promise.Weather; weather != "" {
		mode := levelWords(weather)
		words = Words{words.ZH + "（已公告" + mode.ZH + "）", words.EN + " (declared: " + mode.EN + ")"}
	}
	at := micro(t.OpenedAt)
	return events.Reason{At: &at, Code: "promised",
		ZH: fmt.Sprintf("受理求助；按%s承诺 %d 分钟：%s", rule.ZH, t.Promise.Minutes, words.ZH),
		EN: fmt.Sprintf("Request accepted; promise %d min by %s: %s", t.Promise.Minutes, rule.EN, words.EN),
	}
}

// start tells what started the clock, where that was not acceptance itself.
func (a account) start() []events.Reason {
	r := a.run
	if r.start.fact() == "" {
		return nil
	}
	w := startWords[r.start]
	opened := micro(a.timeline.OpenedAt)
	var lines []events.Reason
	switch {
	case r.started.IsZero():
		lines = append(lines, line(opened, "clock_waits", "尚未"+w.what.ZH+"，计时未开始", "The clock waits for "+w.what.EN))
	case r.itself:
		lines = append(lines, line(r.started, "clock_started",
			"等待"+w.what.ZH+"已达最长时间，计时自动开始", "The clock starts by itself: it has waited as long as it may for "+w.what.EN))
	case r.by == nil:
		lines = append(lines, line(opened, "clock_started", "尚未"+w.what.ZH+"，自受理起计时", "The clock runs from acceptance, in want of "+w.what.EN))
	case r.start == StartScheduled:
		lines = append(lines, line(r.by.At, "scheduled", "已约定救援时间", "A time was agreed"),
			line(r.started, "clock_started", "到达约定时间，计时开始", "The agreed time: the clock starts"))
	default:
		lines = append(lines, line(r.started, "clock_started", "已"+w.what.ZH+"，计时开始", w.done+": the clock starts"))
	}
	for _, f := range r.late {
		lines = append(lines, line(f.At, "start_too_late",
			w.what.ZH+"时已过承诺时限，时限不变", "By then the deadline had passed; it stays as it is"))
	}
	return lines
}

// startWords say what a clock waits for, and in English that it happened.
var startWords = map[ClockStart]struct {
	what Words
	done string
}{
	StartLocated:    {Words{"确认位置", "the place to be confirmed"}, "The place is confirmed"},
	StartScheduled:  {Words{"约定时间", "a time to be agreed"}, "A time was agreed"},
	StartHandedOver: {Words{"由高速公路清障方移交", "the hand-over by the motorway's own service"}, "The motorway's own service handed over"},
}

// pauses tells each pause with what bears it out, and why others do not count.
func (a account) pauses() []events.Reason {
	var lines []events.Reason
	var told []Fact
	for _, ps := range a.run.pauses {
		for _, e := range ps.proof {
			if !slices.Contains(told, e) {
				told = append(told, e)
				w := evidenceWords(EvidenceKind(e.Source))
				lines = append(lines, line(e.At, "evidence", "证据："+w.ZH, "Evidence: "+w.EN))
			}
		}
		long := ps.to.Sub(ps.from)
		zh, en := "暂停 "+spanZH(long)+"："+ps.rule.Words.ZH, "Paused "+spanEN(long)+": "+ps.rule.Words.EN
		if ps.rule.Restarts {
			zh, en = zh+"，结束后重新计时", en+"; the clock begins anew after it"
		}
		lines = append(lines, line(ps.from, "paused", zh, en))
	}
	for _, ps := range a.run.refused {
		words := Words{"暂停", "a pause"}
		if ps.rule != nil {
			words = ps.rule.Words
		}
		lines = append(lines, line(ps.from, "pause_not_counted",
			"不计暂停（"+words.ZH+"）："+ps.against.ZH, "Not counted as a pause ("+words.EN+"): "+ps.against.EN))
	}
	return lines
}

// notArrived tells the arrivals that did not stop the clock, up to what did.
func (a account) notArrived() []events.Reason {
	stopped := a.verdict.StoppedAt
	after := func(at time.Time) bool { return !stopped.IsZero() && stopped.Before(at) }
	var lines []events.Reason
	for _, x := range a.arrivals.annulled {
		if after(x.arrival.At) {
			continue
		}
		by := sourceWords(x.arrival.Source)
		lines = append(lines,
			line(x.arrival.At, "arrival_annulled",
				"救援曾到达（"+by.ZH+"），但后来交回任务，此次到达不计",
				"A crew arrived ("+by.EN+") and later gave the request back; that arrival does not count"),
			line(x.release.At, "released", "该救援人员交回任务，继续等待", "That crew gave the request back and the wait went on"))
	}
	for _, f := range a.arrivals.unlisted {
		if !after(f.At) {
			by := sourceWords(f.Source)
			lines = append(lines, line(f.At, "arrival_not_proven",
				"报告到达（"+by.ZH+"），按本方案不足为证", "An arrival was reported ("+by.EN+"), which this policy does not take for proof"))
		}
	}
	return lines
}

// due tells the deadline; none while the clock waits for its start.
func (a account) due() []events.Reason {
	switch {
	case a.run.started.IsZero():
		return nil
	case len(a.run.pauses) > 0:
		return []events.Reason{line(a.verdict.DueAt, "due_moved", "暂停之后的最迟到达时间", "Due, after the pauses")}
	}
	return []events.Reason{line(a.verdict.DueAt, "due", "最迟到达时间", "Due")}
}

// outcomeCodes are the codes of the lines that outcome tells; amounts follow.
var outcomeCodes = []string{"late", "cancelled_in_time", "within_grace", "on_time"}

// outcome tells what it comes to.
func (p Policy) outcome(a account) []events.Reason {
	v := a.verdict
	one := func(code, zh, en string) []events.Reason { return []events.Reason{{Code: code, ZH: zh, EN: en}} }
	switch {
	case v.Outcome == OutcomePending:
		return nil
	case v.Outcome == OutcomeLate:
		return one("late", "超时 "+spanZH(v.Late), "Late by "+spanEN(v.Late))
	case v.Outcome == OutcomeVoid && v.Fen == 0:
		return one("cancelled_in_time", "在承诺时间内取消，无需赔付", "Called off in time; nothing is owed")
	case v.Outcome == OutcomeVoid:
		return one("cancelled_in_time", "在承诺时间内取消", "Called off in time")
	case v.Late > 0:
		return one("within_grace",
			fmt.Sprintf("晚到 %s，在宽限 %s 之内，视为准时", spanZH(v.Late), spanZH(p.grace())),
			fmt.Sprintf("Late by %s, within the grace of %s: on time", spanEN(v.Late), spanEN(p.grace())))
	case v.StartedAt.IsZero():
		return one("on_time", "准时：计时尚未开始", "On time: the clock had not started")
	}
	early := v.DueAt.Sub(v.StoppedAt)
	if early > time.Second {
		early = early.Truncate(time.Second) // no amount hangs on it
	}
	if early == 0 {
		return one("on_time", "准时到达", "On time, at the last moment")
	}
	return one("on_time", "准时，提前 "+spanZH(early), "On time, with "+spanEN(early)+" to spare")
}

var sources = map[string]Words{
	"gps":      {"卫星定位证实", "by GPS"},
	"owner":    {"车主确认", "by the owner's word"},
	"code":     {"车主验证码", "by the owner's code"},
	"tap":      {"救援人员报到，定位相符", "by the crew's word, borne out by its position"},
	"operator": {"人工认定", "by an operator's decision"},
}

func sourceWords(source string) Words {
	if w, ok := sources[source]; ok {
		return w
	}
	return Words{source, source}
}

var evidences = map[EvidenceKind]Words{
	CallUnanswered: {"致电车主无人应答", "a call the owner did not answer"},
	OwnerConfirmed: {"车主确认", "confirmed by the owner"},
	Photo:          {"照片", "a photo"},
	Document:       {"书面材料", "a document"},
	OfficialNotice: {"官方通告", "an official notice"},
	CrewPosition:   {"救援车定位", "the crew's position"},
	ShownToOwner:   {"已告知车主", "shown to the owner"},
}

func evidenceWords(kind EvidenceKind) Words {
	if w, ok := evidences[kind]; ok {
		return w
	}
	return Words{string(kind), string(kind)}
}

var roles = map[events.Role]Words{
	events.RoleOwner: {"车主", "an owner"}, events.RoleCrew: {"救援人员", "a crew"},
	events.RoleProvider: {"服务商", "a provider"}, events.RolePartner: {"合作方", "a partner"},
	events.RoleOperator: {"调度员", "an operator"}, events.RoleFinance: {"财务", "finance"},
	events.RoleAdmin: {"管理员", "an administrator"}, events.RoleSystem: {"系统", "the service"},
}

func roleWords(role events.Role) Words {
	if w, ok := roles[role]; ok {
		return w
	}
	return Words{"未注明者", "somebody unnamed"}
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
