package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/q/tails"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Kinds of figures, in the order in which Write returns them.
const (
	KindOverview = "overview" // all backends of one mode, over all scenarios
	KindScaling  = "scaling"  // one backend and mode over all scenarios
	KindTokens   = "tokens"   // decode time by position in the answer
	KindTails    = "tails"    // tail ratios against size
	KindShare    = "share"    // decode share of end-to-end time
	KindScenario = "scenario" // one backend, mode and scenario
)

// Write draws every figure that r has data for into dir, which it makes if need
// be, each as PNG and as SVG. Files of earlier calls are overwritten where the
// names are the same. A figure without data is not drawn.
func Write(dir string, r *analysis.Result) ([]figure.Drawn, error) {
	return draw.Write(dir, figures(r))
}

// figures are all that r has data for.
func figures(r *analysis.Result) []figure.Figure {
	b := newBook(r)
	return slices.Concat(b.overviews(), b.scaling(KindScaling), b.tokenFigures(),
		r.Figures(), b.tailFigure(), b.shareFigures(), b.scaling(KindScenario))
}

// book is a Result with what all its figures share.
type book struct {
	r      *analysis.Result
	series []cells.Series // in the order of first appearance, which fixes their colours
	calls  map[cells.Key]calls
}

// calls are those of a cell; with the scenario AllScenarios of all that are joined,
// and with the model "" of all models.
type calls struct{ ms, n figure.Span }

func (b *book) count(scenario string, c *cells.Cell) {
	for _, model := range []string{c.Model, ""} {
		k := c.Series().Key(model, scenario, c.Mode)
		at := b.calls[k]
		at.n.Add(float64(c.N))
		if c.N > 0 && c.MinMS > 0 {
			at.ms.Add(c.MinMS, c.MaxMS)
		}
		b.calls[k] = at
	}
}

func newBook(r *analysis.Result) *book {
	b := &book{r: r, calls: map[cells.Key]calls{}}
	add := func(backend string, batch int) {
		if s := (cells.Series{Backend: backend, BatchSize: batch}); !slices.Contains(b.series, s) {
			b.series = append(b.series, s)
		}
	}
	for _, f := range analysis.Get[scaling.Answer](r).Fits {
		add(f.Backend, f.BatchSize)
	}
	for i := range r.Cells {
		add(r.Cells[i].Backend, r.Cells[i].BatchSize)
		b.count(r.Cells[i].Scenario, &r.Cells[i])
	}
	for _, c := range r.CellsOf(cells.AllScenarios) {
		b.count(cells.AllScenarios, c)
	}
	for _, t := range analysis.Get[tails.Answer](r).Tails {
		add(t.Backend, t.BatchSize)
	}
	for _, d := range analysis.Get[summary.Answer](r).DecodeFractions {
		add(d.Backend, d.BatchSize)
	}
	return b
}

func (b *book) look(s cells.Series) figure.Look { return figure.Series(slices.Index(b.series, s)) }

// axisLabel is what the fits have on x.
func (b *book) axisLabel() string {
	return cmp.Or(b.r.Axis.Label, cells.ParamsLabel)
}

// genTokens is the answer length that all decode cells of a scenario, or of
// analysis.AllScenarios, have; 0 if they differ.
func (b *book) genTokens(scenario string) int {
	n := 0.0
	for _, c := range b.r.CellsOf(scenario) {
		v := c.AnswerTokens()
		if v == nil || c.Mode == record.ModePrefill {
			continue
		}
		if n != 0 && n != *v {
			return 0
		}
		n = *v
	}
	return int(n)
}

func modeTitle(mode string) string {
	switch mode {
	case record.ModePrefill:
		return "Prefill"
	case record.ModeDecode:
		return "Decode"
	case record.ModeE2E:
		return "End-to-end"
	}
	return mode
}

// latencyLabel is the y axis of a mode.
func (b *book) latencyLabel(mode, scenario string) string {
	n := b.genTokens(scenario)
	switch {
	case mode == record.ModeDecode && n > 0:
		return fmt.Sprintf("decode of %d tokens (ms)", n)
	case mode == record.ModeE2E && n > 0:
		return fmt.Sprintf("prefill and decode of %d tokens (ms)", n)
	}
	return strings.ToLower(modeTitle(mode)) + " latency (ms)"
}

func scenarioTitle(scenario string) string {
	if scenario == cells.AllScenarios {
		return "all scenarios"
	}
	return "scenario " + scenario
}

func count(n int, one, many string) string { return words.Counted(n, one, many) }
