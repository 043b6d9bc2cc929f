// Package speedups asks how many times as fast the other backends of a run are as the
// first, over the models that both ran.
package speedups

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Answer is empty where no model was run by two backends.
type Answer struct {
	finding.Notes
	settings *policy.Answer // may be nil
	served   bool           // Ollama is set beside native

	Speedups []Speedup `json:"speedups,omitempty"`
}

// Speedup sets one backend's time in a mode beside the first backend's.
type Speedup struct {
	Base string `json:"base_backend" doc:"the first backend of the run"`
	cells.Series
	Mode       string  `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	NModels    int     `json:"n_models" doc:"models that both ran in the same scenarios"`
	Geomean    float64 `json:"speedup_geomean" doc:"time of the first over that of this one: geometric mean over these models, of one process each"`
	Least      float64 `json:"speedup_least" doc:"of the model that gains least"`
	LeastModel string  `json:"least_model" doc:"that model"`
	Most       float64 `json:"speedup_most" doc:"of the model that gains most"`
	MostModel  string  `json:"most_model" doc:"that model"`
}

// Ask compares the series of a run's first batch size. What settings has said of two
// backends is not said again.
func Ask(c *cells.Set, settings *policy.Answer, beside *crosscheck.Answer) *Answer {
	a := &Answer{settings: settings, served: len(beside.Comparisons) > 0}
	all := prose.Measured(c)
	for _, s := range all[min(1, len(all)):] {
		if s.BatchSize != all[0].BatchSize {
			continue
		}
		for _, mode := range c.Modes {
			of := func(s cells.Series) (out []*cells.Aggregate) {
				for _, m := range c.ModelsOf(s.Backend) {
					if g := c.Aggregate(s, m.Name, mode); g != nil {
						out = append(out, g)
					}
				}
				return out
			}
			if x := Between(of(all[0].Series), of(s.Series)); x.NModels > 0 {
				a.Speedups = append(a.Speedups, x)
			}
		}
	}
	return a
}

// Between sets the models of one series beside those of the base, all of one mode.
func Between(base, other []*cells.Aggregate) (x Speedup) {
	models := map[string]*cells.Aggregate{}
	for _, g := range base {
		models[g.Model] = g
	}
	var ratios []float64
	for _, g := range other {
		first := models[g.Model]
		if first == nil || !slices.Equal(g.Scenarios, first.Scenarios) { // a mean over other prompts, or other lengths, is of other work
			continue
		}
		x.Base, x.Series, x.Mode = first.Backend, g.Series(), g.Mode
		r := first.GeomeanMS / g.GeomeanMS
		if len(ratios) == 0 || r < x.Least {
			x.Least, x.LeastModel = r, g.Model
		}
		if len(ratios) == 0 || r > x.Most {
			x.Most, x.MostModel = r, g.Model
		}
		ratios = append(ratios, r)
	}
	x.NModels, x.Geomean = len(ratios), stats.Geomean(ratios)
	return x
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{finding.TableOf("speedups.csv", "Backends beside the first of the run: how many times as fast they are.", a.Speedups,
		"base_backend backend batch_size mode n_models speedup_geomean speedup_least least_model speedup_most most_model")}
}

// Sentences set decode beside decode, over two models or more.
func (a *Answer) Sentences() []string {
	var parts []string
	for _, x := range a.Speedups {
		if x.Mode == record.ModeDecode && x.NModels > 1 && !(a.settings != nil && a.settings.SaysOf(x.Base, x.Backend)) {
			parts = append(parts, fmt.Sprintf("on %s it is %s times as fast as on %s (geometric mean over the %d models that both ran, one process of each; %s to %s)",
				prose.Series{Series: x.Series}, doc.Fixed(&x.Geomean, 2), prose.Of(x.Base, x.BatchSize), x.NModels, doc.Fixed(&x.Least, 2), doc.Fixed(&x.Most, 2)))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	s := "Decode beside decode, at equal sizes on this machine: " + strings.Join(parts, "; ") + "."
	if a.served {
		s += " Decode through Ollama is the server's counter, which holds no sampling; the native one does. “Cross-check with Ollama” compares the like."
	}
	return []string{s}
}

// Sections are none: the opening says it.
func (a *Answer) Sections() []doc.Section { return nil }
