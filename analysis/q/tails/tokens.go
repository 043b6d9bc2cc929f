package tails

import (
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// TokenSeries is decode time by position in the answer, for one backend x model
// x scenario.
type TokenSeries struct {
	cells.Subject
	Scenario string    `json:"scenario"`
	Reps     int       `json:"n_reps"`    // calls that had token times
	MedianMS []float64 `json:"median_ms"` // by position, over the calls that reached it
	MinMS    []float64 `json:"min_ms"`
	MaxMS    []float64 `json:"max_ms"`
}

// Tail compares slow tokens with the middle one. For AllScenarios each token is
// taken relative to its scenario's median, so the times are nil and the ratios
// are quantiles of those relative times.
type Tail struct {
	cells.Subject
	Scenario  string           `json:"scenario" doc:"scenario, or \x60__all__\x60"`
	N         int              `json:"n_tokens" unit:"tokens" doc:"decode steps pooled"`
	Disturbed *int             `json:"disturbed_calls" unit:"calls" doc:"calls among them behind a canary far off; empty where there was no canary"`
	P50MS     *float64         `json:"p50_ms" unit:"ms" doc:"median"`
	P90MS     stats.Percentile `json:"p90_ms" unit:"ms" doc:"90th percentile; \x60too few\x60 below 64 tokens"`
	P95MS     stats.Percentile `json:"p95_ms" unit:"ms" doc:"95th percentile; \x60too few\x60 below 130 tokens"`
	P99MS     stats.Percentile `json:"p99_ms" unit:"ms" doc:"99th percentile; \x60too few\x60 below 662 tokens"`
	MaxMS     *float64         `json:"max_ms" unit:"ms" doc:"slowest step"`
	P90Ratio  stats.Percentile `json:"p90_over_p50" doc:"90th percentile over the median"`
	P95Ratio  stats.Percentile `json:"p95_over_p50" doc:"95th percentile over the median"`
	P99Ratio  stats.Percentile `json:"p99_over_p50" doc:"99th percentile over the median"`

	// Over AllScenarios: p95/p50 of the tokens of all calls, each relative to the
	// median of its own call, so that a call that is slow as a whole is no tail. nil
	// where a p95 has too few tokens without the longest call.
	Calls      int      `json:"calls"`
	Groups     int      `json:"groups"` // that the standard error is over: processes from five on, else calls
	Basis      string   `json:"basis" doc:"\x60__all__\x60: of the standard error: processes, from five on, or the calls of one process"`
	P95InCalls *float64 `json:"p95_over_p50_in_calls" doc:"\x60__all__\x60: 95th percentile over the median, each token relative to the median of its call"`
	// InCalls are these tokens, by process.
	InCalls      map[int][]float64 `json:"-"`
	P95InCallsSE *float64          `json:"p95_over_p50_in_calls_log_se" doc:"standard error of its logarithm, by leaving out one process, or call, at a time"`

	// Over AllScenarios: what is slow inside a process, and what between processes.
	Processes   int             `json:"processes" zero:"unknown" doc:"\x60__all__\x60: processes with token times"`
	P99CI       *stats.Interval `json:"p99_over_p50_ci" csv:"p99_over_p50_approx_ci" doc:"\x60__all__\x60, from five processes on: 95 % interval of p99 over p50 by leaving out one process at a time; approximate"`
	P99Inside   *float64        `json:"p99_over_p50_in_processes" doc:"\x60__all__\x60: p99 over the median, each token relative to the median of its process"`
	SlowProcess *float64        `json:"slowest_process_over_median" doc:"\x60__all__\x60: the slowest process's median over the middle process's"`
}

// tokens gathers the decode steps of each cell, by position and pooled, and the
// ratio of slow ones to the middle one.
func (a *Answer) tokens(set *cells.Set) {
	for _, s := range set.Series {
		for _, m := range set.ModelsOf(s.Backend) {
			var relative []float64 // each token over its scenario's median
			var calls [][]float64  // each token over the median of its call
			total, disturbed := 0, (*int)(nil)
			inCalls, processes := map[int][]float64{}, map[int][]float64{}
			var mine []Tail
			for _, sc := range set.Scenarios {
				g := set.Group(s.Key(m.Name, sc, record.ModeDecode))
				if g == nil {
					continue
				}
				t, _ := tokenSeries(g.Rows)
				_, pool := tokenSeries(g.All)
				if len(pool) == 0 {
					continue
				}
				t.Subject, t.Scenario = s.Of(m), sc
				a.Tokens = append(a.Tokens, t)

				slices.Sort(pool)
				tail := tailOf(pool, true)
				tail.Scenario, tail.Disturbed = sc, g.Disturbed
				mine = append(mine, tail)
				if mid := stats.QuantileSorted(pool, 0.5); mid > 0 && set.Joins(sc) {
					if g.Disturbed != nil {
						total += *g.Disturbed
						disturbed = &total
					}
					for _, r := range g.All {
						for _, ns := range r.TokenNS {
							relative = append(relative, float64(ns)/1e6/mid)
							processes[r.Unit()] = append(processes[r.Unit()], float64(ns)/1e6/mid)
						}
						if own := withinCall(r.TokenNS); own != nil {
							calls = append(calls, own)
							inCalls[r.Unit()] = append(inCalls[r.Unit()], own...)
						}
					}
				}
			}
			if len(relative) > 0 {
				slices.Sort(relative)
				all := tailOf(relative, false)
				all.Scenario, all.Disturbed = cells.AllScenarios, disturbed
				all.Calls = len(calls)
				all.Basis, all.InCalls = cells.BasisOne, inCalls
				if len(inCalls) >= tailProcesses {
					all.Basis, calls = cells.BasisProcesses, inOrder(inCalls)
				}
				all.Groups = len(calls)
				all.between(inOrder(processes))
				if e, ok := stats.PooledTail(calls, 0.95, stats.NeedP95); ok {
					all.P95InCalls, all.P95InCallsSE = stats.Finite(math.Exp(e.Value)), stats.Finite(math.Sqrt(e.Variance))
				}
				mine = append(mine, all)
			}
			for _, t := range mine {
				t.Subject = s.Of(m)
				a.Tails = append(a.Tails, t)
			}
		}
	}
}

// tokenSeries lines up the calls' token times by position. pool has every token of
// every call, in ms.
func tokenSeries(rows []*runs.Row) (t TokenSeries, pool []float64) {
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
			pool = append(pool, ms)
		}
	}
	t.MedianMS, t.MinMS, t.MaxMS = make([]float64, 0, len(at)), make([]float64, 0, len(at)), make([]float64, 0, len(at))
	for _, xs := range at {
		slices.Sort(xs) // this function's own
		t.MedianMS = append(t.MedianMS, stats.QuantileSorted(xs, 0.5))
		t.MinMS = append(t.MinMS, xs[0])
		t.MaxMS = append(t.MaxMS, xs[len(xs)-1])
	}
	return t, pool
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

