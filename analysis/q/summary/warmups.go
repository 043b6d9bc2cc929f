package summary

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// WarmupRatio joins the warm-ups of a series in one mode.
type WarmupRatio struct {
	cells.Series
	Mode    string  `json:"mode"`
	N       int     `json:"n_cells"`
	Median  float64 `json:"median_ratio"`  // of the cells' warmup_to_measured_ratio
	Largest Warmup  `json:"largest_ratio"` // the cell that has it
}

// warmupRatios joins the cells' ratios: by mode, then series.
func (a *asker) warmupRatios() {
	type key struct {
		cells.Series
		mode string
	}
	ratios := map[key][]float64{}
	worst := map[key]Warmup{}
	for _, u := range a.out.Warmups {
		if u.Ratio == nil {
			continue
		}
		k := key{cells.Series{Backend: u.Backend, BatchSize: u.BatchSize}, u.Mode}
		ratios[k] = append(ratios[k], *u.Ratio)
		if was := worst[k].Ratio; was == nil || *u.Ratio > *was {
			worst[k] = u
		}
	}
	for _, mode := range a.Modes {
		for _, s := range a.Series {
			if v := ratios[key{s, mode}]; len(v) > 0 {
				a.out.WarmupRatios = append(a.out.WarmupRatios, WarmupRatio{s, mode, len(v), stats.Median(v), worst[key{s, mode}]})
			}
		}
	}
}
