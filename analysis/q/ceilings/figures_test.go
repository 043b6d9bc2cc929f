package ceilings

import (
	"fmt"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/figuretest"
	"llmscale/runner/ceilings"
)

func TestFigures(t *testing.T) {
	a := ladder(t)
	figs := a.Figures()
	if len(figs) != 1 || figs[0].Name != "ceilings_cpu_2_threads" {
		t.Fatalf("%+v", figs)
	}
	figuretest.Says(t, figs[0], "cpu with 2 threads", "reading (GB/s)", "best rate measured", "half of it", "decode, cpu_f32 (4 models)")
	layers := figs[0].Panels[0].Layers
	if p := layers[len(layers)-1].Points; len(p) != 4 || p[0].Name != "m00" || !p[0].Named || p[0].X != 20 || p[0].Low > p[0].Y || p[0].High != p[0].Y {
		t.Errorf("%+v", p)
	}
	// Without shares the device is still drawn; with one rate there is no curve.
	a.Shares = nil
	if c := a.Figures()[0].Caption; !strings.Contains(c, "No decode of the run") {
		t.Errorf("no word that decode is missing: %s", c)
	}
	a.Devices[0].Read = a.Devices[0].Read[:1]
	if figs := a.Figures(); len(figs) != 0 {
		t.Errorf("one rate has a figure: %+v", figs)
	}
}

// TestManyBackends: a drawing has so many of them, and says how many there are.
func TestManyBackends(t *testing.T) {
	p := celltest.Plan{Models: 1, Reps: 1, Gen: 10, Scenarios: []string{"a"}, PerToken: func(int) float64 { return 4 }}
	for i := range 14 {
		p.Backends = append(p.Backends, fmt.Sprintf("b%02d", i))
	}
	f := asked(t, p.Rows(1), &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}}).Figures()[0]
	if !strings.Contains(f.Subtitle, " · the first 12 of 14 backends") || len(f.Legend) != figure.MaxSeries+3 {
		t.Errorf("%d entries in the legend: %s", len(f.Legend), f.Subtitle)
	}
}
