package report

import (
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/analysistest"
	"llmscale/analysis/cells/celltest"
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
	if s := analysis.Get[device.Answer](small().Result()).Sections(); len(s) > 0 {
		t.Error("a run on a CPU has a section on the device")
	}
	shown := func(backend string) string {
		return celltest.Markdown(t, analysis.Get[device.Answer](wallRun(t, backend)).Sections()...)
	}
	says(t, shown("cuda_8g_f16_fit"), "## 5 of 9 models run whole on the GPU; the host's clock adds ", "| model | backend | device (ms) | gap (% of host) | peak memory (MiB) | energy (J/token) | placement | clocks held down by |",
		"**not whole on the GPU**: FLASH_ATTN_EXT x 8, GET_ROWS x 1 |", "| part of the layers on the GPU |", "| nothing |", "| sw_power_cap |", "| cuda_8g_f16_fit | 9 | ")
	// What spoils figures stands out.
	says(t, shown("cuda_24g_q4_0_fit"), "sw_power_cap, **sw_thermal_slowdown**")
	md, _ := write(t, wallRun(t))
	says(t, section(t, md, "Run facts"), "| GPU | Made-up GPU 80GB |")
	for _, code := range []string{"throttled", "cpu_fallback"} {
		if !strings.Contains(md, "("+code) {
			t.Errorf("no warning %s", code)
		}
	}
}

// TestDeviceNotRead: without sensors, account and placement there is no column of nothing.
func TestDeviceNotRead(t *testing.T) {
	r, err := analysistest.Wall(func(r *runs.Row) {
		*r.DeviceWindow = record.DeviceWindow{}
		r.Costs = record.Costs{}
		r.CUDAEventMS, r.HostGapMS, r.NLayer = nil, nil, 0
	})
	if err != nil {
		t.Fatal(err)
	}
	body := celltest.Markdown(t, analysis.Get[device.Answer](r).Sections()...)
	says(t, body, "## What the CPU computes is not known\n")
	mustNotSay(t, body, "device (ms)", "J/token", "clocks held")
}
