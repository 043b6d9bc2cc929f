package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

func (f *Fit) Where() string {
	w := fmt.Sprintf("%s %s %s", f.Backend, f.Mode, f.Scenario)
	if f.BatchSize > 1 {
		w += fmt.Sprintf(" batch %d", f.BatchSize)
	}
	if f.Filter != "" {
		w += " " + f.Filter
	}
	return w
}

// Thresholds of the warnings. docs/statistics.md says why.
const (
	fewSizes       = 8    // models of different size below which a slope is a sketch
	lowR2          = 0.5  // size explains less than half of the variance of log latency
	narrowRange    = 10.0 // largest over smallest size
	embeddingShare = 0.5
	twoModelShare  = 0.05 // resamples that hold two models only
)

func (f *Fit) warn(code, text, advice string) {
	f.Warnings = append(f.Warnings, finding.Doubt(code, f.Where(), text, advice))
}

// Doubt adds what is doubtful about a fit. models are those of its points, leftOut
// have no place on the axis, and unequal ran in other scenarios than most.
func (f *Fit) Doubt(c *cells.Set, models []*cells.Model, leftOut, unequal []string) {
	if len(leftOut) > 0 {
		f.warn("axis_missing", fmt.Sprintf("no %s known for %s: left out of the fit", c.Axis.Name, strings.Join(leftOut, ", ")),
			"take another x axis, or give the model's size in the config")
	}
	if len(unequal) > 0 {
		which := "fewer"
		whole := c.WholeSet(f.Series, f.Mode)
		for _, model := range unequal {
			if g := c.Aggregate(f.Series, model, f.Mode); f.Filter == "" && g != nil && len(g.Scenarios) == len(whole) {
				which = "other"
			}
		}
		f.warn("unequal_scenarios", fmt.Sprintf("%s ran in %s scenarios than the others: left out of the fit over all scenarios", strings.Join(unequal, ", "), which),
			"read the fits of single scenarios, or resume the run")
	}
	if w, mixed := c.MixedLengths(f.Series, f.Mode, f.Where()); mixed && f.Scenario == cells.AllScenarios {
		f.Warnings = append(f.Warnings, w)
	}
	f.mixWarnings(models)
	if !f.OK {
		f.warn("too_few_points", f.Reason, "measure more models of different size in this backend")
		return
	}
	if f.NModels > manyModels {
		f.warn("many_models", fmt.Sprintf("%d models: the Theil–Sen slope and the fits without one model are left out above %d, as their cost grows with the square", f.NModels, manyModels),
			"for these, fit fewer models")
	}
	if n := stats.Distinct(stats.Map(f.Points, func(p Point) float64 { return p.X })); n < fewSizes {
		f.warn("few_sizes", fmt.Sprintf("%d sizes; the interval leans on very few points", n),
			fmt.Sprintf("measure at least %d sizes", fewSizes))
	}
	if lo, hi := f.Points[0].X, f.Points[len(f.Points)-1].X; hi/lo < narrowRange {
		f.warn("narrow_range", fmt.Sprintf("the sizes span a factor of %.3g only", hi/lo),
			"measure sizes over at least a factor of ten, and do not extend the line beyond them")
	}
	var crossing []string
	if stats.CrossesZero(f.SlopeT) {
		crossing = append(crossing, fmt.Sprintf("t-interval [%.3f, %.3f]", f.SlopeT.Low, f.SlopeT.High))
	}
	if stats.CrossesZero(f.SlopeBoot) {
		crossing = append(crossing, fmt.Sprintf("bootstrap interval [%.3f, %.3f]", f.SlopeBoot.Low, f.SlopeBoot.High))
	}
	if len(crossing) > 0 {
		f.warn("ci_crosses_zero", "0 lies in the slope's "+strings.Join(crossing, " and in its ")+": these models do not show that size matters",
			"do not quote the slope; look at depth (two-predictor fit), or measure more and larger sizes")
	}
	if f.R2 != nil && *f.R2 < lowR2 {
		f.warn("low_r2", fmt.Sprintf("R2 is %.3f: size explains less than half of the variation", *f.R2),
			"something else decides here: look at depth, at the axis, at fixed cost per token")
	}
	f.oneDecides()
	if f.BootRequested > 0 {
		if bad := f.BootRequested - f.BootUsed; bad > 0 || float64(f.BootTwoModels) > twoModelShare*float64(f.BootRequested) {
			f.warn("bootstrap_degenerate",
				fmt.Sprintf("resamples that drew one size and gave no slope: %d of %d; that drew two, through which a line always goes: %d", bad, f.BootRequested, f.BootTwoModels),
				"with so few models prefer the t-interval and the leave-one-out table to the bootstrap interval")
		}
	}
	f.shapeWarnings(c, models)
}

