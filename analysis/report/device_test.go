package report

import (
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/q/device"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// wallRun is the made-up run on a GPU, less the backends that keep does not name.
func wallRun(t *testing.T, keep ...string) *analysis.Result {
	t.Helper()
	r, err := analysistest.Wall()
	if err != nil {
		t.Fatal(err)
	}
	if len(keep) == 0 {
		return r
	}
	named := map[string]bool{}
	for _, k := range keep {
		named[k] = true
	}
	d := analysis.Get[device.Answer](r)
	d.Cells = filter(d.Cells, func(d *device.Cell) bool { return named[d.Backend] })
	d.Models = filter(d.Models, func(m *device.Model) bool { return named[m.Backend] })
	return r
}

func filter[T any](xs []T, keep func(*T) bool) (out []T) {
	for i := range xs {
		if keep(&xs[i]) {
			out = append(out, xs[i])
		}
	}
	return out
}

func TestDeviceSection(t *testing.T) {
	if md, _ := write(t, small().Result()); section(t, md, "Device time, memory and power") != "" {
		t.Error("a run on a CPU has a section on the device")
	}
	r := wallRun(t, "cuda_8g_f16_fit")
	md, _ := write(t, r)
	body := section(t, md, "Device time, memory and power")
	for _, want := range []string{
		"CUDA events on ggml's own stream",
		"| cuda_8g_f16_fit | llama-5m | 4.852 | p512 | prefill | 4 |", "| host_gap |",
		"<summary>Times of all 54 cells and modes</summary>", "| p1 | end-to-end |",
		"| decode | cuda_8g_f16_fit | 9 | ",
		"before (MiB) | after load (MiB) | after context (MiB) | peak (MiB) | weights (MiB) | KV cache (MiB) | compute (MiB) | rest (MiB) |",
		"Of 5 of 9 pairs of model and backend the graphs run whole on the GPU but for that.",
		"| 9 of 9 | **not whole on the GPU** | 2 | 2 | 9 | 9 |", "FLASH_ATTN_EXT x 8, GET_ROWS x 1",
		"| 12 of 71 | part of the layers on the GPU |",
		"| 4 of 4 |", "| 0 of 4 |", "| nothing |", "| sw_power_cap |", "energy (J/token)",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if facts := section(t, md, "Run facts"); !strings.Contains(facts, "| GPU | Made-up GPU 80GB |") {
		t.Errorf("the facts do not name the GPU:\n%s", facts)
	}
	// What spoils figures stands out, and beside the cell.
	if md, _ := write(t, wallRun(t, "cuda_24g_q4_0_fit")); !strings.Contains(section(t, md, "Device time, memory and power"), "sw_power_cap, **sw_thermal_slowdown**") {
		t.Error("a thermal slowdown does not stand out")
	}
	for _, code := range []string{"throttled", "graph_captured", "cpu_fallback", "host_gap", "invalid_calls", "mixed_offload"} {
		if !strings.Contains(md, "| "+code+" |") {
			t.Errorf("no warning %s", code)
		}
	}
}

// TestDeviceNotRead: without sensors, account and placement the report says so, and
// a table that would be very long is folded.
func TestDeviceNotRead(t *testing.T) {
	r, err := analysistest.Wall(func(r *runs.Row) {
		*r.DeviceWindow = record.DeviceWindow{}
		r.Costs = record.Costs{}
		r.CUDAEventMS, r.HostGapMS, r.NLayer = nil, nil, 0
	})
	if err != nil {
		t.Fatal(err)
	}
	md, _ := write(t, r)
	body := section(t, md, "Device time, memory and power")
	for _, want := range []string{"What device memory the models took is not known.", "What the CPU computes of these models' graphs is not known.", "Power, clocks and temperature were not read.", "<summary>Times with the longest prompt (202)</summary>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%.2000s", want, body)
		}
	}
	if strings.Contains(body, "device (ms)") {
		t.Error("a column of nothing")
	}
}
