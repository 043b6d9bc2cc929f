package device

import (
	"math"

	"llmscale/analysis/stats"
)

// Gap compares the host clock with CUDA events.
type Gap struct {
	Backend     string           `json:"backend" doc:"name of the backend"`
	Mode        string           `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	IsWarmup    bool             `json:"is_warmup" doc:"true for warm-ups"`
	N           int              `json:"n" unit:"calls" doc:"calls with both times"`
	RelMedian   float64          `json:"rel_gap_median" doc:"median of |host - device| / host"`
	RelP95      stats.Percentile `json:"rel_gap_p95" doc:"its 95th percentile; 'too few' below 130 calls"`
	AbsMedianMS float64          `json:"abs_gap_ms_median" unit:"ms" doc:"median of |host - device|"`
	AbsP95MS    stats.Percentile `json:"abs_gap_ms_p95" unit:"ms" doc:"its 95th percentile; 'too few' below 130 calls"`
}

// clocks compares host and device clocks, by backend, mode and warm-up.
func (a *Answer) clocks() {
	type key struct {
		backend, mode string
		warmup        bool
	}
	rel, abs := map[key][]float64{}, map[key][]float64{}
	for i := range a.set.Run.Rows {
		r := &a.set.Run.Rows[i]
		ms, ok := r.Latency()
		if !r.Counts() || !ok || r.CUDAEventMS == nil || !(*r.CUDAEventMS > 0) {
			continue
		}
		k := key{r.Backend, r.Mode, r.IsWarmup}
		gap := math.Abs(ms - *r.CUDAEventMS)
		abs[k], rel[k] = append(abs[k], gap), append(rel[k], gap/ms)
	}
	for _, backend := range a.set.Backends() {
		for _, mode := range a.set.Modes {
			for _, warm := range []bool{false, true} {
				k := key{backend, mode, warm}
				if len(abs[k]) == 0 {
					continue
				}
				sr, sa := stats.Sorted(rel[k]), stats.Sorted(abs[k])
				a.Gaps = append(a.Gaps, Gap{Backend: backend, Mode: mode, IsWarmup: warm, N: len(sr),
					RelMedian: stats.QuantileSorted(sr, 0.5), RelP95: stats.PercentileSorted(sr, 0.95, stats.NeedP95),
					AbsMedianMS: stats.QuantileSorted(sa, 0.5), AbsP95MS: stats.PercentileSorted(sa, 0.95, stats.NeedP95)})
			}
		}
	}
}
