package report

import (
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/device"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// onGPU is a made-up run of three sizes on a GPU: in one the CPU computes attention, the
// largest leaves layers to it and meets a power cap and heat.
func onGPU(t *testing.T, change func(r *runs.Row)) *analysis.Result {
	t.Helper()
	rows := celltest.GpuRun(func(r *runs.Row) {
		r.ThrottleReasons = []string{"gpu_idle"}
		switch r.Model {
		case "m01":
			r.CPUOpsPrefill, r.CPUOpsDecode, r.CPUOpNames = new(9), new(9), []string{"FLASH_ATTN_EXT x 8", "GET_ROWS x 1"}
		case "m02":
			r.NGPULayers, r.CPUOpsPrefill, r.CPUOpsDecode = 1, new(15), new(15)
			r.ThrottleReasons = []string{"gpu_idle", "sw_power_cap", "sw_thermal_slowdown"}
		}
		if change != nil {
			change(r)
		}
	})
	r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDeviceSection(t *testing.T) {
	if s := analysis.Get[device.Answer](small().Result()).Sections(); len(s) > 0 {
		t.Error("a run on a CPU has a section on the device")
	}
	r := onGPU(t, nil)
	says(t, celltest.Markdown(t, analysis.Get[device.Answer](r).Sections()...), "## 1 of 3 models run whole on the GPU; the host's clock adds 1.0 % to decode",
		"| model | backend | device (ms) | gap (% of host) | peak memory (MiB) | energy (J/token) | placement | clocks held down by |",
		"**not whole on the GPU**: FLASH_ATTN_EXT x 8, GET_ROWS x 1 |", "| part of the layers on the GPU |", "| nothing |", "sw_power_cap, **sw_thermal_slowdown**")
	md, _ := write(t, r)
	says(t, section(t, md, "Run facts"), "| GPU | Made-up GPU |")
	for _, code := range []string{"throttled", "cpu_fallback"} {
		if !strings.Contains(md, "("+code) {
			t.Errorf("no warning %s", code)
		}
	}
}

// TestDeviceNotRead: without sensors, account and placement there is no column of nothing.
func TestDeviceNotRead(t *testing.T) {
	r := onGPU(t, func(r *runs.Row) {
		*r.DeviceWindow = record.DeviceWindow{}
		r.Costs = record.Costs{}
		r.CUDAEventMS, r.HostGapMS, r.NLayer = nil, nil, 0
	})
	body := celltest.Markdown(t, analysis.Get[device.Answer](r).Sections()...)
	says(t, body, "## What the CPU computes is not known\n")
	mustNotSay(t, body, "device (ms)", "J/token", "clocks held")
}
