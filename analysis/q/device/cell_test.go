package device

import (
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/cuda/telemetry"
	"llmscale/runner/record"
)

func cellsOf(r *Answer, model, mode string) (out []*Cell) {
	for i := range r.Cells {
		if d := &r.Cells[i]; d.Model == model && d.Mode == mode {
			out = append(out, d)
		}
	}
	return out
}

func warned(r *Answer, code string) (out []finding.Warning) {
	for _, w := range r.Warnings() {
		if w.Code == code {
			out = append(out, w)
		}
	}
	return out
}

func TestDevice(t *testing.T) {
	r := Ask(celltest.Set(t, celltest.GpuRun(nil)))
	if len(r.Cells) != 3*2*3 {
		t.Fatalf("%d cells and modes", len(r.Cells))
	}
	d := cellsOf(r, "m01", record.ModeDecode)[0]
	if d.N != 4 || math.Abs(*d.DeviceMS/d.HostMS-0.99) > 1e-12 || math.Abs(*d.GapShare-0.01) > 1e-12 || *d.GraphCaptures != 0 || d.CapturedCalls != 0 || d.GPU != "Made-up GPU" {
		t.Errorf("%+v", d)
	}
	// 1900 less 500 before and 1150 by llama.cpp's account.
	if *d.RestMiB != 250 || *d.BeforeMiB != 500 || *d.PeakMiB != 1900 {
		t.Errorf("%+v", d)
	}
	if d.Placement != PlacedLookup || *d.CPUOps != 1 || *d.Splits != 2 {
		t.Errorf("%+v", d)
	}
	// Four calls of ten tokens at 20 ± 3 J each.
	if d.EnergyCalls != 4 || math.Abs(*d.JPerToken-2) > 1e-12 || math.Abs(*d.JPerTokenPM-0.3) > 1e-12 || *d.PowerW != 300 || *d.TemperatureC != 55 {
		t.Errorf("%+v", d)
	}
	if p := cellsOf(r, "m01", record.ModePrefill)[0]; math.Abs(*p.JPerToken-20.0/9) > 1e-12 {
		t.Errorf("%+v", p)
	}
	if e := cellsOf(r, "m01", record.ModeE2E)[0]; e.JPerToken != nil || e.Placement != PlacedLookup || e.CPUOps != nil {
		t.Errorf("%+v", e)
	}
	if !slices.Equal(d.Throttle, []string{"sw_power_cap"}) {
		t.Errorf("%q", d.Throttle)
	}
	for _, code := range []string{"graph_captured", "cpu_fallback", "throttled", "host_gap"} {
		if w := warned(r, code); len(w) > 0 {
			t.Errorf("%+v", w)
		}
	}
	for i := range r.Cells {
		if len(r.Cells[i].Warnings) > 0 {
			t.Errorf("%+v", r.Cells[i].Warnings)
		}
	}
	if cpu := Ask(celltest.Set(t, celltest.Ladder.Rows(1))); cpu.Cells != nil || cpu.Gaps != nil {
		t.Error("a run on a CPU has device cells")
	}
}

// TestDeviceDoubts: each warning where it belongs, said once, and beside its cell.
func TestDeviceDoubts(t *testing.T) {
	for _, c := range []struct {
		code, where, text string
		times             int // among the run's warnings
		cells             int // and modes that carry it
		change            func(r *runs.Row)
	}{
		{"graph_captured", "gpu m01 a", "3 CUDA graphs were captured in 1 of 4 calls", 1, 3, func(r *runs.Row) {
			if r.Model == "m01" && r.Scenario == "a" && r.CallIdx == 2 {
				*r.GraphCaptures = 3
			}
		}},
		{"cpu_fallback", "gpu m02", "the CPU computes FLASH_ATTN_EXT x 4, GET_ROWS x 1", 1, 6, func(r *runs.Row) {
			if r.Model == "m02" {
				r.CPUOpNames, r.CPUOpsPrefill, r.CPUOpsDecode = []string{"FLASH_ATTN_EXT x 4", "GET_ROWS x 1"}, new(5), new(5)
			}
		}},
		{"throttled", "gpu m00 b", "sw_thermal_slowdown held the clocks down in 2 of 4 calls", 1, 3, func(r *runs.Row) {
			if r.Model == "m00" && r.Scenario == "b" && r.CallIdx >= 3 {
				r.ThrottleReasons = []string{"sw_power_cap", "sw_thermal_slowdown"}
			}
		}},
		{"host_gap", "gpu m00 a", "4.0 % lie between", 2, 2, func(r *runs.Row) {
			if r.Model == "m00" {
				r.CUDAEventMS, r.HostGapMS = new(0.96**r.LatencyMS), new(0.04**r.LatencyMS)
			}
		}},
	} {
		t.Run(c.code, func(t *testing.T) {
			r := Ask(celltest.Set(t, celltest.GpuRun(c.change)))
			w := warned(r, c.code)
			if len(w) != c.times || w[0].Where != c.where || !strings.Contains(w[0].Text, c.text) || w[0].Advice == "" {
				t.Errorf("%+v", w)
			}
			n := 0
			for i := range r.Cells {
				if slices.Contains(celltest.Codes(r.Cells[i].Warnings), c.code) {
					n++
				}
			}
			if n != c.cells {
				t.Errorf("%d cells and modes carry %s", n, c.code)
			}
		})
	}
}