// tailProcesses is the fewest processes whose jackknife says how well a tail is known.
const tailProcesses = 5

// inOrder are the groups in the order of their blocks.
func inOrder(groups map[int][]float64) (out [][]float64) {
	for _, b := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, groups[b])
	}
	return out
}

// between tells what is slow inside a process from what is between processes, whose
// tokens are each relative to their scenario's median.
func (t *Tail) between(processes [][]float64) {
	t.Processes = len(processes)
	medians := stats.Map(processes, stats.Median)
	if len(processes) > 1 {
		t.SlowProcess = stats.Finite(slices.Max(medians) / stats.Median(medians))
	}
	var inside []float64
	for i, p := range processes {
		for _, v := range p {
			inside = append(inside, v/medians[i])
		}
	}
	slices.Sort(inside)
	if q := stats.PercentileSorted(inside, 0.99, stats.NeedP99); q.Value != nil {
		t.P99Inside = stats.Finite(*q.Value / stats.QuantileSorted(inside, 0.5))
	}
	if e, ok := stats.PooledTail(processes, 0.99, stats.NeedP99); ok && len(processes) >= tailProcesses {
		if t.P99CI = e.ExpInterval(); t.P99CI != nil {
			t.P99CI.Low = max(t.P99CI.Low, 1) // a p99 is no less than the median
		}
	}
}
