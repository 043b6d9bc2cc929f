package wall

import (
	"fmt"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// wallRun makes up six sizes, each twice that of the one before, under a small
// card with all layers and with as many as fit, and under the whole card. Decode
// takes 1 ms for each 5 million parameters, 10 times that where layers are on the
// CPU.
func wallRun(change func(r *runs.Row)) *runs.Run {
	rows := celltest.Plan{Models: 6, Reps: 3, Gen: 4, Backends: []string{"all8", "fit8", "card"}, Scenarios: []string{"a"}, PerToken: func(m int) float64 { return float64(int(1) << m) }}.Rows(1)
	for i := range rows {
		r := &rows[i]
		m := int(r.Model[2] - '0')
		r.Device, r.NGPULayers = "cuda", r.NLayer+1
		if r.Backend != "card" {
			r.VRAMLimitGiB = new(8.0)
		}
		decode := 4 * float64(int(1)<<m)
		r.VRAMBeforeMiB, r.GPUPeakMB = new(1000.0), new(1000+1000*float64(int(1)<<m))
		switch {
		case r.Backend == "all8" && m >= 4, r.Backend == "fit8" && m == 5:
			r.Status, r.Error, r.LatencyMS = record.StatusOOM, new("cudaMalloc failed: out of memory"), nil
			r.NGPULayers = map[string]int{"all8": askedAll, "fit8": askedFit}[r.Backend]
			r.WeightType = ""
		case r.Backend == "fit8" && m == 4:
			r.NGPULayers = 3
			decode *= 10
			fallthrough
		default:
			if r.Mode == record.ModeDecode {
				r.LatencyMS, r.CUDAEventMS = new(decode), new(decode*0.9)
			}
		}
		if change != nil {
			change(r)
		}
	}
	m, err := runs.ParseManifest([]byte(`{"resolved": {"backends": [
		{"name": "all8", "device": "cuda", "n_gpu_layers": -1, "vram_limit_gib": 8},
		{"name": "fit8", "device": "cuda", "n_gpu_layers": -2, "vram_limit_gib": 8},
		{"name": "card", "device": "cuda", "n_gpu_layers": -1}]}}`))
	if err != nil {
		panic(err) // the text above is JSON
	}
	return &runs.Run{Harness: runs.HarnessLLMScale, Rows: rows, Manifest: m}
}

func wallOf(t *testing.T, run *runs.Run) *Wall {
	t.Helper()
	c, err := cells.New(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return Ask(c).Wall
}

func TestMemoryWall(t *testing.T) {
	w := wallOf(t, wallRun(nil))
	if w == nil || len(w.Cells) != 18 {
		t.Fatalf("%+v", w)
	}
	got := map[string]string{}
	for _, c := range w.Cells {
		got[c.Backend] += c.State[:1]
		if c.WeightType != "f32" || c.Layers == 0 || (c.LimitGiB == nil) != (c.Backend == "card") || c.Asked != map[string]string{"all8": "all", "fit8": "fit", "card": "all"}[c.Backend] {
			t.Errorf("%+v", c)
		}
		if c.State == TooBig && (c.Reason != "cudaMalloc failed: out of memory" || c.DecodeMS != nil || c.GPULayers != nil || c.PeakMiB != nil) {
			t.Errorf("%+v", c)
		}
	}
	if s := fmt.Sprint(got["all8"], got["fit8"], got["card"]); s != "wwwwddwwwwpdwwwwww" {
		t.Errorf("states %s", s)
	}
	p := w.Cells[6+4]
	if p.Model != "m04" || *p.GPULayers != 3 || p.Layers != 7 || *p.OwnMiB != 16000 || *p.PeakMiB != 17000 || p.WholeIn != "card" {
		t.Errorf("%+v", p)
	}
	celltest.Near(t, "decode", p.DecodeMS, 160, 1e-9)
	celltest.Near(t, "times the same model", p.OverWhole, 10, 1e-9)
	want := []string{
		"all8 8 GiB all f32 m03  m04", "fit8 8 GiB fit f32 m03 m04 m05", "card whole card all f32 m05  ",
	}
	for i, e := range w.Edges {
		if s := strings.Join([]string{e.Backend, e.limitText(), e.Asked, e.WeightType, e.LastWhole, e.FirstPartial, e.FirstTooBig}, " "); s != want[i] {
			t.Errorf("%q, want %q", s, want[i])
		}
	}
	if e := w.Edges[1]; *e.LastWholeM != 40 || *e.FirstPartialM != 80 || *e.FirstTooBigM != 160 {
		t.Errorf("%+v", e)
	}
}

// TestWallAfterFailedCall: a failed call before those that ran does not hide how they
// ran, so that the model is still compared with the same one whole.
func TestWallAfterFailedCall(t *testing.T) {
	failed := false
	w := wallOf(t, wallRun(func(r *runs.Row) {
		r.CPUAffinity = new("0-7")
		if r.Backend == "fit8" && r.Model == "m04" && !failed {
			failed = true
			r.Status, r.Error, r.LatencyMS, r.CPUAffinity = record.StatusError, new("lost"), nil, nil
		}
	}))
	if c := w.Cells[6+4]; c.Status != record.StatusError || c.State != Partial || c.OverWhole == nil {
		t.Errorf("%+v", c)
	}
}

// TestOtherWaysAreNotJoined: whole models are not pooled across programs, builds under
// one name, paces, affinities or batches.
func TestOtherWaysAreNotJoined(t *testing.T) {
	partial := func(w *Wall) *Cell { return &w.Cells[6+4] }
	for what, change := range celltest.OtherWays {
		after := partial(wallOf(t, wallRun(func(r *runs.Row) {
			if r.Backend != "card" {
				return
			}
			change(r)
			if r.Mode == record.ModeDecode && r.LatencyMS != nil {
				r.LatencyMS = new(5 * *r.LatencyMS)
			}
		})))
		if after.State != Partial || after.WholeIn != "" || after.OverWhole != nil {
			t.Errorf("%s: it is set beside the card's: %+v", what, after)
		}
	}
}

// TestWallStates: what else a model may be.
func TestWallStates(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(r *runs.Row)
	}{
		{None, func(r *runs.Row) { r.NGPULayers = 0 }},
		{Invalid, func(r *runs.Row) { r.Verdict = new(record.VerdictInvalid) }},
		{Failed, func(r *runs.Row) { r.Status, r.Error = record.StatusCrashed, new("died") }},
	} {
		w := wallOf(t, wallRun(func(r *runs.Row) {
			if r.Backend == "fit8" && r.Model == "m00" {
				c.change(r)
			}
		}))
		if got := w.Cells[6]; got.Model != "m00" || got.State != c.want {
			t.Errorf("%+v, want %s", got, c.want)
		}
	}
}

// TestNoWall: nothing to show where backends do not differ and all is whole, on a
// CPU, and where no GPU was there.
func TestNoWall(t *testing.T) {
	card := func(change func(r *runs.Row)) *runs.Run {
		run := wallRun(change)
		var rows []runs.Row
		for _, r := range run.Rows {
			if r.Backend == "card" {
				rows = append(rows, r)
			}
		}
		run.Rows = rows
		return run
	}
	for name, run := range map[string]*runs.Run{
		"whole":  card(nil),
		"cpu":    card(func(r *runs.Row) { r.Device, r.NGPULayers = "cpu", 0 }),
		"waived": wallRun(func(r *runs.Row) { r.Status = record.StatusWaived }),
	} {
		if w := wallOf(t, run); w != nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
	if w := wallOf(t, card(func(r *runs.Row) {
		if r.Model == "m05" {
			r.Status = record.StatusOOM
		}
	})); w == nil || len(w.Edges) != 1 || w.Edges[0].FirstTooBig != "m05" {
		t.Errorf("one backend with a model that did not fit: %+v", w)
	}
}