// TestPlacement: what is on the CPU, and whether that is a doubt.
func TestPlacement(t *testing.T) {
	for want, change := range map[string]func(r *runs.Row){
		PlacedWhole: func(r *runs.Row) { r.CPUOpsPrefill, r.CPUOpsDecode, r.CPUOpNames = new(0), new(0), []string{} },
		PlacedLookup: func(r *runs.Row) {
			r.CPUOpsPrefill, r.CPUOpsDecode, r.CPUOpNames = new(2), new(2), []string{"GET_ROWS x 2"}
		},
		PlacedPartial:  func(r *runs.Row) { r.NGPULayers, r.CPUOpsDecode = 1, new(40) },
		PlacedFallback: func(r *runs.Row) { r.CPUOpsDecode, r.CPUOpNames = new(3), []string{"GET_ROWS x 1", "ROPE x 2"} },
		"":             func(r *runs.Row) { r.CPUOpsPrefill, r.CPUOpsDecode, r.CPUOpNames = nil, nil, nil },
	} {
		r := Ask(celltest.Set(t, celltest.GpuRun(change)))
		if d := cellsOf(r, "m00", record.ModeDecode)[0]; d.Placement != want {
			t.Errorf("%q, want %q: %+v", d.Placement, want, d)
		}
		if m := r.Models[0]; m.Placement != want || m.Whole != (want == PlacedWhole || want == PlacedLookup) {
			t.Errorf("%q, want %q: %+v", m.Placement, want, m)
		}
		if fallback := len(warned(r, "cpu_fallback")) > 0; fallback != (want == PlacedFallback) {
			t.Errorf("%s: warned of a fallback: %v", want, fallback)
		}
	}
	// The decode graph is whole where only prefill falls back.
	r := Ask(celltest.Set(t, celltest.GpuRun(func(r *runs.Row) { r.CPUOpsPrefill, r.CPUOpNames = new(3), []string{"GET_ROWS x 1", "ROPE x 2"} })))
	if d, p := cellsOf(r, "m00", record.ModeDecode)[0], cellsOf(r, "m00", record.ModePrefill)[0]; d.Placement != PlacedLookup || p.Placement != PlacedFallback {
		t.Errorf("decode %s, prefill %s", d.Placement, p.Placement)
	}
	if m := r.Models[0]; m.Placement != PlacedFallback || m.Whole {
		t.Errorf("%+v", m)
	}
}

// TestModels: of a model speak the cell with most on the CPU, the one whose memory
// peaks highest, and of each mode the one with the longest prompt.
func TestModels(t *testing.T) {
	r := Ask(celltest.Set(t, celltest.GpuRun(func(r *runs.Row) {
		r.VRAMPeakMiB = new(2000.0)
		if r.Scenario == "b" {
			r.CPUOpsDecode, r.PromptTokensRaw = new(5), new(4096)
			if r.Mode == record.ModePrefill {
				r.VRAMPeakMiB, r.TokensTotal = new(2100.0), new(4096)
			}
		}
	})))
	if len(r.Models) != 3 {
		t.Fatalf("%d models", len(r.Models))
	}
	if m := r.Models[0]; m.Model != "m00" || m.placed.Scenario != "b" || m.decode.Scenario != "b" || *m.PeakMiB != 2100 {
		t.Errorf("%+v", m)
	}
}

// TestDeviceUnknown: without events, sensors and account the figures are unknown,
// and 0 nowhere.
func TestDeviceUnknown(t *testing.T) {
	r := Ask(celltest.Set(t, celltest.GpuRun(func(r *runs.Row) {
		r.CUDAEventMS, r.HostGapMS, r.GraphCaptures, r.VRAMWeightsMiB = nil, nil, nil, nil
		*r.DeviceWindow = record.DeviceWindow{}
	})))
	d := cellsOf(r, "m00", record.ModeDecode)[0]
	if d.DeviceMS != nil || d.GapMS != nil || d.GapShare != nil || d.GraphCaptures != nil || d.RestMiB != nil || d.PowerW != nil || d.JPerToken != nil || d.Throttle != nil {
		t.Errorf("%+v", d)
	}
	if *d.PeakMiB != 1900 || len(d.Warnings) > 0 {
		t.Errorf("%+v", d)
	}
}

// TestThrottleWords: the reasons that spoil figures are those of the telemetry.
func TestThrottleWords(t *testing.T) {
	var spoiling, harmless []string
	for _, e := range telemetry.ClockEvents() {
		switch e.Effect {
		case telemetry.Spoils:
			spoiling = append(spoiling, e.Name)
		case telemetry.Harmless:
			harmless = append(harmless, e.Name)
		}
	}
	if !slices.Equal(spoiling, spoilingReasons) || !slices.Equal(harmless, harmlessReasons) {
		t.Errorf("telemetry: %q spoil, %q are harmless", spoiling, harmless)
	}
}
