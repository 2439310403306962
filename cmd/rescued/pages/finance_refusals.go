package pages

import (
	"fmt"
	"regexp"
	"strings"

	"rescued/internal/fault"
)

// financeRefusal says why a command of finance was refused and what to do, and
// what is wrong one by one. English is said as the API says it.
func (t text) financeRefusal(f *fault.Error) (problem string, mends []string) {
	problem = orElse(refusalsEN[f.Code], f.Detail)
	if t.Lang != "en" {
		problem = orElse(refusalsZH[f.Code], f.Detail)
		for name, value := range f.Facts {
			problem = fill(problem, name, fmt.Sprint(value))
		}
	}
	if f.Code == "invalid" {
		problem = t.Refused["invalid_finance"]
	}
	for _, wrong := range f.Fields {
		mends = append(mends, t.financeMend(wrong))
	}
	if more, ok := f.Facts["more_wrong"]; ok {
		mends = append(mends, fmt.Sprintf("… + %v", more))
	}
	return problem, mends
}

var lineField = regexp.MustCompile(`^lines\[(\d+)\]\.(.+)$`)

// financeMend says what is wrong with one field: of a line of a file by its
// place in it.
func (t text) financeMend(wrong fault.Field) string {
	name, place := wrong.Field, ""
	if m := lineField.FindStringSubmatch(name); m != nil {
		place, name = fill(t.either("第 {n} 行 ", "line {n}: "), "n", m[1]), m[2]
	}
	name = name[strings.LastIndexByte(name, '.')+1:]
	if t.Lang == "en" {
		return place + name + " " + wrong.Detail
	}
	said := mendsZH[name+"."+wrong.Code]
	if said == "" {
		said = orElse(mendsZH[wrong.Code], wrong.Detail)
	}
	if with, ok := figuresZH[wrong.Code]; ok && with.in.MatchString(wrong.Detail) {
		said = with.in.ReplaceAllString(wrong.Detail, with.zh)
	}
	return place + orElse(fieldsZH[name], name) + "：" + said
}

func orElse(said, other string) string {
	if said != "" {
		return said
	}
	return other
}

// refusalsEN are those that the API explains by its own addresses.
var refusalsEN = map[string]string{
	"waiting_differs": "Something else is waiting by now than you saw, so nothing was approved. The page shows what waits now; look at it again.",
}

// refusalsZH are the refusals of the API in Chinese, by code; {names} are facts
// that it gives.
var refusalsZH = map[string]string{
	"version_stale": "在您查看之后，内容已被他人更改，这一步没有执行。页面现在显示最新内容，请重新核对后再决定。",
	"state_refused": "现在的状态不允许这一步，可能刚被他人处理。请看页面上的最新状态再决定。",
	"four_eyes":     "提出争议的人不能自己裁定，须由第二人决定。", "second_approver": "您已完成第一次审批；超过限额须由第二人完成。", "preparer": "制单人不能自己批准，须由第二人批准。",
	"waiting_differs": "现在等待的与您看到的不同，没有批准任何一笔。页面显示的是最新合计，请重新核对。",
	"forbidden":       "您的角色不能执行这一步。", "no_such_step": "表单要求的步骤不存在，请使用页面上的按钮。", "invalid_form": "无法读取表单，请从页面重新提交。",
	"compensation_not_found": "没有这个编号的赔付单；编号以 cmp_ 开头。", "guarantee_not_found": "没有这个救援，或它没有承诺；编号以 req_ 开头。",
	"recording_not_found": "这个救援没有这条登记。", "own_recording": "登记人不能自己批准，须由第二人批准。", "already_approved": "已经批准过。", "already_withdrawn": "已经撤回；撤回的内容从未计入。", "not_withdrawable": "暂停的结束、批准与撤回不能单独撤回；请撤回那次暂停或事实本身。",
	"promise_waived": "承诺已豁免，登记的内容不再计入。", "past_rescue": "这是历史导入的救援，不再登记。", "no_crew_bound": "现在没有救援队接这个救援。", "request_not_found": "没有这个救援。", "role_not_allowed": "您的角色不能执行这一步。",
	"transaction_not_found": "没有这笔分录。",
	"batch_not_found":       "没有这个付款批次。", "batch_line_not_found": "批次中没有这笔付款，可能已被移出。", "batch_empty": "批次是空的，请先加入要付的赔付。",
	"second_person":          "新建或封存批次的人不能批准它，须由第二人批准。",
	"batch_changed":          "批次的明细与封存时不同，没有执行任何操作。付款前请让技术人员检查数据库。",
	"batch_lines_open":       "还有付款没有结果，请先录入结果。",
	"compensation_in_batch":  "这笔赔付已在某个批次中。",
	"bounced_too_often":      "这笔赔付已被退回 35 次；请用其他方式付款，并将它作废。",
	"verdict_differs":        "现在的认定与这笔金额不同；请作废它，或人工处理差额。",
	"idempotency_key_reused": "这份表单已用别的内容提交过；内容若有改动，请再按一次。",
	"payout_not_configured":  "没有配置这种付款方式；请管理员设置 RESCUED_PAYOUT_DIR 或 RESCUED_PAYOUT_URL，或另选一种。",
	"payout_not_failed":      "只有发送失败的付款指令才能重新发送。",
	"payout_not_sent":        "批次尚未送达付款方，不可能已有结果；请在送达之后再录入。",
	"amount_out_of_range":    "金额超出范围。",
	"statement_not_found":    "没有这份对账单。", "statement_exists": "当月已有对账单；请先放弃其草稿，或等下个月。", "month_not_over": "这个月还没有结束，结束后才能生成对账单。", "nothing_to_state": "没有可对账的内容：截至该月末既无服务，也无追偿或分担；请核对对账单的对象。", "statement_line_not_found": "对账单没有这一行。",
	"line_is_no_charge": "只有追偿或分担可以提出异议。", "dispute_window_closed": "争议期已结束。", "lines_in_dispute": "还有争议未裁定，请先裁定。", "not_invoiced": "这份对账单的发票还没有登记，请先登记发票。", "fapiao_used": "这张发票已登记在另一份对账单上。",
	"day_differs": "账簿与对账文件不符；请先处理差额，或由一人签认、另一人日结。", "day_not_over": "这一天还没有结束。", "earlier_day_open": "更早的 {day} 还未日结；须按日期顺序日结。", "day_closed": "这一天已日结，不能再录入或记账。",
	"day_agrees": "没有差额，无需签认；请直接日结。", "second_signer": "您签认了差额，须由第二人日结。", "no_such_day": "没有这一天；请写成 2026-03-02 这样的日期。",
}

