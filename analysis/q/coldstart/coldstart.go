// Package coldstart asks what a model costs until it runs: loading it, its context, and
// what the first prefill of a process takes longer than those behind it. How long a file
// takes to be read from the disk is not told: it was in memory by then.
package coldstart

import (
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Answer is empty where no record has a load.
type Answer struct {
	finding.Notes

	Starts []Start `json:"cold_start,omitempty"`
}

// Start is what the processes of a model took until they ran it. Times are geometric
// means over processes, with a t interval on the logarithms from two on.
type Start struct {
	Backend     string   `json:"backend" doc:"name of the backend"`
	BackendKind string   `json:"backend_kind" doc:"runtime"`
	Model       string   `json:"model" doc:"name of the model"`
	ParamsM     *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters: measured where known, else the config's"`

	Processes int             `json:"processes" unit:"processes" doc:"processes that loaded it, one in each block; of three machines of one type and more the first on each"`
	LoadMS    *float64        `json:"load_ms" unit:"ms" doc:"loading the model, its file in the page cache: geometric mean over the processes"`
	LoadCI    *stats.Interval `json:"load_ci" csv:"load_*_ms" unit:"ms" doc:"95 % interval: t over the processes"`
	ContextMS *float64        `json:"context_ms" unit:"ms" doc:"creating the context"`
	FirstOver *float64        `json:"first_prefill_over_hot" doc:"the process's first prefill over its hot ones of the same scenario; empty where calls are not hot"`
	FirstCI   *stats.Interval `json:"first_prefill_over_hot_ci" csv:"first_prefill_over_hot_*" doc:"95 % interval: t over the processes"`
	StartMS   *float64        `json:"start_ms" unit:"ms" doc:"load, context, and what the first prefill takes longer than a hot one: by so much the first token comes later than hot"`
	StartCI   *stats.Interval `json:"start_ci" csv:"start_*_ms" unit:"ms" doc:"95 % interval: t over the processes"`

	Loads  map[int]float64 `json:"-"` // logarithm of LoadMS in each block
	Starts map[int]float64 `json:"-"` // of StartMS
}

// Ask asks the first calls of a run's processes.
func Ask(c *cells.Set) *Answer {
	a := &Answer{}
	type process struct {
		backend, model string
		block          int
	}
	first := map[process]*runs.Row{}
	var blocks []int
	for i := range c.Run.Rows {
		r := &c.Run.Rows[i]
		p := process{r.Backend, r.Model, r.Unit()}
		if r.OK() && r.ModelLoadMS != nil && r.Mode == record.ModePrefill && first[p] == nil {
			first[p] = r
			blocks = append(blocks, r.Unit())
		}
	}
	slices.Sort(blocks)
	blocks = slices.Compact(blocks)
	for _, backend := range c.Backends() {
		for _, m := range c.ModelsOf(backend) {
			x := Start{Backend: backend, BackendKind: m.BackendKind, Model: m.Name, ParamsM: m.ParamsMillions, Loads: map[int]float64{}, Starts: map[int]float64{}}
			var loads, contexts, ratios, starts []float64
			for _, b := range blocks {
				r := first[process{backend, m.Name, b}]
				if r == nil {
					continue
				}
				loads, contexts = add(loads, r.ModelLoadMS), add(contexts, r.ContextInitMS)
				if *r.ModelLoadMS > 0 {
					x.Loads[b] = math.Log(*r.ModelLoadMS)
				}
				g := c.Group(cells.SeriesOf(r).Key(m.Name, r.Scenario, r.Mode))
				if g == nil || r.PrefillColdMS == nil || r.ContextInitMS == nil {
					continue
				}
				if hot := stats.Median(g.Times().ByBlock[b]); hot > 0 {
					ratios = add(ratios, new(*r.PrefillColdMS/hot))
					if ms := *r.ModelLoadMS + *r.ContextInitMS + *r.PrefillColdMS - hot; ms > 0 {
						starts, x.Starts[b] = add(starts, &ms), math.Log(ms)
					}
				}
			}
			if len(loads) == 0 {
				continue
			}
			x.Processes = len(loads)
			x.LoadMS, x.LoadCI = over(loads)
			x.ContextMS, _ = over(contexts)
			x.FirstOver, x.FirstCI = over(ratios)
			x.StartMS, x.StartCI = over(starts)
			a.Starts = append(a.Starts, x)
		}
	}
	return a
}

// add appends the logarithm of a time.
func add(logs []float64, ms *float64) []float64 {
	if ms == nil || !(*ms > 0) {
		return logs
	}
	return append(logs, math.Log(*ms))
}

// over is the mean of logarithms, as what they are of.
func over(logs []float64) (*float64, *stats.Interval) {
	e, ok := stats.MeanT(logs)
	switch {
	case ok:
		return stats.Finite(math.Exp(e.Value)), e.ExpInterval()
	case len(logs) == 1:
		return stats.Finite(math.Exp(logs[0])), nil
	}
	return nil, nil
}

func (a *Answer) Tables() []finding.Table {
	return []finding.Table{finding.TableOf("cold_start.csv", "What a model costs until it runs, over the processes that loaded it.", a.Starts, "")}
}
