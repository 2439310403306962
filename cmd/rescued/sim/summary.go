package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"rescued/sla"
)

// Summary is a run in figures.
type Summary struct {
	Policy    string `json:"policy"`
	SLAPolicy string `json:"sla_policy"` // name and version
	Requests  int    `json:"requests"`
	Served    int    `json:"served"`
	Unserved  int    `json:"unserved"` // no crew of the fleet could ever serve them
	OnTime    int    `json:"on_time"`
	Late      int    `json:"late"`
	// OnTimeShare is of all requests: one that nobody serves is not on time.
	OnTimeShare float64 `json:"on_time_share"`
	// The response is from call to arrival, over the served requests; a
	// percentile is the least response that so many do not exceed.
	ResponseMeanS float64 `json:"response_mean_s"`
	ResponseP50S  float64 `json:"response_p50_s"`
	ResponseP90S  float64 `json:"response_p90_s"`
	ResponseP99S  float64 `json:"response_p99_s"`
	ResponseMaxS  float64 `json:"response_max_s"`
	LateMeanS     float64 `json:"late_mean_s"` // over the late arrivals
	LateTotalS    float64 `json:"late_total_s"`

	CompensationFen sla.Fen `json:"compensation_fen"`
	Crews           int     `json:"crews"`
	// CrewUtilisation is the share of the crews' time with a job, turnout and
	// drive included, of their time on shift or finishing after it, from the
	// first call to the last crew freed.
	CrewUtilisation float64 `json:"crew_utilisation"`
	// Diversions counts legs that a crew on its way to a request did not end.
	Diversions int `json:"diversions"`
	// DrivenKm is the road the fleet drove, detour included; MovedKm is how much
	// of it idle crews drove to stand elsewhere.
	DrivenKm float64 `json:"driven_km"`
	MovedKm  float64 `json:"moved_km"`
	// StandReady is whether idle crews followed the advice where to stand.
	StandReady bool `json:"stand_ready"`
}

// Summarise works out the figures of a run over a world.
func Summarise(w World, policy string, r *Result) (Summary, error) {
	s := Summary{
		Policy: policy, SLAPolicy: policyName(w.Pays), Requests: len(r.Rows), Crews: len(w.Fleet),
	}
	var response, late int64 // milliseconds
	waits := make([]time.Duration, 0, len(r.Rows))
	for _, row := range r.Rows {
		s.Diversions += row.Swaps
		if !row.Served() {
			s.Unserved++
			continue
		}
		s.Served++
		waits = append(waits, row.Response())
		response += milliseconds(row.Response())
		if row.Late > 0 {
			s.Late++
			late += milliseconds(row.Late)
		} else {
			s.OnTime++
		}
		var err error
		if s.CompensationFen, err = s.CompensationFen.Plus(row.Fen); err != nil {
			return Summary{}, err
		}
	}
	slices.Sort(waits)
	s.OnTimeShare = share(s.OnTime, s.Requests)
	s.ResponseMeanS = mean(response, s.Served)
	s.ResponseP50S, s.ResponseP90S = percentile(waits, 50), percentile(waits, 90)
	s.ResponseP99S, s.ResponseMaxS = percentile(waits, 99), percentile(waits, 100)
	s.LateMeanS, s.LateTotalS = mean(late, s.Late), rounded(float64(late)/1000, 3)
	s.DrivenKm, s.MovedKm = rounded(r.DrivenM/1000, 1), rounded(r.MovedM/1000, 1)
	if r.PresentMs > 0 {
		s.CrewUtilisation = rounded(float64(r.WorkingMs)/float64(r.PresentMs), 6)
	}
	return s, nil
}

func policyName(p sla.Policy) string { return fmt.Sprintf("%s v%d", p.Name, p.Version) }

// percentile takes a sorted list; 0 for an empty one.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return seconds(sorted[max(rank, 1)-1])
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return rounded(float64(n)/float64(of), 6)
}

// mean is in seconds, of a sum in milliseconds.
func mean(sum int64, n int) float64 {
	if n == 0 {
		return 0
	}
	return rounded(float64(sum)/1000/float64(n), 3)
}

func seconds(d time.Duration) float64 { return rounded(d.Seconds(), 3) }

func rounded(x float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(x*unit) / unit
}