// fieldsZH are the fields of forms and files.
var fieldsZH = map[string]string{
	"reason": "理由", "title": "批次名称", "total": "总金额", "lines": "笔数", "paid": "成功部分", "paid_total": "成功金额", "file": "文件", "heading": "文件首行",
	"name": "文件名", "reference": "付款参考号", "amount": "金额", "outcome": "结果", "paid_on": "付款日", "month": "月份", "state": "状态", "at": "时间", "from": "起", "to": "止",
	"up_to": "单笔上限", "whose": "服务商或合作方", "bearer": "服务商或合作方", "fapiao_number": "发票号码", "tax_pct": "税率", "how": "结算方式", "source": "来源", "day": "营业日", "cursor": "翻页位置", "zone": "时区", "account": "账户", "cause": "撤下的原因", "of": "编号", "by": "分类", "history": "历史导入",
}

// figuresZH say a mend with the figures that the API's sentence has. Should
// that sentence change, the mend is said without them.
var figuresZH = map[string]struct {
	in *regexp.Regexp
	zh string
}{
	"total_differs":  {regexp.MustCompile(`^says (\d+) lines and (\S+), and (?:the lines|those paid) are (\d+) and (\S+)$`), "您填写 $1 笔、$2，文件中是 $3 笔、$4"},
	"amount_differs": {regexp.MustCompile(`^is (\S+), and the payment is (\S+)$`), "文件为 $1，该笔付款为 $2"},
	"other_batch":    {regexp.MustCompile(`^is a payment of (\S+); send it there$`), "属于批次 $1，请到那里录入"},
	"duplicate":      {regexp.MustCompile(`^stands in line (\d+) too$`), "与第 $1 行重复"},
	"told_before":    {regexp.MustCompile(`^was told by (\S+)$`), "已在对账文件 $1 中出现过"},
	"other_day":      {regexp.MustCompile(`^is (\S+), and the statement is of (\S+)$`), "是 $1 的付款，而对账文件是 $2 的"},
}

// mendsZH are the mends, by field and code or by code alone. What is not here
// is said as the API says it.
var mendsZH = map[string]string{
	"reason.required": "请写明理由，它随决定存档。", "reason.too_long": "最多 500 字，请写短些。", "reason.text": "只能是普通文字。", "reason.length": "退回的付款须写明原因，最多 500 字。", "reason.not_wanted": "只有退回的付款才写原因。",
	"title.length": "请写 1 至 200 字，例如 2026-02。", "file.required": "请选择一个 CSV 文件。", "file.empty": "文件没有首行；首行须写列名。", "file.csv": "不是 UTF-8 编码的 CSV 文件。",
	"missing_column": "缺少需要的列，请对照说明。", "heading.duplicate": "同一列出现两次。", "unknown_reference": "不是我方的付款。", "other_batch": "属于另一个批次，请到那里录入。", "amount_differs": "与该笔付款的金额不同。",
	"result_contradicts": "与已录入的结果矛盾。", "reference.duplicate": "在文件中出现了两次。", "enum": "不是可选的值；结果须为 paid 或 bounced。", "future": "日期还没有到。", "paid_on.not_wanted": "只有成功的付款才写付款日。",
	"date": "请写成 2026-03-02 这样的日期。", "total_differs": "与文件中各行的合计不符，请核对。", "count": "笔数超出范围。", "amount.amount": "请写成 20.00 这样的金额。", "total.amount": "请写成 1234.00 这样的金额。",
	"paid_total.amount": "请写成 1234.00 这样的金额。", "up_to.amount": "请写成 20.00 这样的金额。", "month.month": "请写成 2026-02 这样的月份。", "moment": "请写成 2026-03-02 15:04 这样的时间。",
	"whose.form": "不是服务商或合作方的编号；编号以 prv_ 或 ptn_ 开头。", "bearer.enum": "只能是服务商或合作方。", "how.no_fees": "平台不欠合作方服务费，无从扣抵；收到合作方付款后登记为已付款。", "fapiao_number.form": "不是发票号码；电子发票为 20 位，旧式为代码加号码共 18 或 20 位。", "tax_pct.rate": "没有这种税率；可用 0、1、3、5、6、9、13。", "reference.required": "请写银行流水号，或扣抵对象。",
	"day.range": "须是已经到来的营业日。", "source.length": "请写来源，1 至 200 字。", "told_before": "已在别的对账文件中出现过。", "other_day": "不是这一天的付款。", "reference.length": "须为 1 至 64 个字符。",
	"to.range": "须晚于开始。", "amount.range": "不是可能付出的金额。", "cursor": "请从第一页重新开始。", "state.enum": "没有这种状态。", "account.enum": "没有这个账户。", "of.number": "请填写赔付单（cmp_…）、批次（bat_…）或分录的编号。",
}
