package gguf

import "testing"

func TestTypeSizesMatchGGML(t *testing.T) {
	// Bytes per block as the static_asserts of ggml-common.h give them (ggml of llama.cpp 0c1e57098), worked out
	// by hand with QK_K = 256, so independent of the sums in the table.
	want := map[string][2]int64{
		"f32": {1, 4}, "f16": {1, 2}, "q4_0": {32, 18}, "q4_1": {32, 20}, "q5_0": {32, 22}, "q5_1": {32, 24},
		"q8_0": {32, 34}, "q8_1": {32, 36}, "q2_K": {256, 84}, "q3_K": {256, 110}, "q4_K": {256, 144},
		"q5_K": {256, 176}, "q6_K": {256, 210}, "q8_K": {256, 292}, "iq2_xxs": {256, 66}, "iq2_xs": {256, 74},
		"iq3_xxs": {256, 98}, "iq1_s": {256, 50}, "iq4_nl": {32, 18}, "iq3_s": {256, 110}, "iq2_s": {256, 82},
		"iq4_xs": {256, 136}, "i8": {1, 1}, "i16": {1, 2}, "i32": {1, 4}, "i64": {1, 8}, "f64": {1, 8},
		"iq1_m": {256, 56}, "bf16": {1, 2}, "tq1_0": {256, 54}, "tq2_0": {256, 66}, "mxfp4": {32, 17},
		"mxfp4_ollama": {32, 17}, "nvfp4": {64, 36}, "q1_0": {128, 18}, "q2_0": {64, 18},
	}
	if len(want) != len(Types()) {
		t.Errorf("the table has %d types, the test %d", len(Types()), len(want))
	}
	for _, info := range Types() {
		if got := [2]int64{info.BlockSize, info.BlockBytes}; got != want[info.Name] {
			t.Errorf("%s: block of %v, want %v", info.Name, got, want[info.Name])
		}
		if p, err := ParseType(info.Name); err != nil || p != info.Type {
			t.Errorf("ParseType(%q) = %v, %v", info.Name, p, err)
		}
	}
	if MXFP4 != 39 || BF16 != 30 || TQ2_0 != 35 || IQ1M != 29 || Q2_0 != 42 {
		t.Error("type numbers have moved")
	}
}