// oneDecides warns where growth is shown by one model alone.
func (f *Fit) oneDecides() {
	w := f.Influential()
	if w != nil && f.SlopeT != nil && !stats.CrossesZero(f.SlopeT) && stats.CrossesZero(w.SlopeT) {
		f.warn("one_point_decides", fmt.Sprintf("without %s the slope's t-interval [%.3f, %.3f] holds 0", w.Dropped, w.SlopeT.Low, w.SlopeT.High),
			"the claim that size matters here rests on this one model: measure more sizes near it")
	}
}

func (f *Fit) mixWarnings(models []*cells.Model) {
	list := func(f func(*cells.Model) string) []string {
		var out []string
		for _, m := range models {
			if v := f(m); v != "" && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
		return out
	}
	for _, c := range []struct {
		code, what, advice string
		of                 func(*cells.Model) string
	}{
		{"mixed_offload", "shares of layers on the GPU", "the slope mixes size with what the CPU has to compute: fit the models that are whole on the GPU alone (--models), and see the memory wall",
			func(m *cells.Model) string {
				switch {
				case m.GPULayers == nil || m.NLayer == 0:
					return ""
				case m.WholeOnGPU(*m.GPULayers):
					return "all"
				}
				return "not all"
			}},
		{"mixed_weight_types", "weight types", "fit each type alone, or take bytes_per_token as the x axis",
			func(m *cells.Model) string { return m.WeightType }},
		{"mixed_architectures", "architectures", "the slope mixes size with architecture: fit one family alone",
			func(m *cells.Model) string { return m.Architecture }},
		{"mixed_runtimes", "runtimes", "the slope mixes size with the runtime: measure all sizes with one build and one setting",
			func(m *cells.Model) string {
				return strings.Trim(strings.Join([]string{m.BackendKind, m.Device, m.LlamaCommit}, " "), " ")
			}},
		{"mixed_threads", "thread counts", "measure all sizes with one number of threads",
			func(m *cells.Model) string {
				if m.Threads == 0 {
					return ""
				}
				return fmt.Sprint(m.Threads)
			}},
	} {
		if values := list(c.of); len(values) > 1 {
			f.warn(c.code, fmt.Sprintf("%d %s in one fit: %s", len(values), c.what, strings.Join(values, ", ")), c.advice)
		}
	}
	if n := cells.MachineSets(models); n > 1 {
		f.warn("mixed_machines", fmt.Sprintf("%d sets of machines in one fit: a difference of machines looks like one of sizes", n),
			"quote no exponent: measure blocks whole on a machine (without --split models), and those that are missing")
	}
}

// shapeWarnings looks at what hides behind the size: embeddings that no token
// reads, and depth that does not follow size.
func (f *Fit) shapeWarnings(c *cells.Set, models []*cells.Model) {
	if c.Axis.Name == "params_total" {
		var names []string
		for _, m := range models {
			if m.ParamsTotal > 0 && m.ParamsNonEmbedding > 0 {
				if share := 1 - float64(m.ParamsNonEmbedding)/float64(m.ParamsTotal); share > embeddingShare {
					names = append(names, fmt.Sprintf("%s %.0f %%", m.Name, 100*share))
				}
			}
		}
		if len(names) > 0 {
			f.warn("embedding_share", "more than half of the parameters are embeddings in "+strings.Join(names, ", "),
				"compare with the fit on params_non_embedding or bytes_per_token: the exponent changes")
		}
	}
	if len(models) < stats.MinPoints {
		return
	}
	bySize := slices.Clone(models)
	at := func(m *cells.Model) float64 { x, _ := c.X(m); return x }
	slices.SortStableFunc(bySize, func(p, q *cells.Model) int { return cmp.Compare(at(p), at(q)) })
	for i := 1; i < len(bySize); i++ {
		p, q := bySize[i-1], bySize[i]
		if p.NLayer > 0 && q.NLayer > 0 && q.NLayer < p.NLayer {
			f.warn("uneven_shapes", fmt.Sprintf("depth does not follow size: %s has %d layers, the larger %s has %d", p.Name, p.NLayer, q.Name, q.NLayer),
				"the slope mixes depth with width: read the two-predictor fit, or measure a ladder of fixed proportions")
			return
		}
	}
}
