package plot

import (
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/plot/plottest"
)

// wallFigures draws the figures of the memory wall alone.
func wallFigures(t *testing.T, r *analysis.Result) []figure.Drawn {
	t.Helper()
	figs, err := draw.Write(t.TempDir(), newBook(r).wallFigures())
	if err != nil {
		t.Fatal(err)
	}
	return figs
}

func TestMemoryWallFigure(t *testing.T) {
	r, err := plottest.Wall()
	if err != nil {
		t.Fatal(err)
	}
	figs := wallFigures(t, r)
	if len(figs) != 2 || figs[0].Name != "memory_wall_q4_0" || figs[1].Name != "memory_wall_f16" {
		t.Fatalf("%v", names(figs))
	}
	svg := checkXML(t, figs[1].SVGPath)
	for _, text := range []string{"decode (ms/token)", "device memory taken (GiB)", "8 GiB", "12 GiB", "24 GiB", "all layers on the GPU", "part of the layers", "llama-20b"} {
		if !strings.Contains(svg, text) {
			t.Errorf("the figure does not say %q", text)
		}
	}
	if strings.Contains(svg, "did not fit") {
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
	figs = wallFigures(t, r)
	svg = checkXML(t, figs[0].SVGPath)
	if !strings.Contains(svg, "did not fit") || !strings.Contains(svg, "whole card") || !strings.Contains(figs[0].Caption, "Crosses at the upper edge") {
		t.Errorf("no word of what did not fit: %s", figs[0].Caption)
	}

	// Without memory figures there is one drawing alone.
	for i := range all {
		all[i].OwnMiB = nil
	}
	if svg := checkXML(t, wallFigures(t, r)[0].SVGPath); strings.Contains(svg, "device memory taken") {
		t.Error("an empty drawing of memory")
	}

	// Nothing ran, and nothing is known: no figure.
	for i := range all {
		all[i].State, all[i].DecodeMS = analysis.WallTooBig, nil
	}
	if figs := wallFigures(t, r); len(figs) != 0 {
		t.Errorf("%v", names(figs))
	}
	r.MemoryWall = nil
	if figs := wallFigures(t, r); len(figs) != 0 {
		t.Errorf("%v", names(figs))
	}
}
