package scaling

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// TestSlopeBlocks: of processes that scatter by 10 % on the smallest model and less the
// larger it is, in blocks that drift, the interval over blocks holds the true exponent
// as often as it says.
func TestSlopeBlocks(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.Reps, p.Gen, p.Scenarios, p.Backends = 5, 1, 1, []string{"p"}, nil
	for i := range 200 {
		p.Backends = append(p.Backends, fmt.Sprintf("b%03d", i))
	}
	rng := rand.New(rand.NewPCG(3, 1))
	type process struct {
		backend, model string
		block          int
	}
	drawn := map[process]float64{}
	set := celltest.Set(t, p.Blocks(5, func(b int, r *runs.Row) float64 {
		k := process{r.Backend, r.Model, b}
		if drawn[k] == 0 {
			drawn[k] = math.Exp(.05*float64(b) + .1/math.Sqrt(r.ParamsMillions/5)*rng.NormFloat64())
		}
		return drawn[k]
	}))
	held, hc3, all := 0, 0, 0
	for _, f := range Ask(set, intervals.Ask(set)).Fits {
		if f.Mode != record.ModeDecode || f.Scenario != "p" {
			continue
		}
		all++
		if f.SlopeBlocks == nil || f.Blocks != 5 || f.SlopeHC3 == nil {
			t.Fatalf("%+v", f)
		}
		in := func(i *stats.Interval) bool { return i.Low <= .8 && .8 <= i.High }
		if in(f.SlopeBlocks) {
			held++
		}
		if in(f.SlopeHC3) {
			hc3++
		}
	}
	t.Logf("of %d, over blocks %d hold the truth, by HC3 %d", all, held, hc3)
	if share := float64(held) / float64(all); all != 200 || share < .90 || share > .99 {
		t.Errorf("%d of %d intervals over blocks hold the truth", held, all)
	}
}

// TestHC3 by hand: of the line through (0, 0), (1, 1/2), (2, 2) the ends have residuals of
// 1/6, leverages of 5/6 and weights of 1/2 in the slope; the middle has no weight.
func TestHC3(t *testing.T) {
	r, ok := stats.Regress([]float64{0, .5, 2}, []float64{1, 1, 1}, []float64{0, 1, 2})
	if se := r.HC3(1); !ok || math.Abs(se-math.Sqrt(.5)) > 1e-12 {
		t.Errorf("%v, want the root of 2 * (1/2 * 1/6 / (1/6))^2", se)
	}
}

// TestDoubtfulCells: a cell in doubt is left out of a fit and named, unless so few are
// left that the fit says so instead.
func TestDoubtfulCells(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.Reps, p.Gen = 5, 3, 2
	for _, c := range []struct {
		doubtful, inFit int
		all             bool
		code, text      string
	}{
		{0, 5, false, "", ""},
		{1, 4, false, "cells_left_out", "left out of the fit: m00 (AMBIGUOUS: disturbed)"},
		{4, 5, false, "ambiguous_cells", "too few cells are VALID: in the fit are m00 (AMBIGUOUS: disturbed), m01"},
		{1, 5, true, "", ""},
	} {
		rows := p.Blocks(5, func(b int, r *runs.Row) float64 { return 1 + .01*math.Sin(float64(5*b+r.TaskIdx)) })
		for i := range rows {
			r := &rows[i]
			if r.Model < fmt.Sprintf("m%02d", c.doubtful) && r.Replicate < 3 {
				r.CanaryReadMS = new(8.0)
			}
		}
		set, err := cells.New(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1, AllCells: c.all})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range Ask(set, intervals.Ask(set)).Fits {
			if f.NModels != c.inFit {
				t.Errorf("%d doubtful, all %v: %d models in the fit of %s in %s", c.doubtful, c.all, f.NModels, f.Mode, f.Scenario)
			}
			var said finding.Warning
			for _, w := range f.Warnings {
				if w.Code == "cells_left_out" || w.Code == "ambiguous_cells" {
					said = w
				}
			}
			if said.Code != c.code || !strings.HasPrefix(said.Text, c.text) {
				t.Errorf("%d doubtful, all %v: %+v", c.doubtful, c.all, said)
			}
		}
	}
}
