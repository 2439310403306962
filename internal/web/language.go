package web

import (
	"net/http"
	"strconv"
	"strings"

	"rescued/internal/fault"
)

// Language is the language a page or problem is written in, "zh" or "en":
// the query's lang when it names one of them, else the better of the two by
// Accept-Language, else "en".
func Language(r *http.Request) string {
	if lang := r.URL.Query().Get("lang"); lang == "zh" || lang == "en" {
		return lang
	}
	return languageOf(r.Header.Get("Accept-Language"))
}

// languageOf reads Accept-Language (RFC 9110, section 12.5.4).
func languageOf(accept string) string {
	best, weight := "en", 0.0
	for part := range strings.SplitSeq(accept, ",") {
		tag, params, _ := strings.Cut(part, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			parsed, err := strconv.ParseFloat(v, 64)
			if err != nil {
				continue
			}
			q = parsed
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if (primary == "zh" || primary == "en") && q > weight {
			best, weight = primary, q
		}
	}
	return best
}

type words struct{ en, zh string }

func (w words) in(lang string) string {
	if lang == "zh" {
		return w.zh
	}
	return w.en
}

// titles are by kind; codeTitles are for codes that deserve their own.
var titles = map[fault.Kind]words{
	fault.Invalid:       {"The input is not valid", "输入有误"},
	fault.Unauthorized:  {"Sign in first", "请先登录"},
	fault.Forbidden:     {"Not allowed", "没有权限"},
	fault.NotFound:      {"Not found", "未找到"},
	fault.Conflict:      {"Not possible in the present state", "当前状态不允许此操作"},
	fault.Stale:         {"Changed in the meantime", "数据已被更新"},
	fault.TooLarge:      {"Too large", "内容过大"},
	fault.Unprocessable: {"Understood, but cannot be done", "无法处理该请求"},
	fault.Limited:       {"Too many calls", "请求过于频繁"},
	fault.Busy:          {"Busy, try again", "系统繁忙,请稍后重试"},
	fault.Internal:      {"Something went wrong on our side", "系统内部错误"},
}

var codeTitles = map[string]words{
	"broken_json":            {"The JSON is broken", "JSON 格式错误"},
	"unsupported_media_type": {"The media type is not supported", "不支持的内容类型"},
	"method_not_allowed":     {"The method is not allowed here", "不支持的请求方法"},
	"if_match_required":      {"Say which version you saw", "请提供版本号"},
	"cross_origin":           {"Refused: the call came from another site", "已拒绝跨站请求"},
}

// details are Chinese sentences for codes whose English detail says no more
// than the code does; all others stay as given.
var details = map[string]string{
	"unauthorized": "请登录:在 Authorization 头中以 Bearer 方式提供有效令牌。",
	"busy":         "服务的某一部分暂时不可用,请稍后重试。",
	"invalid":      "输入有误,详见 fields。",
	"rate_limited": "调用过于频繁,请稍候再试。",
}

func title(lang string, f *fault.Error) string {
	if w, ok := codeTitles[f.Code]; ok {
		return w.in(lang)
	}
	return titles[f.Kind].in(lang)
}

func detail(lang string, f *fault.Error) string {
	if zh, ok := details[f.Code]; ok && lang == "zh" {
		return zh
	}
	return f.Detail
}
