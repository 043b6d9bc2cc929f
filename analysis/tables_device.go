package analysis

import (
	"strconv"
	"strings"

	"llmscale/analysis/stats"
)

// deviceTables hold what a GPU says of the cells that ran on it.
var deviceTables = []Table{
	table("device.csv", "Device time, memory, placement and power of each cell that ran on a GPU, by mode. Power, clocks and temperature are those of the mode's own phase.", true,
		func(r *Result) []*DeviceCell { return pointers(r.Device) },
		[]column[*DeviceCell]{
			{"backend", "", "name of the backend", func(d *DeviceCell) string { return d.Backend }},
			{"backend_kind", "", "runtime", func(d *DeviceCell) string { return d.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(d *DeviceCell) string { return strconv.Itoa(d.BatchSize) }},
			{"model", "", "name of the model", func(d *DeviceCell) string { return d.Model }},
			{"params_millions_effective", "1e6", "parameters", func(d *DeviceCell) string { return opt(d.ParamsM) }},
			{"scenario", "", "name of the scenario", func(d *DeviceCell) string { return d.Scenario }},
			{"mode", "", "prefill, kv_decode or e2e_kv", func(d *DeviceCell) string { return d.Mode }},
			{"gpu_name", "", "the GPU", func(d *DeviceCell) string { return d.GPU }},
			{"n", "calls", "calls summarised", func(d *DeviceCell) string { return strconv.Itoa(d.N) }},
			{"host_median_ms", "ms", "median host time", func(d *DeviceCell) string { return num(d.HostMS) }},
			{"device_median_ms", "ms", "median time by CUDA events", func(d *DeviceCell) string { return opt(d.DeviceMS) }},
			{"host_gap_median_ms", "ms", "median of host less device time", func(d *DeviceCell) string { return opt(d.GapMS) }},
			{"host_gap_share_median", "", "median of the same over the host time", func(d *DeviceCell) string { return opt(d.GapShare) }},
			{"graph_captures", "", "CUDA graphs captured in these calls; 0 in a steady state", func(d *DeviceCell) string { return count64(d.GraphCaptures) }},
			{"captured_calls", "calls", "calls that captured any", func(d *DeviceCell) string { return strconv.Itoa(d.CapturedCalls) }},
			{"vram_before_mib", "MiB", "device memory in use before the model was loaded", func(d *DeviceCell) string { return opt(d.BeforeMiB) }},
			{"vram_after_load_mib", "MiB", "after the weights were loaded", func(d *DeviceCell) string { return opt(d.LoadedMiB) }},
			{"vram_after_context_mib", "MiB", "after the context was created", func(d *DeviceCell) string { return opt(d.ContextMiB) }},
			{"vram_peak_mib", "MiB", "highest in use in any call's phase", func(d *DeviceCell) string { return opt(d.PeakMiB) }},
			{"vram_weights_mib", "MiB", "weights, by llama.cpp's own account", func(d *DeviceCell) string { return opt(d.WeightsMiB) }},
			{"vram_kv_mib", "MiB", "KV cache, by llama.cpp's own account", func(d *DeviceCell) string { return opt(d.KVMiB) }},
			{"vram_compute_mib", "MiB", "intermediate results, by llama.cpp's own account", func(d *DeviceCell) string { return opt(d.ComputeMiB) }},
			{"vram_rest_mib", "MiB", "peak less before and these three: the CUDA context, pools, other programs", func(d *DeviceCell) string { return opt(d.RestMiB) }},
			{"n_gpu_layers", "", "layers on the GPU", func(d *DeviceCell) string { return strconv.Itoa(d.GPULayers) }},
			{"n_layers", "", "layers that there are, the output head counted as one", func(d *DeviceCell) string { return strconv.Itoa(d.Layers) }},
			{"placement", "", "whole: the CPU computes nothing; lookup: the tokens' embeddings alone; partial: the layers that the GPU was not given; fallback: what the GPU was given and does not compute", func(d *DeviceCell) string { return d.Placement }},
			{"graph_splits", "", "pieces that the mode's graph is cut into", func(d *DeviceCell) string { return count64(d.Splits) }},
			{"cpu_ops", "", "operations of that graph that the CPU computes", func(d *DeviceCell) string { return count64(d.CPUOps) }},
			{"cpu_op_bytes", "B", "weights and results that they read and write", func(d *DeviceCell) string { return count64(d.CPUBytes) }},
			{"cpu_op_names", "", "their names with counts, of prefill's and decode's graph together", func(d *DeviceCell) string { return strings.Join(d.CPUNames, "; ") }},
			{"power_median_w", "W", "median over the calls of the mean power", func(d *DeviceCell) string { return opt(d.PowerW) }},
			{"energy_calls", "calls", "calls whose energy is known: phases of a few ticks of the counter", func(d *DeviceCell) string { return strconv.Itoa(d.EnergyCalls) }},
			{"j_per_token", "J/token", "energy of these calls over their tokens: prompt tokens for prefill, decoded ones for decode; idle power included", func(d *DeviceCell) string { return opt(d.JPerToken) }},
			{"j_per_token_uncertainty", "J/token", "bound from the counter's ticks, to either side; the sensor's own error is not in it", func(d *DeviceCell) string { return opt(d.JPerTokenPM) }},
			{"energy_median_j", "J", "median energy of a call's phase", func(d *DeviceCell) string { return opt(d.EnergyJ) }},
			{"sm_clock_median_mhz", "MHz", "clock of the multiprocessors", func(d *DeviceCell) string { return opt(d.SMClockMHz) }},
			{"sm_clock_min_mhz", "MHz", "the lowest seen", func(d *DeviceCell) string { return opt(d.SMClockMinMHz) }},
			{"mem_clock_median_mhz", "MHz", "clock of the device memory", func(d *DeviceCell) string { return opt(d.MemClockMHz) }},
			{"temperature_max_c", "C", "highest temperature", func(d *DeviceCell) string { return opt(d.TemperatureC) }},
			{"throttle_reasons", "", "what held the clocks down in any call, in NVML's words; an idle GPU is not named", func(d *DeviceCell) string { return strings.Join(d.Throttle, " ") }},
			{"throttle_spoilt_calls", "calls", "calls with a reason that spoils figures", func(d *DeviceCell) string { return strconv.Itoa(d.ThrottleSpoiltCalls) }},
			{"warnings", "", "codes of the doubts", func(d *DeviceCell) string { return codes(d.Warnings) }},
		}),

	table("device_fits.csv", "Scaling of decode by the host's clock and by the device's, over the same models and all scenarios.", true,
		func(r *Result) []*DeviceFit { return pointers(r.DeviceFits) },
		[]column[*DeviceFit]{
			{"backend", "", "name of the backend", func(f *DeviceFit) string { return f.Backend }},
			{"batch_size", "sequences", "sequences decoded together", func(f *DeviceFit) string { return strconv.Itoa(f.BatchSize) }},
			{"mode", "", "kv_decode", func(f *DeviceFit) string { return f.Mode }},
			{"x_axis", "", "what stands for size", func(f *DeviceFit) string { return f.Host.Axis }},
			{"n_models", "", "models with device times in every scenario", func(f *DeviceFit) string { return strconv.Itoa(f.Host.NModels) }},
			{"host_slope", "", "exponent by the host's clock", func(f *DeviceFit) string { return opt(f.Host.Slope) }},
		},
		bounds("host_slope_t", "", "95 % t-interval of it", func(f *DeviceFit) *stats.Interval { return f.Host.SlopeT }),
		[]column[*DeviceFit]{
			{"device_slope", "", "exponent by CUDA events", func(f *DeviceFit) string { return opt(f.Device.Slope) }},
		},
		bounds("device_slope_t", "", "95 % t-interval of it", func(f *DeviceFit) *stats.Interval { return f.Device.SlopeT }),
		[]column[*DeviceFit]{
			{"reason", "", "why there is no exponent", func(f *DeviceFit) string { return f.Host.Reason }},
		}),
}

// count64 prints a count that may be unknown; 0 is a count.
func count64[T int | int64](v *T) string {
	if v == nil {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}
