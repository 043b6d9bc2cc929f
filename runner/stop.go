package runner

import (
	"math"

	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// scatter has the latencies of the calls that count, in ms, by cell and mode and there by block.
type scatter map[cellMode]map[int][]float64

type cellMode struct {
	task int
	mode string
}

// note takes records into account.
func (s *scatter) note(records []record.Record) {
	if *s == nil {
		*s = scatter{}
	}
	for i := range records {
		r := &records[i]
		if r.IsWarmup || !r.Counts() || r.LatencyMS == nil || *r.LatencyMS <= 0 {
			continue
		}
		k := cellMode{r.TaskIdx, r.Mode}
		if (*s)[k] == nil {
			(*s)[k] = map[int][]float64{}
		}
		(*s)[k][r.Replicate] = append((*s)[k][r.Replicate], *r.LatencyMS)
	}
}

// widest is the largest relative half-width of the cells' 95 % intervals: by t on the logs of the blocks' medians. A cell
// with one block has none; those that no further block tries are left out. It is infinite where no cell is left.
func (s scatter) widest(ended map[int]string) float64 {
	widest := -1.0
	for k, blocks := range s {
		if _, ok := ended[k.task]; ok {
			continue
		}
		var logs []float64
		for _, calls := range blocks {
			logs = append(logs, math.Log(stats.Median(calls)))
		}
		half := math.Inf(1)
		if e, ok := stats.MeanT(logs); ok {
			half = math.Expm1(e.Half(0.05))
		}
		widest = max(widest, half)
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
	case r.scatter.widest(r.ended) <= cfg.TargetCI:
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
