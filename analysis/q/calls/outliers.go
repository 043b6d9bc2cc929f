package calls

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// Outlier is a call far from its process's median. It stays in every figure.
type Outlier struct {
	cells.Subject
	Scenario  string   `json:"scenario" doc:"name of the scenario"`
	Mode      string   `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	Replicate int      `json:"replicate" doc:"the block"`
	Rep       int      `json:"rep" doc:"index of the repetition"`
	LatencyMS float64  `json:"latency_ms" unit:"ms" doc:"its time"`
	Times     float64  `json:"times_median" doc:"the same over the median of its process"`
	Canary    *float64 `json:"canary_times_median" doc:"what the canary before it took over the median of its backend in the run; the part of it that is farther off"`
	Cause     string   `json:"cause" doc:"disturbed: the canary before it was far off too; own: it was not; unknown: there was none"`
}

// Causes of outliers.
const (
	CauseDisturbed = "disturbed"
	CauseOwn       = "own"
	CauseUnknown   = "unknown"
)

const (
	outlierCalls = 5    // fewer calls of a cell have no scatter to speak of
	outlierShare = 0.05 // what is nearer to the median is none, however little the others scatter
)

// outliers finds the calls that lie far from the others of their process, by the
// scatter of all calls of the cell about their processes' medians.
func (a *Answer) outliers(set *cells.Set) {
	set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if len(g.All) < outlierCalls {
			return
		}
		var rows []*runs.Row
		var times []float64
		for _, p := range g.AllProcesses() {
			ms := cells.Latencies(p.Rows)
			mid := stats.Median(ms)
			for i, r := range p.Rows {
				rows, times = append(rows, r), append(times, ms[i]/mid)
			}
		}
		for i, out := range stats.Outlying(times, outlierShare) {
			r := rows[i]
			if !out || r.Rep == nil {
				continue
			}
			o := Outlier{Subject: k.Series.Of(m), Scenario: k.Scenario, Mode: k.Mode, Replicate: r.Replicate, Rep: *r.Rep,
				LatencyMS: *r.LatencyMS, Times: times[i], Cause: CauseUnknown}
			if off, disturbed, known := set.Canary(r); known {
				if o.Canary, o.Cause = &off, CauseOwn; disturbed {
					o.Cause = CauseDisturbed
				}
			}
			a.Outliers = append(a.Outliers, o)
		}
	})
}
