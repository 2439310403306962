package pages

import (
	"fmt"
	"strconv"

	"rescued/internal/fault"
)

// text is everything a page says in one language. Every field is filled in
// both languages; a test holds them to it.
type text struct {
	Lang, Other, OtherLanguage string

	QueueTitle, QueueEmpty, Connecting, NoScript, Summary string
	OwnerTitle, StateWord, CrewWord, ExpectedWord         string
	DueWord, CarWord, CodeTitle, CodeHint, OwedTitle      string
	StoryTitle, ConfirmButton, CancelButton, CancelHint   string
	AskTitle, AskLead, WhereLegend, CarLegend, YouLegend  string
	LocateButton, LatLabel, LngLabel, DatumLabel          string
	AddressLabel, RoadLabel, PlateLabel, EnergyLabel      string
	ProblemLabel, NameLabel, PhoneLabel, AskButton        string
	AskPromise, NotFoundTitle, NotFoundText               string
	LoginTitle, LoginText, OpenedWord                     string
	ReadyTitle, ReadyEmpty, ReadyHint                     string
	ReadyTo, ReadyDrive, ReadyGain, ReadyWhy, ReadyLeaves string

	fast, promise, outside string

	Tiers      map[string]string
	Filters    map[string]string
	Columns    []string
	ReadyCols  []string
	Compass    []string // from north, clockwise
	States     map[string]string
	Problems   map[string]string
	Priorities []string
	Energies   map[string]string
	Roads      map[string]string
	Datums     map[string]string
	Flags      map[string]string
	Events     map[string]string // what changed, by event type
	Live       map[string]string // words of the live parts
	Refused    map[string]string // why the form is not taken, by code
	Wrong      map[string]string // what a field of the form must be, by its name
}

// Refusal says why a form is not taken. What has no words of its own is said
// as the API says it.
func (t text) Refusal(f *fault.Error) string {
	if at, ok := f.Facts["nearest"].(map[string]any); ok {
		return fmt.Sprintf(t.outside, at["name"], at["km"])
	}
	if said, ok := t.Refused[f.Code]; ok {
		return said
	}
	return f.Detail
}

// Mend says what a field of the form must be.
func (t text) Mend(name string, f fault.Field) string {
	if said, ok := t.Wrong[name]; ok {
		return said
	}
	return f.Detail
}

// Fast says that the system's clock runs faster than the wall's.
func (t text) Fast(speed float64) string {
	return fmt.Sprintf(t.fast, strconv.FormatFloat(speed, 'f', -1, 64))
}

// either picks what is said in both languages.
func (t text) either(zh, en string) string {
	if t.Lang == "en" {
		return en
	}
	return zh
}

// Promised says what was promised.
func (t text) Promised(minutes int) string { return fmt.Sprintf(t.promise, minutes) }

// shapes go with the tiers in both languages: never colour alone.
var shapes = map[string]string{"breached": "✕", "risk10": "▲", "risk20": "◆", "ok": "●", "arrived": "○"}

