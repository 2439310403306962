package dispatch

import (
	"fmt"
	"math"
	"time"

	"rescued/events"
)

const (
	// forecastStep is how far the expected arrival of a crew on its way must
	// move before it is told anew, and queueStep that of a request which nobody
	// has accepted: the latter is a guess and swings.
	forecastStep = 2 * time.Minute
	queueStep    = 5 * time.Minute
)

// Warning is what endangers the promise of a request, as it was last told.
type Warning struct {
	Reasons    []events.Reason `json:"reasons" nullable:"false" doc:"no_acceptance, no_movement, silent, moving_away, expected_late; in words."`
	ExpectedAt *time.Time      `json:"expected_at,omitempty" doc:"When help is expected, as it looks now; absent when nobody could come."`
	Remedy     *Remedy         `json:"remedy,omitempty" doc:"The crew that could be sent instead, or at last; for staff."`
	RaisedAt   time.Time       `json:"raised_at" doc:"Since when there has been danger."`
}

// Remedy is the crew that could be sent to a request in danger.
type Remedy struct {
	CrewID     events.CrewID `json:"crew_id"`
	CrewName   string        `json:"crew_name"`
	ReadyAt    time.Time     `json:"ready_at" doc:"When it can be sent: then, or once its present job is over."`
	ExpectedAt time.Time     `json:"expected_at" doc:"Its arrival, sent then."`
	Saves      bool          `json:"saves" doc:"Whether that keeps the promise."`
	Metres     int           `json:"metres" doc:"Straight line to the car, from where it starts."`
	ZH         string        `json:"zh"`
	EN         string        `json:"en"`
}

// has reports whether a danger was told.
func (w *Warning) has(d Danger) bool {
	if w != nil {
		for _, r := range w.Reasons {
			if r.Code == string(d) {
				return true
			}
		}
	}
	return false
}

// differs reports whether a warning says something else than the one told
// before, by more than step in the expected arrival. Either may be nil.
func (w *Warning) differs(was *Warning, step time.Duration) bool {
	if w == nil || was == nil {
		return w != was
	}
	if len(w.Reasons) != len(was.Reasons) {
		return true
	}
	for i := range w.Reasons {
		if w.Reasons[i].Code != was.Reasons[i].Code {
			return true
		}
	}
	a, b := w.Remedy, was.Remedy
	if (a == nil) != (b == nil) || a != nil && (a.CrewID != b.CrewID || a.Saves != b.Saves) {
		return true
	}
	return moved(w.ExpectedAt, was.ExpectedAt, step)
}

// moved reports whether a time is another by at least step.
func moved(a, b *time.Time, step time.Duration) bool {
	if a == nil || b == nil {
		return a != b
	}
	return a.Sub(*b).Abs() >= step
}

// told is the event that tells a warning; without one, that it is over.
func (w *Warning) told(r *Request, at time.Time) events.RequestWarned {
	ev := events.RequestWarned{
		RequestID: r.ID, Area: string(r.Area), DueAt: r.Promise.DueAt, WarnedAt: at,
		Reasons: []events.Reason{}, ExpectedAt: r.ExpectedAt,
	}
	if !r.Crew.IsZero() {
		crew := r.Crew
		ev.CrewID = &crew
	}
	if w == nil {
		return ev
	}
	ev.Reasons, ev.ExpectedAt = w.Reasons, w.ExpectedAt
	if m := w.Remedy; m != nil {
		ev.Remedy = &events.Remedy{
			CrewID: m.CrewID, ReadyAt: m.ReadyAt, ExpectedAt: m.ExpectedAt, Saves: m.Saves, Metres: m.Metres, ZH: m.ZH, EN: m.EN,
		}
	}
	return ev
}

// reasons says an outlook's dangers in words. The words hold as long as the
// danger does: they name no passing minute but that of the expected arrival.
func (o *Outlook) reasons(due time.Time) []events.Reason {
	out := make([]events.Reason, len(o.Dangers))
	for i, d := range o.Dangers {
		r := events.Reason{Code: string(d)}
		switch d {
		case NoAcceptance:
			r.ZH, r.EN = "超过 3 分钟无救援队接单", "No crew has accepted for more than 3 minutes"
		case NoMovement:
			r.ZH, r.EN = "救援队超过 3 分钟没有移动", "The crew has not moved for more than 3 minutes"
		case Silent:
			r.ZH, r.EN = "超过 3 分钟没有救援队的位置", "The crew has not been heard of for more than 3 minutes"
		case MovingAway:
			r.ZH, r.EN = "救援队正在远离车辆", "The crew is moving away from the car"
		case ExpectedLate:
			r.ZH, r.EN = lateWords(o.ExpectedAt, due)
		}
		out[i] = r
	}
	return out
}

func lateWords(expected, due time.Time) (zh, en string) {
	switch late := wholeMinutes(expected.Sub(due)); {
	case expected.IsZero():
		return "没有能够前往的救援队", "No crew that is able could come"
	case late <= 0:
		return "预计到达时间紧贴承诺时间", "Expected at the very edge of the promised time"
	default:
		return fmt.Sprintf("预计晚到约 %d 分钟", late), fmt.Sprintf("Expected about %d min late", late)
	}
}

// words says what a remedy would gain, as seen at a moment.
func (r *Relief) words(now, due time.Time) (zh, en string) {
	zh, en = "另派一队", "Another crew"
	if wait := wholeMinutes(r.ReadyAt.Sub(now)); wait > 0 {
		zh, en = fmt.Sprintf("约 %d 分钟后空出的一队", wait), fmt.Sprintf("A crew that is free in about %d min", wait)
	}
	takes := wholeMinutes(r.ExpectedAt.Sub(now))
	if r.Saves {
		return fmt.Sprintf("%s，约 %d 分钟可到，来得及", zh, takes), fmt.Sprintf("%s could be there in about %d min, in time", en, takes)
	}
	return fmt.Sprintf("%s，约 %d 分钟可到，晚约 %d 分钟", zh, takes, wholeMinutes(r.ExpectedAt.Sub(due))),
		fmt.Sprintf("%s could be there in about %d min, about %d min late", en, takes, wholeMinutes(r.ExpectedAt.Sub(due)))
}

// wholeMinutes rounds up: who comes in 61 seconds is not there in a minute.
func wholeMinutes(d time.Duration) int { return int(math.Ceil(d.Minutes())) }
