package plot

import (
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/plot/plottest"
)

func TestMemoryWallFigure(t *testing.T) {
	r, err := plottest.Wall()
	if err != nil {
		t.Fatal(err)
	}
	figs := newBook(r).wallFigures()
	if len(figs) != 2 || figs[0].Name != "memory_wall_q4_0" || figs[1].Name != "memory_wall_f16" {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[1], "decode (ms/token)", "device memory taken (GiB)", "8 GiB", "12 GiB", "24 GiB", "all layers on the GPU", "part of the layers", "llama-20b")
	if strings.Contains(figuretest.Text(t, figs[1]), "did not fit") {
		t.Error("a model that ran with part of its layers is drawn as one that did not fit")
	}

	// All layers or nothing: what did not fit is marked.
	var all []analysis.WallCell
	for _, c := range r.MemoryWall.Cells {
		if c.Asked == "all" && c.WeightType == "f16" {
			if *c.LimitGiB == 24 {
				c.LimitGiB = nil
			}
			all = append(all, c)
		}
	}
	r.MemoryWall.Cells = all
	figs = newBook(r).wallFigures()
	figuretest.Says(t, figs[0], "did not fit", "whole card")
	if !strings.Contains(figs[0].Caption, "Crosses at the upper edge") {
		t.Errorf("no word of crosses: %s", figs[0].Caption)
	}

	// Without memory figures there is one drawing alone.
	for i := range all {
		all[i].OwnMiB = nil
	}
	if len(newBook(r).wallFigures()[0].Panels) != 1 {
		t.Error("an empty drawing of memory")
	}

	// Nothing ran, and nothing is known: no figure.
	for i := range all {
		all[i].State, all[i].DecodeMS = analysis.WallTooBig, nil
	}
	if figs := newBook(r).wallFigures(); len(figs) != 0 {
		t.Errorf("%v", figuretest.Names(figs))
	}
	r.MemoryWall = nil
	if figs := newBook(r).wallFigures(); len(figs) != 0 {
		t.Errorf("%v", figuretest.Names(figs))
	}
}
