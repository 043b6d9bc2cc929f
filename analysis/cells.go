package analysis

import (
	"math"

	"llmscale/analysis/stats"
)

// eventGaps compares host and device clocks, by backend, mode and warm-up.
func (a *analyzer) eventGaps() {
	type key struct {
		backend, mode string
		warmup        bool
	}
	rel, abs := map[key][]float64{}, map[key][]float64{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		ms, ok := r.Latency()
		if !r.Counts() || !ok || r.CUDAEventMS == nil || !(*r.CUDAEventMS > 0) {
			continue
		}
		k := key{r.Backend, r.Mode, r.IsWarmup}
		gap := math.Abs(ms - *r.CUDAEventMS)
		abs[k], rel[k] = append(abs[k], gap), append(rel[k], gap/ms)
	}
	done := map[key]bool{}
	for _, s := range a.Series {
		for _, mode := range a.Modes {
			for _, warm := range []bool{false, true} {
				k := key{s.Backend, mode, warm}
				if len(abs[k]) == 0 || done[k] {
					continue
				}
				done[k] = true
				sr, sa := stats.Sorted(rel[k]), stats.Sorted(abs[k])
				a.res.EventGaps = append(a.res.EventGaps, EventGap{Backend: s.Backend, Mode: mode, IsWarmup: warm, N: len(sr),
					RelMedian: stats.QuantileSorted(sr, 0.5), RelP95: stats.PercentileSorted(sr, 0.95, stats.NeedP95),
					AbsMedianMS: stats.QuantileSorted(sa, 0.5), AbsP95MS: stats.PercentileSorted(sa, 0.95, stats.NeedP95)})
			}
		}
	}
}
