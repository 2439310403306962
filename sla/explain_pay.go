package sla

import (
	"fmt"
	"time"

	"rescued/events"
)

// amounts tells how the amount came about: what is paid, what excuses, what
// caps. Each line's fen is what it adds or takes.
func (p Policy) amounts(a account) []events.Reason {
	v, s := a.verdict, a.settled
	if v.Outcome != OutcomeLate && v.RawFen == 0 {
		return nil
	}
	var lines []events.Reason
	add := func(code string, fen Fen, zh, en string) {
		lines = append(lines, events.Reason{Code: code, Fen: int64(fen), ZH: zh, EN: en})
	}
	switch {
	case s.payment != nil:
		p.Compensation.tell(*s.payment, add)
	case s.rule.Pays == PayFixed:
		w := endings[s.ending]
		add("fixed", v.RawFen, fmt.Sprintf("%s：固定赔付 %s", w.ZH, v.RawFen), fmt.Sprintf("%s: a fixed %s", w.EN, v.RawFen))
	default:
		w := endings[s.ending]
		add(string(s.ending)+"_pays_nothing", 0, w.ZH+"：按本方案不赔付", w.EN+": under this policy that pays nothing")
	}
	if s.excuse != nil {
		lines = append(lines, s.excuse.tell(v))
	}
	switch left := v.Fen - v.UncappedFen; s.capped {
	case "per_case":
		add("capped_per_case", left, fmt.Sprintf("以单次上限 %s 为限", p.Caps.PerCaseFen), fmt.Sprintf("Capped at %s for one rescue", p.Caps.PerCaseFen))
	case "per_vehicle_month":
		spent := a.timeline.Spent.VehicleMonthFen
		add("capped_per_vehicle_month", left,
			fmt.Sprintf("以单车每月上限 %s 为限，本月已计 %s", p.Caps.PerVehicleMonthFen, spent),
			fmt.Sprintf("Capped at %s for one vehicle in a month, of which %s had been used", p.Caps.PerVehicleMonthFen, spent))
	}
	if v.OverBudget {
		add("budget_spent", 0,
			fmt.Sprintf("项目预算 %s 不足，须经财务批准后支付", p.Caps.BudgetFen),
			fmt.Sprintf("The programme's budget of %s does not cover it; it is paid once finance approves", p.Caps.BudgetFen))
	}
	return lines
}

var endings = map[ending]Words{
	endedArrival:    {"迟到", "Late arrival"},
	endedGone:       {"到达时车辆已离开", "The car was gone on arrival"},
	endedEarly:      {"在时限前取消", "Called off before the deadline"},
	endedLate:       {"超时后取消", "Called off after the deadline"},
	endedNoCoverage: {"无人可派而取消", "Called off because nobody could come"},
}

// tell explains a payment for lateness.
func (r CompensationRule) tell(p payment, add func(code string, fen Fen, zh, en string)) {
	switch r.Kind {
	case KindTiers:
		zh, en := bandWords(r.Tiers[p.tier-1])
		add(fmt.Sprintf("tier_%d", p.tier), p.computed,
			fmt.Sprintf("第 %d 档（%s）：%s", p.tier, zh, p.computed), fmt.Sprintf("Tier %d (%s): %s", p.tier, en, p.computed))
	case KindPercent:
		tier := r.Tiers[p.tier-1]
		zh, en := bandWords(tier)
		of := bases[r.Base]
		if r.Base == BasePrice && p.base == r.BaseFen {
			of = bases[BaseFixed]
		}
		add(fmt.Sprintf("tier_%d", p.tier), p.computed,
			fmt.Sprintf("第 %d 档（%s）：%s %s 的 %d%%：%s", p.tier, zh, of.ZH, p.base, tier.Pct, p.computed),
			fmt.Sprintf("Tier %d (%s): %d%% of %s %s: %s", p.tier, en, tier.Pct, of.EN, p.base, p.computed))
	case KindPerMinute:
		add("per_minute", p.computed,
			fmt.Sprintf("满 %d 分钟，每分钟 %s：%s", p.units, r.PerMinuteFen, p.computed),
			fmt.Sprintf("%s at %s: %s", counted(p.units, "full minute"), r.PerMinuteFen, p.computed))
	case KindPerBlock:
		add("per_block", p.computed,
			fmt.Sprintf("每段 %s，已开始 %d 段，每段 %s：%s", spanZH(seconds(r.BlockS)), p.units, r.PerBlockFen, p.computed),
			fmt.Sprintf("%s of %s at %s: %s", counted(p.units, "started block"), spanEN(seconds(r.BlockS)), r.PerBlockFen, p.computed))
	}
	switch {
	case p.fen > p.computed:
		add("floor", p.fen-p.computed, fmt.Sprintf("不低于 %s", p.fen), fmt.Sprintf("At least %s", p.fen))
	case p.fen < p.computed:
		add("ceiling", p.fen-p.computed, fmt.Sprintf("不超过 %s", p.fen), fmt.Sprintf("At most %s", p.fen))
	}
}

// counted writes a number of things in English.
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

var bases = map[Base]Words{
	BaseFixed:      {"基数", "the base"},
	BaseServiceFee: {"服务费", "the service fee"},
	BasePrice:      {"救援费用", "the price of the rescue"},
}

// levelWords names a weather mode: the level of an alert, or storm mode.
func levelWords(level string) Words {
	switch level {
	case WeatherStorm:
		return Words{"应急模式", "storm mode"}
	case "blue":
		return Words{"蓝色预警", "blue alert"}
	case "yellow":
		return Words{"黄色预警", "yellow alert"}
	case "orange":
		return Words{"橙色预警", "orange alert"}
	case "red":
		return Words{"红色预警", "red alert"}
	}
	return Words{level, level}
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
