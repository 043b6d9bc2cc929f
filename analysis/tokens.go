package analysis

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// tokens gathers the decode steps of each cell, by position and pooled, and the
// ratio of slow ones to the middle one.
func (a *analyzer) tokens() {
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			var relative []float64 // each token over its scenario's median
			var calls [][]float64  // each token over the median of its call
			var mine []Tail
			for _, sc := range a.Scenarios {
				g := a.Group(s.Key(m.Name, sc, record.ModeDecode))
				if g == nil {
					continue
				}
				t, ok := tokenSeries(g.Rows)
				if !ok {
					continue
				}
				t.Backend, t.BatchSize, t.Model, t.ParamsM, t.Scenario = s.Backend, s.BatchSize, m.Name, m.ParamsMillions, sc
				a.res.Tokens = append(a.res.Tokens, t)

				pool := stats.Sorted(t.PooledMS)
				tail := tailOf(pool, true)
				tail.Scenario = sc
				mine = append(mine, tail)
				if mid := stats.QuantileSorted(pool, 0.5); mid > 0 && a.Joins(sc) {
					for _, r := range g.Rows {
						for _, ns := range r.TokenNS {
							relative = append(relative, float64(ns)/1e6/mid)
						}
						if own := withinCall(r.TokenNS); own != nil {
							calls = append(calls, own)
						}
					}
				}
			}
			if len(relative) > 0 {
				slices.Sort(relative)
				all := tailOf(relative, false)
				all.Scenario = cells.AllScenarios
				all.Calls = len(calls)
				if e, ok := stats.PooledTail(calls, stats.NeedP95); ok {
					all.P95InCalls, all.P95InCallsSE = stats.Finite(math.Exp(e.Value)), stats.Finite(math.Sqrt(e.Variance))
				}
				mine = append(mine, all)
			}
			for _, t := range mine {
				t.Backend, t.BatchSize, t.Model, t.ParamsM = s.Backend, s.BatchSize, m.Name, m.ParamsMillions
				a.res.Tails = append(a.res.Tails, t)
			}
		}
	}
}

// tokenSeries lines up the calls' token times by position.
func tokenSeries(rows []*runs.Row) (t TokenSeries, ok bool) {
	var at [][]float64
	for _, r := range rows {
		if len(r.TokenNS) == 0 {
			continue
		}
		t.Reps++
		for i, ns := range r.TokenNS {
			if i == len(at) {
				at = append(at, nil)
			}
			ms := float64(ns) / 1e6
			at[i] = append(at[i], ms)
			t.PooledMS = append(t.PooledMS, ms)
		}
	}
	for _, xs := range at {
		slices.Sort(xs) // this function's own
		t.MedianMS = append(t.MedianMS, stats.QuantileSorted(xs, 0.5))
		t.MinMS = append(t.MinMS, xs[0])
		t.MaxMS = append(t.MaxMS, xs[len(xs)-1])
		t.CountAt = append(t.CountAt, len(xs))
	}
	return t, len(t.PooledMS) > 0
}

// tailOf takes quantiles of sorted token times; inMS says that they are times,
// not relative ones.
func tailOf(pool []float64, inMS bool) Tail {
	t := Tail{N: len(pool)}
	p50 := stats.QuantileSorted(pool, 0.5)
	for _, q := range []struct {
		p         float64
		need      int
		ms, ratio *stats.Percentile
	}{
		{0.90, stats.NeedP90, &t.P90MS, &t.P90Ratio},
		{0.95, stats.NeedP95, &t.P95MS, &t.P95Ratio},
		{0.99, stats.NeedP99, &t.P99MS, &t.P99Ratio},
	} {
		v := stats.PercentileSorted(pool, q.p, q.need)
		*q.ratio = v
		if v.Value != nil {
			q.ratio.Value = stats.Finite(*v.Value / p50)
		}
		if !inMS {
			v.Value = nil
		}
		*q.ms = v
	}
	if inMS {
		t.P50MS, t.MaxMS = stats.Finite(p50), stats.Finite(pool[len(pool)-1])
	}
	return t
}

// withinCall takes token times relative to their median; nil where there is none.
func withinCall(ns []int64) []float64 {
	times := stats.Map(ns, func(v int64) float64 { return float64(v) })
	mid := stats.Median(times)
	if !(mid > 0) {
		return nil
	}
	floats.Scale(1/mid, times)
	return times
}
