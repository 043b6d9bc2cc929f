package regimes

import (
	"fmt"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// ladder is an answer about four sizes in two scenarios, on one backend, whose decode
// reads 5 of 10 or of 100 GB/s.
func ladder(t *testing.T) *Answer {
	t.Helper()
	rows := celltest.Plan{Models: 4, Reps: 3, Gen: 10, Backends: []string{"cpu_f32"}, Scenarios: []string{"a", "b"}, PerToken: func(m int) float64 { return 4 * float64(int(1)<<m) }}.Rows(1)
	return asked(t, rows, &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}})
}

// TestMaps: a mark for each size and number of tokens where these vary, else the parts
// over size.
func TestMaps(t *testing.T) {
	w := onLadder
	rows, _ := w.rows(t, 1)
	figs := figuretest.Only(asked(t, rows, w.f).Figures(new(intervals.Answer)), MapKind)
	if len(figs) != 2 {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	for _, f := range figs {
		marks, want := 0, w.sizes*len(w.batches)
		if strings.Contains(f.Name, record.ModePrefill) {
			want *= len(w.prompts) // 1, 16 and 64 tokens of one sequence, 8, 128 and 512 of eight
		}
		for _, l := range f.Panels[0].Layers {
			marks += len(l.Points)
		}
		if marks != want {
			t.Errorf("%s: %d marks, want %d", f.Name, marks, want)
		}
		figuretest.Says(t, f, "What bounds", "compute (")
	}
	w.batches, w.prompts = []int{1}, []int{16}
	rows, _ = w.rows(t, 1)
	figs = figuretest.Only(asked(t, rows, w.f).Figures(new(intervals.Answer)), MapKind)
	figuretest.Says(t, figs[0], "Where the time of decode goes", "residual", "reading")
	if n := len(figs[0].Panels[0].Layers); n != 4 {
		t.Errorf("%d lines", n)
	}
}

func TestFigures(t *testing.T) {
	a := ladder(t)
	devices := func() []figure.Figure { return figuretest.Only(a.Figures(new(intervals.Answer)), figureKind) }
	figs := devices()
	if len(figs) != 1 || figs[0].Name != "ceilings_cpu_2_threads" {
		t.Fatalf("%+v", figs)
	}
	figuretest.Says(t, figs[0], "cpu with 2 threads", "reading (GB/s)", "best rate measured", "half of it", "decode, cpu_f32 (4 models)")
	layers := figs[0].Panels[0].Layers
	if p := layers[len(layers)-1].Points; len(p) != 4 || p[0].Name != "m00" || !p[0].Named || p[0].X != 20 || p[0].Low > p[0].Y || p[0].High != p[0].Y {
		t.Errorf("%+v", p)
	}
	// Without shares the device is still drawn; with one rate there is no curve.
	a.Budgets = nil
	if c := devices()[0].Caption; !strings.Contains(c, "No decode of the run") {
		t.Errorf("no word that decode is missing: %s", c)
	}
	a.Devices[0].Read = a.Devices[0].Read[:1]
	if figs := devices(); len(figs) != 0 {
		t.Errorf("one rate has a figure: %+v", figs)
	}
}

// TestManyBackends: a drawing has so many of them, and says how many there are.
func TestManyBackends(t *testing.T) {
	p := celltest.Plan{Models: 1, Reps: 1, Gen: 10, Scenarios: []string{"a"}, PerToken: func(int) float64 { return 4 }}
	for i := range 14 {
		p.Backends = append(p.Backends, fmt.Sprintf("b%02d", i))
	}
	figs := asked(t, p.Rows(1), &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}}).Figures(new(intervals.Answer))
	if f := figs[0]; !strings.Contains(f.Subtitle, " · the first 12 of 14 backends") || len(f.Legend) != figure.MaxSeries+3 {
		t.Errorf("%s: %d entries in the legend: %s", f.Name, len(f.Legend), f.Subtitle)
	}
}
