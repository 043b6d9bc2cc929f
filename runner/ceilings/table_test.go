package ceilings

import (
	"strings"
	"testing"
)

// TestWriteTable prints a GPU, which has all that there is.
func TestWriteTable(t *testing.T) {
	mhz, peak := 1980.0, 3.35e12
	d := Device{
		Kind: CUDA, Name: "H100", WallS: 12.34, SMClockMHz: &mhz, MemClockMHz: &mhz, PeakBytesPerS: &peak,
		Bandwidth: []Bandwidth{
			{Op: Read, WorkingSetB: 1 << 30, BytesPerS: 2.9e12, BestBytesPerS: 3e12, Passes: 20, GridBlocks: 1},
			{Op: Read, WorkingSetB: 1 << 30, BytesPerS: 2.8e12, BestBytesPerS: 2.9e12, Passes: 20, GridBlocks: 2},
			{Op: Read, WorkingSetB: 96 << 10, BytesPerS: 5e12, BestBytesPerS: 5e12, Passes: 20, Cold: true},
			{Op: Triad, WorkingSetB: 3 << 20, BytesPerS: 1e12, BestBytesPerS: 2e12, Passes: 20, RelativeSpread: 0.123},
		},
		Compute: []Compute{
			{Unit: TensorFP16, FlopPerS: 6.6e14, BestFlopPerS: 7e14, Passes: 9, PassMS: 12},
			{Unit: TensorFP16, FlopPerS: 6e14, BestFlopPerS: 6.1e14, Passes: 9, PassMS: 12, Sustained: true},
		},
		MatVec:      []MatVec{{Type: "q4_0", Rows: 4096, Columns: 11008, WeightBytes: 24 << 20, US: 12.5, BytesPerS: 2e12, Passes: 7}},
		Launch:      []Launch{{How: LaunchGraph, US: 1.25, BestUS: 1.2, Count: 1000, Passes: 5}},
		Wrong:       []string{"matvec f16 4096 x 4096"},
		NotMeasured: map[string]string{"b": "second", "a": "first"},
	}
	var out strings.Builder
	if err := d.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	want := `cuda: H100, 1980 MHz, memory 1980 MHz (12.3 s)
reads memory at 2.9 TB/s (1 GiB), 300 trillion multiply-adds per second (tensor_f16_f32acc), 1.25 us to start work (graph)
steady: the middle half of the passes differs by 0.0 % (reading), 0.0 % (arithmetic), 0.0 % (starting work)

  working set   operation  median GB/s  best GB/s  spread %  passes
       96 KiB  read, cold         5000       5000       0.0      20
        1 GiB        read         2900       3000       0.0      20
        3 MiB       triad         1000       2000      12.3      20
peak by the driver: 3350 GB/s

        arithmetic  median Tflop/s  best Tflop/s  spread %  passes  ms each
  tensor_f16_f32acc             660           700       0.0       9       12
  tensor_f16_f32acc, sustained             600           610       0.0       9       12

  matrix x vector  rows  columns  weights  median us  GB/s  passes
             q4_0  4096    11008   24 MiB       12.5  2000       7

  starting work  median us  best us  spread %  passes
          graph       1.25      1.2       0.0       5
WRONG: matvec f16 4096 x 4096: the answer is not the reference's; its figures are left out

not measured: a: first
not measured: b: second
`
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if squeeze(out.String()) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
