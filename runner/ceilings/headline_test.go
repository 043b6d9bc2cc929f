package ceilings

import (
	"slices"
	"testing"
)

func TestHeadline(t *testing.T) {
	cpu := Device{
		Bandwidth: []Bandwidth{
			{Op: Read, WorkingSetB: 64 << 10, BytesPerS: 9e10, Streams: 1, RelativeSpread: 0.5},
			{Op: Read, WorkingSetB: 1 << 29, BytesPerS: 1.1e10, Streams: 1, RelativeSpread: 0.4},
			{Op: Read, WorkingSetB: 1 << 29, BytesPerS: 1.234e10, Streams: 4, RelativeSpread: 0.02},
			{Op: Copy, WorkingSetB: 1 << 30, BytesPerS: 2e10},
		},
		Compute: []Compute{{Unit: FMA32, FlopPerS: 8.8e10, RelativeSpread: 0.001}},
		Launch:  []Launch{{How: Barrier, US: 0.456, RelativeSpread: 0.03}},
	}
	unsteady := cpu
	unsteady.Launch = []Launch{{How: Barrier, US: 0.456, RelativeSpread: 0.3}}
	unsteady.Disturbed = []string{"other programs used 1.00 CPUs", "its threads lost their core 300 times"}
	gpu := Device{
		Bandwidth: []Bandwidth{{Op: Read, WorkingSetB: 1 << 30, BytesPerS: 3e12}, {Op: Read, WorkingSetB: 1 << 30, BytesPerS: 3.1e12, Cold: true}},
		Compute: []Compute{
			{Unit: FMA32, FlopPerS: 6e13}, {Unit: TensorFP16, FlopPerS: 9e14, RelativeSpread: 0.01}, {Unit: TensorFP16, FlopPerS: 6.6e14, Sustained: true, RelativeSpread: 0.02},
		},
		Launch: []Launch{{How: LaunchIsolated, US: 6}, {How: LaunchGraph, US: 1.5}, {How: LaunchBackToBack, US: 2}},
	}
	for _, c := range []struct {
		name string
		d    Device
		want []string
	}{
		{"cpu", cpu, []string{"reads memory at 12.3 GB/s (512 MiB), 44 billion multiply-adds per second, 0.456 us to start work (barrier)",
			"steady: the middle half of the passes differs by 2.0 % (reading), 0.1 % (arithmetic), 3.0 % (starting work)"}},
		{"disturbed", unsteady, []string{"reads memory at 12.3 GB/s (512 MiB), 44 billion multiply-adds per second, 0.456 us to start work (barrier)",
			"unsteady: the middle half of the passes differs by 2.0 % (reading), 0.1 % (arithmetic), 30.0 % (starting work)",
			"disturbed: other programs used 1.00 CPUs; its threads lost their core 300 times"}},
		// The rate that lasts counts, and the cheapest way to start work; a warm read, where there is one.
		{"gpu", gpu, []string{"reads memory at 3 TB/s (1 GiB), 330 trillion multiply-adds per second (tensor_f16_f32acc), 1.5 us to start work (graph)",
			"steady: the middle half of the passes differs by 0.0 % (reading), 2.0 % (arithmetic), 0.0 % (starting work)"}},
		{"nothing but a barrier", Device{Launch: cpu.Launch}, []string{"0.456 us to start work (barrier)", "steady: the middle half of the passes differs by 3.0 % (starting work)"}},
		{"nothing", Device{Disturbed: []string{"x"}}, nil},
	} {
		if got := c.d.Headline(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
