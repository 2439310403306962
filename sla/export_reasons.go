package sla

import (
	"bytes"
	"encoding/json"
	"time"

	"rescued/events"
)

// reasonText writes the reasons of verdicts as cells. It reads them as they
// are stored, without building them: that took half the time of an export.
type reasonText struct {
	loc    *time.Location
	zh, en []byte
}

// read gives reasons, a JSON array, as one text for each language.
func (r *reasonText) read(reasons []byte) (zh, en string, err error) {
	if r.plain(reasons) {
		return string(r.zh), string(r.en), nil
	}
	var list []events.Reason
	if err := json.Unmarshal(reasons, &list); err != nil {
		return "", "", err
	}
	zh, en = reasonLines(list, r.loc)
	return zh, en, nil
}

// plain reads what our own encoder has written where it needed no escapes,
// and reports false of anything else.
func (r *reasonText) plain(p []byte) bool {
	r.zh, r.en = r.zh[:0], r.en[:0]
	if !cut(&p, "[") {
		return false
	}
	for first := true; ; first = false {
		if first && cut(&p, "]") {
			return len(p) == 0
		}
		if !first {
			r.zh, r.en = append(r.zh, "；"...), append(r.en, "; "...)
		}
		if !r.one(&p) {
			return false
		}
		if cut(&p, "]") {
			return len(p) == 0
		}
		if !cut(&p, ",") {
			return false
		}
	}
}

// one reads one reason.
func (r *reasonText) one(p *[]byte) bool {
	if !cut(p, "{") {
		return false
	}
	if cut(p, `"at":`) {
		text, ok := cutText(p)
		var at time.Time
		if !ok || at.UnmarshalText(text) != nil || !cut(p, ",") {
			return false
		}
		at = at.In(r.loc)
		r.zh, r.en = at.AppendFormat(r.zh, timeOfDay), at.AppendFormat(r.en, timeOfDay)
	}
	for _, member := range []struct {
		name string
		into *[]byte
	}{{`"code":`, nil}, {`,"zh":`, &r.zh}, {`,"en":`, &r.en}} {
		if !cut(p, member.name) {
			return false
		}
		text, ok := cutText(p)
		if !ok {
			return false
		}
		if member.into != nil {
			*member.into = append(*member.into, text...)
		}
	}
	if cut(p, `,"fen":`) {
		*p = bytes.TrimLeft(*p, "-0123456789")
	}
	return cut(p, "}")
}

func cut(p *[]byte, what string) bool {
	if len(*p) < len(what) || string((*p)[:len(what)]) != what {
		return false
	}
	*p = (*p)[len(what):]
	return true
}

// cutText takes a string without escapes.
func cutText(p *[]byte) ([]byte, bool) {
	if !cut(p, `"`) {
		return nil, false
	}
	end := bytes.IndexByte(*p, '"')
	if end < 0 || bytes.IndexByte((*p)[:end], '\\') >= 0 {
		return nil, false
	}
	text := (*p)[:end]
	*p = (*p)[end+1:]
	return text, true
}
