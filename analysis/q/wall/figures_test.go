package wall

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
)

func TestFigures(t *testing.T) {
	a := &Answer{Wall: wallOf(t, wallRun(nil))}
	for _, c := range slices.Clone(a.Wall.Cells) { // the same again in another type, without what did not fit
		if c.State != TooBig {
			c.WeightType = "f16"
			a.Wall.Cells = append(a.Wall.Cells, c)
		}
	}
	figs := a.Figures(new(intervals.Answer))
	if len(figs) != 2 || figs[0].Name != "memory_wall_f32" || figs[1].Name != "memory_wall_f16" {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[1], "decode (ms/token)", "device memory taken (GiB)", "8 GiB", "whole card", "all layers on the GPU", "part of the layers", "m04")
	if strings.Contains(figuretest.Text(t, figs[1]), "did not fit") {
		t.Error("a model that ran with part of its layers is drawn as one that did not fit")
	}
	// Of two backends under one limit, the one with most on the GPU is drawn.
	if p := figs[0].Panels[0].Layers[0].Points; len(p) != 5 || p[3].Hollow || !p[4].Hollow || p[4].Name != "m04" {
		t.Errorf("%+v", p)
	}

	// All layers or nothing: what did not fit is marked.
	a.Wall.Cells = slices.DeleteFunc(a.Wall.Cells, func(c Cell) bool { return c.Asked != "all" || c.WeightType != "f32" })
	f := a.Figures(new(intervals.Answer))[0]
	figuretest.Says(t, f, "did not fit", "whole card")

	// Without memory figures there is one drawing alone.
	for i := range a.Wall.Cells {
		a.Wall.Cells[i].OwnMiB = nil
	}
	if f := a.Figures(new(intervals.Answer))[0]; len(f.Panels) != 1 {
		t.Error("an empty drawing of memory")
	}

	// Nothing ran, and nothing is known: no figure.
	for i := range a.Wall.Cells {
		a.Wall.Cells[i].State, a.Wall.Cells[i].DecodeMS = TooBig, nil
	}
	if figs := append(a.Figures(new(intervals.Answer)), (&Answer{}).Figures(new(intervals.Answer))...); len(figs) != 0 {
		t.Errorf("%v", figuretest.Names(figs))
	}
}
