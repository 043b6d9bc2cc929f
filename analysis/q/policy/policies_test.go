package policy

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// TestVerdictsOverSizes: each way in which a choice can matter over the sizes is told, with its reason and its words.
func TestVerdictsOverSizes(t *testing.T) {
	hill := func(m float64) float64 { return 1 - .4*math.Exp(-math.Pow(math.Log(m/80), 2)) }
	for _, c := range []struct {
		ratio  func(m float64) float64
		effect []string // effect and verdict of each row
		says   string
	}{
		{func(float64) float64 { return .5 }, []string{"faster always"}, "**faster at all 9 sizes**"},
		{func(float64) float64 { return 2 }, []string{"slower always"}, "**slower at all 9 sizes**"},
		{func(m float64) float64 { return math.Pow(m/5, -.1) }, []string{"faster from"}, "**faster from 1"},
		{func(m float64) float64 { return math.Pow(m/1280, -.1) }, []string{"slower up_to"}, "**slower up to 4"},
		{func(m float64) float64 { return math.Pow(m/80, -.2) }, []string{"slower up_to", "faster from"}, "M\\]**, **faster from "},
		{hill, []string{"faster between"}, "**faster from "},
		{func(float64) float64 { return 1.02 }, []string{" never"}, "within 10 % at all 9 sizes"},
		{func(float64) float64 { return 1.1 }, []string{" unknown"}, "unknown: slower at all 9 sizes, but 10 % are neither shown nor excluded"},
	} {
		w := world{sizes: 9, blocks: 5, ratio: c.ratio, process: .005, drift: .1}
		o := OverSizes(w.draw(rand.New(rand.NewPCG(3, 3))))
		rows := Policy{}.judge(&o)
		var got []string
		for _, p := range rows {
			got = append(got, p.Effect+" "+p.Verdict)
			if p.Reason == "" || p.Basis != cells.BasisProcesses || p.NSizes != 9 {
				t.Errorf("%+v", p)
			}
		}
		if strings.Join(got, ", ") != strings.Join(c.effect, ", ") {
			t.Errorf("told %q, want %q: %+v", got, c.effect, rows)
			continue
		}
		if s := strings.Join(stats.Map(rows, func(p Policy) string { return p.shown() }), ", "); !strings.Contains(s, c.says) {
			t.Errorf("no %q in %s", c.says, s)
		}
	}
}

// TestIdenticalTimes: a setting that does nothing is told so, with a reason, and its ratio does not grow.
func TestIdenticalTimes(t *testing.T) {
	w := world{sizes: 6, blocks: 3, ratio: func(float64) float64 { return 1 }, process: .02, drift: .1}
	sizes := w.draw(rand.New(rand.NewPCG(1, 1)))
	for i := range sizes {
		sizes[i].Other = sizes[i].Base
	}
	o := OverSizes(sizes)
	p := Policy{}.judge(&o)[0]
	if p.Verdict != Never || !strings.HasPrefix(p.Reason, "identical") || p.Trend != "does not grow" || *p.Large != 1 {
		t.Errorf("%+v", p)
	}
	if s := p.shown(); s != "the same: it does nothing here" {
		t.Errorf("%q", s)
	}
}

// TestBlocksThatLackASize: the blocks that measured all sizes count; with fewer than two of them each size stands for
// itself.
func TestBlocksThatLackASize(t *testing.T) {
	w := world{sizes: 6, blocks: 5, ratio: func(m float64) float64 { return math.Pow(m/5, -.1) }, process: .01, drift: .1}
	for lacking, blocks := range map[int]int{0: 5, 2: 3, 4: 0} {
		sizes := w.draw(rand.New(rand.NewPCG(1, 1)))
		for b := range lacking {
			delete(sizes[2].Other[0].ByBlock, b)
		}
		o := OverSizes(sizes)
		if got := len(o.blocks()); got != max(blocks, 5-lacking) || len(o.Sizes) != 6 {
			t.Errorf("%d blocks lack a size: %d count, %d sizes", lacking, got, len(o.Sizes))
		}
		if p := (Policy{}).judge(&o)[0]; p.Verdict != FromOn || *p.FromLow > 13 || *p.FromHigh < 13 {
			t.Errorf("%d blocks lack a size: %+v", lacking, p)
		}
	}
}
