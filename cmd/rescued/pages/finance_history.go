package pages

import (
	"encoding/json"

	"rescued/dispatch"
	"rescued/events"
)

// history tells when a compensation accrued and who changed it since, as the
// journal of its rescue has it.
func (f finance) history(entries []dispatch.TimelineEntry, c events.CompensationID) (list []stepTaken, err error) {
	for _, e := range entries {
		var told struct {
			CompensationID events.CompensationID `json:"compensation_id"`
			State          string                `json:"state"`
			Reason         string                `json:"reason"`
		}
		accrued := e.Type == (events.CompensationAccrued{}).EventType()
		if !accrued && e.Type != (events.CompensationChanged{}).EventType() {
			continue
		}
		if err := json.Unmarshal(e.Data, &told); err != nil {
			return nil, err
		}
		if told.CompensationID != c {
			continue
		}
		word := f.State(told.State)
		if accrued {
			word = f.Kind("accrual")
		}
		list = append(list, stepTaken{word, f.Who(events.Actor{Role: e.By, Subject: e.Who}.String()), told.Reason, e.At})
	}
	return list, nil
}