// texts are the two languages of the pages.
var texts = map[string]text{
	"zh": {
		Lang: "zh-CN", Other: "en", OtherLanguage: "English",
		QueueTitle: "实时救援队列", QueueEmpty: "现在没有等待救援的车辆。", Connecting: "正在连接…",
		NoScript: "未启用 JavaScript：此页显示打开时的状态，请刷新以更新。",
		Summary:  "等待到达 {all} 单，已超时 {breached} 单，无人可派 {stranded} 单",

		OwnerTitle: "我的救援", StateWord: "状态", CrewWord: "救援队", ExpectedWord: "预计到达", OpenedWord: "请求时间", DueWord: "承诺时间", CarWord: "车辆",
		CodeTitle: "到达确认码", CodeHint: "救援人员到达后，请把确认码告诉他；确认码证明他已到您身边。",
		OwedTitle: "承诺与赔付", StoryTitle: "进展", ConfirmButton: "救援人员已到达", CancelButton: "取消救援",
		CancelHint: "承诺时间之前取消不产生赔付。",

		AskTitle: "道路救援", AskLead: "告诉我们车在哪里、出了什么问题。我们立即派最近的救援队，并当场给出到达承诺：超时就赔。",
		WhereLegend: "车在哪里", CarLegend: "车辆与问题", YouLegend: "联系与安全",
		LocateButton: "使用我的位置", LatLabel: "纬度", LngLabel: "经度", DatumLabel: "坐标来源",
		AddressLabel: "地址或路标", RoadLabel: "道路", PlateLabel: "车牌", EnergyLabel: "动力", ProblemLabel: "问题",
		NameLabel: "姓名", PhoneLabel: "电话", AskButton: "请求救援",
		AskPromise:    "提交后您会立刻看到承诺的到达时间和专属跟踪链接。",
		NotFoundTitle: "链接无效", NotFoundText: "这个链接不存在或已失效。需要帮助请重新提交请求。",
		LoginTitle: "需要登录", LoginText: "队列只对调度人员开放，请使用您的登录链接。",

		ReadyTitle: "待命建议", ReadyEmpty: "现在没有值得移动的空闲救援队。",
		ReadyHint: "按历史同一时段的需求和各救援队当前位置计算（{clock}）。仅供参考，不会自动派遣；刷新页面以更新。",
		ReadyTo:   "向{direction}约 {km} 公里，{lat}, {lng}", ReadyDrive: "{minutes} 分钟", ReadyGain: "每小时多兑现 {gain} 个承诺",
		ReadyWhy:    "到那里后，每小时约 {calls} 个原位置来不及的求助可以按时到达，目前平均有 {others} 支其他救援队来得及",
		ReadyLeaves: "；原位置每小时约 {calls} 个求助改由其他 {others} 支救援队负责",
		ReadyCols:   []string{"救援队", "区域", "去向", "车程", "收益", "理由"},
		Compass:     []string{"北", "东北", "东", "东南", "南", "西南", "西", "西北"},

		fast: "演示时钟：以 %s 倍速运行，45 分钟的承诺相应缩短。", promise: "承诺 %d 分钟内到达",

		Tiers:   map[string]string{"breached": "已超时", "risk10": "≤10 分钟", "risk20": "≤20 分钟", "ok": "正常", "arrived": "已到达"},
		Filters: map[string]string{"all": "全部", "unassigned": "未派单", "stranded": "无人可派", "unproven": "到达待核实", "at_risk": "有风险"},
		Columns: []string{"紧急程度", "剩余", "车辆", "优先", "地点", "救援队", "预计到达", "请求时间"},
		States: map[string]string{
			"open": "正在寻找救援队", "stranded": "暂无可派救援队，持续重试", "offered": "正在询问救援队", "assigned": "已接单",
			"en_route": "正在路上", "on_scene": "已到达现场", "done": "已完成", "cancelled": "已取消",
		},
		Problems: map[string]string{
			"battery_jump": "搭电", "battery_replace": "换电瓶", "tyre": "轮胎", "fuel": "缺油", "ev_charge": "缺电补能", "ev_fault": "电车故障",
			"lockout": "开锁", "tow_flatbed": "平板拖车", "tow_wheel_lift": "托举拖车", "winch": "脱困", "accident": "事故",
			"garage_extraction": "地库拖车", "heavy": "重型救援", "other": "其他",
		},
		Priorities: []string{"危及生命", "处境危险", ""},
		Energies:   map[string]string{"ice": "燃油", "bev": "纯电", "phev": "插电混动", "erev": "增程"},
		Roads:      map[string]string{"urban": "城市道路", "rural": "乡村或郊区道路", "motorway": "高速公路"},
		Datums:     map[string]string{"gcj02": "高德、腾讯、微信（GCJ-02）", "bd09": "百度（BD-09）", "wgs84": "手机卫星定位（WGS-84）"},
		Flags:      map[string]string{"live_lane": "车停在行车道上", "children": "车上有儿童", "alone_at_night": "夜间独自一人", "injury": "有人受伤"},
		Events: map[string]string{
			"opened": "请求已受理，承诺 {due} 前到达", "offered": "已询问一支救援队", "lapsed": "该救援队未能接单，继续寻找",
			"assigned": "救援队已接单，预计 {expected} 到达", "stranded": "附近暂无可派救援队，正在持续重试", "departed": "救援队已出发",
			"unproven": "救援队报告到达，正在核实", "arrived": "救援队已到达，到达时间 {arrived}", "released": "救援队退出，重新寻找",
			"cancelled": "请求已取消", "finished": "救援完成", "at_risk": "可能超时，正在设法补救", "warned": "{reasons}", "calm": "险情解除，预计 {expected} 到达", "calm_waiting": "险情解除", "breached": "已超过承诺时间", "moved": "承诺到达时间由 {was} 改为 {due} {reasons}",
			"met": "承诺兑现：按时到达", "late": "未按时到达，应赔付 {owed}", "void": "无需赔付", "waived": "已豁免",
			"accrued": "赔付已登记 {owed}", "approved": "赔付已批准", "disputed": "赔付复核中", "batched": "赔付已列入付款批次", "paid": "赔付已支付",
		},
		outside: "该位置不在服务范围内；最近的服务地点是%v，距离约 %v 公里。",
		Refused: map[string]string{
			"invalid":                "有几处需要更正，请看标出的项目。",
			"invalid_finance":        "有几处需要更正，什么都没有执行：",
			"plate_has_open_request": "这个车牌已有进行中的求助；请用那次求助的链接跟踪或取消。",
			"idempotency_key_reused": "这次求助已经提交过。内容若有改动，请再按一次“请求救援”。",
		},
		Wrong: map[string]string{
			"lat": "请填写纬度，-90 到 90 之间的数", "lng": "请填写经度，-180 到 180 之间的数", "datum": "请选择坐标来源", "accuracy_m": "定位精度无效，请重新定位",
			"address": "最多 200 字，不含特殊控制字符", "road_class": "请选择道路", "plate": "请填写车牌：2 至 12 位汉字、字母或数字", "energy": "请选择动力",
			"problem": "请选择问题", "name": "请填写姓名，最多 80 字", "phone": "请填写电话号码，例如 138 0013 8000",
		},
		Live: map[string]string{
			"live": "实时", "reconnecting": "重连中 {seconds} 秒", "stopped_at": "数据停在 {time}", "offered": "已询问，剩", "round": "第 {n} 次",
			"stranded": "无人可派", "waiting": "待派单", "now": "现在",
			"held_planned": "已排给救援队，{free} 空出，预计 {time} 到达", "held_for_promises": "暂缓：先保其他承诺", "held_awaits_crew": "等救援队空出（{free}），预计 {time} 到达",
			"remedy": "补救：{crew}（{what}）", "unproven": "到达待核实", "passed": "已过 {time}", "left": "距承诺时间", "overdue": "已超过承诺时间",
			"arrived_at": "{time} 已到达", "away": "距您 {km} 公里（{time}）", "owed": "应赔付 {amount}",
			"locating": "正在定位…", "located": "已定位，误差约 {metres} 米", "not_located": "无法定位，请手工填写。",
		},
	},
	"en": {
		Lang: "en", Other: "zh", OtherLanguage: "中文",
		QueueTitle: "Live rescue queue", QueueEmpty: "No car is waiting for help right now.", Connecting: "Connecting…",
		NoScript: "JavaScript is off: this page shows the state when it was opened; reload to update.",
		Summary:  "{all} waiting for help to arrive, {breached} breached, {stranded} stranded",

		OwnerTitle: "Your rescue", StateWord: "State", CrewWord: "Crew", ExpectedWord: "Expected", OpenedWord: "Called", DueWord: "Promised by", CarWord: "Car",
		CodeTitle: "Arrival code", CodeHint: "Tell it to the crew when they stand before you; it proves that they arrived.",
		OwedTitle: "Promise and compensation", StoryTitle: "What happened", ConfirmButton: "The crew is here", CancelButton: "Cancel",
		CancelHint: "Cancelling before the promised time pays nothing.",

		AskTitle: "Roadside rescue", AskLead: "Tell us where the car is and what is wrong. The nearest crew is sent at once, with a promised time of arrival: late is paid for.",
		WhereLegend: "Where is the car", CarLegend: "Car and problem", YouLegend: "Contact and safety",
		LocateButton: "Use my position", LatLabel: "Latitude", LngLabel: "Longitude", DatumLabel: "Coordinates from",
		AddressLabel: "Address or landmark", RoadLabel: "Road", PlateLabel: "Plate", EnergyLabel: "Energy", ProblemLabel: "Problem",
		NameLabel: "Name", PhoneLabel: "Phone", AskButton: "Ask for help",
		AskPromise:    "You will see the promised time of arrival and your own tracking link at once.",
		NotFoundTitle: "This link leads nowhere", NotFoundText: "It does not exist or has ended. If you need help, ask again.",
		LoginTitle: "Login needed", LoginText: "The queue is for dispatch operators; use your login link.",

		ReadyTitle: "Standing ready", ReadyEmpty: "No idle crew is worth moving now.",
		ReadyHint: "From the demand of this hour in past weeks and where crews are now ({clock}). Advice only: nobody is sent; reload to update.",
		ReadyTo:   "about {km} km {direction}, {lat}, {lng}", ReadyDrive: "{minutes} min", ReadyGain: "{gain} more promises kept an hour",
		ReadyWhy:    "from there it is in time for {calls} calls an hour that it does not reach from where it stands, and {others} other crews do on average",
		ReadyLeaves: "; it leaves {calls} calls an hour to {others} others",
		ReadyCols:   []string{"Crew", "Area", "Towards", "Drive", "Gain", "Why"},
		Compass:     []string{"north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"},

		fast: "Demonstration clock: %s times as fast as the wall's; a 45-minute promise is that much shorter.", promise: "Promised within %d minutes",

		Tiers:   map[string]string{"breached": "breached", "risk10": "≤ 10 min", "risk20": "≤ 20 min", "ok": "on time", "arrived": "arrived"},
		Filters: map[string]string{"all": "all", "unassigned": "unassigned", "stranded": "stranded", "unproven": "arrival unproven", "at_risk": "at risk"},
		Columns: []string{"Urgency", "Left", "Car", "Priority", "Place", "Crew", "Expected", "Called"},
		States: map[string]string{
			"open": "looking for a crew", "stranded": "no crew free; trying on", "offered": "asking a crew", "assigned": "a crew has accepted",
			"en_route": "on the way", "on_scene": "on the scene", "done": "done", "cancelled": "cancelled",
		},
		Problems: map[string]string{
			"battery_jump": "jump start", "battery_replace": "new battery", "tyre": "tyre", "fuel": "out of fuel", "ev_charge": "out of charge", "ev_fault": "EV fault",
			"lockout": "locked out", "tow_flatbed": "flatbed tow", "tow_wheel_lift": "wheel-lift tow", "winch": "winch out", "accident": "accident",
			"garage_extraction": "out of a garage", "heavy": "heavy rescue", "other": "other",
		},
		Priorities: []string{"danger to life", "exposed", ""},
		Energies:   map[string]string{"ice": "petrol or diesel", "bev": "battery electric", "phev": "plug-in hybrid", "erev": "range extender"},
		Roads:      map[string]string{"urban": "city road", "rural": "country or suburban road", "motorway": "motorway"},
		Datums:     map[string]string{"gcj02": "AMap, Tencent, WeChat (GCJ-02)", "bd09": "Baidu (BD-09)", "wgs84": "phone satellite fix (WGS-84)"},
		Flags:      map[string]string{"live_lane": "The car stands in a live lane", "children": "Children are in the car", "alone_at_night": "Alone at night", "injury": "Somebody is hurt"},
		Events: map[string]string{
			"opened": "Request accepted, help promised by {due}", "offered": "A crew was asked", "lapsed": "That crew could not take it; the search goes on",
			"assigned": "A crew accepted, expected at {expected}", "stranded": "No crew is free nearby; trying on", "departed": "The crew set out",
			"unproven": "The crew reports arrival; being checked", "arrived": "The crew arrived at {arrived}", "released": "The crew dropped out; the search goes on",
			"cancelled": "The request was cancelled", "finished": "The work is done", "at_risk": "The promise is at risk; being worked on", "warned": "{reasons}", "calm": "Back on track, expected at {expected}", "calm_waiting": "Back on track", "breached": "The promised time has passed", "moved": "The promised time moves from {was} to {due} {reasons}",
			"met": "Promise kept: arrived in time", "late": "Not in time: {owed} is owed", "void": "Nothing is owed", "waived": "Waived",
			"accrued": "Compensation of {owed} recorded", "approved": "Compensation approved", "disputed": "Compensation under review", "batched": "Compensation in a payment batch", "paid": "Compensation paid",
		},
		outside: "We do not cover that place; the nearest we do is %v, about %v km away.",
		Refused: map[string]string{
			"invalid":                "Some things need correcting; see what is marked.",
			"invalid_finance":        "Some things need correcting; nothing was done:",
			"plate_has_open_request": "There is an open request for this plate; follow or cancel that one by its link.",
			"idempotency_key_reused": "This request has been sent already. If you have changed it, press the button once more.",
		},
		Wrong: map[string]string{
			"lat": "Give the latitude, a number between -90 and 90", "lng": "Give the longitude, a number between -180 and 180", "datum": "Say where the coordinates are from", "accuracy_m": "The accuracy cannot be; find your position again",
			"address": "At most 200 characters of plain text", "road_class": "Choose the road", "plate": "Give the plate: 2 to 12 letters and digits", "energy": "Choose the energy",
			"problem": "Choose the problem", "name": "Give a name, at most 80 characters", "phone": "Give a telephone number, such as +86 138 0013 8000",
		},
		Live: map[string]string{
			"live": "live", "reconnecting": "reconnecting, {seconds} s", "stopped_at": "data stopped at {time}", "offered": "asked,", "round": "try {n}",
			"stranded": "stranded", "waiting": "waiting", "now": "now",
			"held_planned": "planned for a crew that is free at {free}, there at {time}", "held_for_promises": "put off: other promises first", "held_awaits_crew": "waits for a crew to come free ({free}), there at {time}",
			"remedy": "remedy: {crew} ({what})", "unproven": "arrival unproven", "passed": "{time} ago", "left": "left of the promise", "overdue": "past the promised time",
			"arrived_at": "arrived {time}", "away": "{km} km away ({time})", "owed": "{amount} is owed",
			"locating": "Finding your position…", "located": "Found, within about {metres} m", "not_located": "No position; please fill it in.",
		},
	},
}
