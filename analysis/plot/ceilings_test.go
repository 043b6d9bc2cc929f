package plot

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/figure"
	"llmscale/analysis/plot/plottest"
)

func TestCeilingFigure(t *testing.T) {
	r := small().Result()
	plottest.AddCeilings(r)
	figs := write(t, r)
	i := slices.IndexFunc(figs, func(f figure.Drawn) bool { return f.Kind == KindCeilings })
	if i < 0 {
		t.Fatalf("no figure of ceilings among %v", names(figs))
	}
	f := figs[i]
	if f.Name != "ceilings_cpu_2_threads" {
		t.Errorf("it is called %s", f.Name)
	}
	svg := checkXML(t, f.SVGPath)
	for _, text := range []string{"cpu with 2 threads", "reading (GB/s)", "best rate measured", "half of it", "decode, native_cpu_f32 (4 models)", "gpt2-25m"} {
		if !strings.Contains(svg, text) {
			t.Errorf("the figure does not say %q", text)
		}
	}
	// Without shares the device is still drawn; with one rate there is no curve.
	r.CeilingShares = nil
	if figs := write(t, r); !strings.Contains(figs[slices.IndexFunc(figs, func(f figure.Drawn) bool { return f.Kind == KindCeilings })].Caption, "No decode of the run") {
		t.Error("no word that decode is missing")
	}
	r.Ceilings[0].Read = r.Ceilings[0].Read[:1]
	if figs := write(t, r); slices.ContainsFunc(figs, func(f figure.Drawn) bool { return f.Kind == KindCeilings }) {
		t.Error("one rate has a figure")
	}
}
