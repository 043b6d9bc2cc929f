package runner

import (
	"math"

	"llmscale/analysis/canary"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// scatter has the calls that count by cell and mode and there by block.
type scatter map[cellMode]map[int][]timed

type cellMode struct {
	task int
	mode string
}

// timed is a call's latency and what its canary was.
type timed struct {
	ms     float64
	canary canary.Call
}

// note takes a record that counts into account.
func (s *scatter) note(r *record.Record, c canary.Call) {
	if r.LatencyMS == nil || *r.LatencyMS <= 0 {
		return
	}
	if *s == nil {
		*s = scatter{}
	}
	k := cellMode{r.TaskIdx, r.Mode}
	if (*s)[k] == nil {
		(*s)[k] = map[int][]timed{}
	}
	(*s)[k][r.Replicate] = append((*s)[k][r.Replicate], timed{*r.LatencyMS, c})
}

// widest is how far the widest of the cells' 95 % intervals reaches beyond its median, as a share of it: by t on the logs
// of the blocks' medians, without disturbed calls where the analysis leaves them out. It is infinite where a cell has one
// block. Cells that no further block tries are left out; it is infinite where no cell is left.
func (s scatter) widest(levels canary.Levels, ended map[int]string) float64 {
	widest := -1.0
	for k, blocks := range s {
		if _, ok := ended[k.task]; ok {
			continue
		}
		var all, calm []float64
		for _, calls := range blocks {
			var ms, left []float64
			for _, c := range calls {
				ms = append(ms, c.ms)
				if _, disturbed, _ := levels.Off(c.canary); !disturbed {
					left = append(left, c.ms)
				}
			}
			all = append(all, math.Log(stats.Median(ms)))
			if left != nil {
				calm = append(calm, math.Log(stats.Median(left)))
			}
		}
		if len(calm) < min(canary.FewestProcesses, len(all)) {
			calm = all
		}
		over := math.Inf(1)
		if e, ok := stats.MeanT(calm); ok {
			if ci := e.ExpInterval(); ci != nil {
				over = ci.High/math.Exp(e.Value) - 1
			}
		}
		widest = max(widest, over)
	}
	if widest < 0 {
		return math.Inf(1)
	}
	return widest
}

// wantsMore decides, after the last block, whether another of all models is added, and notes what ended a run that adds some.
func (r *Run) wantsMore() bool {
	cfg := r.Plan.Config
	if cfg.TargetCI <= 0 || r.Manifest.StoppedBy != "" {
		return false
	}
	switch {
	case r.scatter.widest(canary.Learn(r.canaries.all), r.ended) <= cfg.TargetCI:
		r.Manifest.StoppedBy = record.StoppedByTarget
	case r.overtime():
		r.Manifest.StoppedBy = record.StoppedByBudget
	default:
		return true
	}
	return false
}

// overtime tells whether the session has measured for as long as it may add blocks.
func (r *Run) overtime() bool {
	most := r.Plan.Config.TimeBudgetMin
	return most > 0 && (unixNow()-r.Manifest.session().StartedAt)/60 >= most
}
