package gguf

import (
	"path/filepath"
	"reflect"
	"testing"
)

func TestLabelIn(t *testing.T) {
	for name, want := range map[string]string{
		"gemma-3-270m-q4_k_m": "Q4_K_M q4_K", "Meta-Llama-3.1-8B-Instruct.IQ2_XXS": "IQ2_XXS iq2_xxs", "m-Q8_0": "Q8_0 q8_0", "m-f16-Q5_1": "Q5_1 q5_1", "Q6_K": "Q6_K q6_K",
		"m-UD-Q4_K_XL": "Q4_K_XL q4_K", "m.bf16": "BF16 bf16", "m q2_k": "Q2_K q2_K", "gpt-oss-20b-mxfp4": "MXFP4 mxfp4", "gpt-oss-MXFP4_MOE": "MXFP4_MOE mxfp4", "tq1_0-m": "TQ1_0 tq1_0",
		"m-Q3_K_L-f32-seed42": "F32 f32", "m-F16-F32": "F32 f32", "m-IQ3_M": "IQ3_M iq3_s", "m-IQ2_S": "IQ2_S iq2_xs",
		"m": "", "": "", "m-Q8_K": "", "m-Q4_0_4_4": "", "m-Q9_0": "", "xf16": "", "m-q4_km": "", "if32a": "", "m-IQ4_K": "", "m-Q4_S": "", "unq4_0": "",
	} {
		got := ""
		if label, typ, ok := labelIn(name); ok {
			got = label + " " + typ.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestLabel counts by hand. Vectors, rotary factors and vision towers have no part in what a label says.
func TestLabel(t *testing.T) {
	specs := []Spec{
		{"token_embd.weight", Q8_0, []int64{256, 4}}, // 1024 weights outside the layers
		{"output_norm.weight", F32, []int64{256}}, {"rope_freqs.weight", F32, []int64{64, 2}}, {"v.blk.0.attn_q.weight", F16, []int64{256, 99}},
		{"blk.0.attn_norm.weight", F32, []int64{256}}, {"blk.0.attn_q.weight", Q4_K, []int64{256, 3}}, {"blk.0.ffn_up.weight", Q6_K, []int64{256, 1}}, {"blk.0.ffn_down.weight", Q6_K, []int64{256, 2}},
		{"blk.1.attn_q.weight", Q4_K, []int64{256, 3}}, {"blk.1.ffn_up_exps.weight", Q6_K, []int64{256, 1, 2}}, {"blk.1.ffn_down.weight", Q6_K, []int64{256, 3}},
		{"blk.10.attn_q.weight", Q4_K, []int64{256, 5}}, {"blk.10.attn_k.bias", F32, []int64{512}},
	}
	arch := Entry{"general.architecture", "llama"}
	number := func(n uint32) Entry { return Entry{"general.file_type", n} }
	for name, c := range map[string]struct {
		file    string
		entries []Entry
		want    *Label
	}{
		// Layer 0 is level: 3 rows of q4_K, of q6_K 2 (a matrix of one row is a vector). Layer 1 is of q6_K, 10 of q4_K.
		"by number":     {"m.gguf", []Entry{arch, number(15)}, &Label{Name: "Q4_K_M", Source: "general.file_type", Type: Q4_K, Layers: 3, LayersOfType: 2, ShareOfLayers: 11. / 18, ShareOfAll: 11. / 22}},
		"guessed":       {"m.gguf", []Entry{arch, number(1024 + 18)}, &Label{Name: "Q6_K", Source: "general.file_type", Type: Q6_K, Layers: 3, LayersOfType: 1, ShareOfLayers: 7. / 18, ShareOfAll: 7. / 22}},
		"by its name":   {"m.gguf", []Entry{arch, {"general.name", "A model, Q8_0"}}, &Label{Name: "Q8_0", Source: "general.name", Type: Q8_0, Layers: 3, ShareOfAll: 4. / 22}},
		"by the file's": {"m-q6_k.gguf", []Entry{arch, {"general.name", "A model"}}, &Label{Name: "Q6_K", Source: "file name", Type: Q6_K, Layers: 3, LayersOfType: 1, ShareOfLayers: 7. / 18, ShareOfAll: 7. / 22}},
		"all alike":     {"m-Q4_K.gguf", []Entry{arch, number(14), {"general.name", "m Q4_K_S"}}, &Label{Name: "Q4_K_S", Source: "general.file_type", Type: Q4_K, Layers: 3, LayersOfType: 2, ShareOfLayers: 11. / 18, ShareOfAll: 11. / 22}},
		"at odds": {"m-Q4_K_S.gguf", []Entry{arch, number(15), {"general.name", "m f16"}}, &Label{Name: "Q4_K_M", Source: "general.file_type", Type: Q4_K, Layers: 3, LayersOfType: 2, ShareOfLayers: 11. / 18, ShareOfAll: 11. / 22,
			Others: []OtherLabel{{"F16", "general.name"}, {"Q4_K_S", "file name"}}}},
		"a number of no type": {"m.gguf", []Entry{arch, number(4)}, nil},
		"nothing":             {"m.gguf", []Entry{arch}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			writeZeros(t, path, c.entries, specs)
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := f.Label()
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
	f, err := Preview([]Entry{arch, {"general.file_type", "Q4_K_M"}}, specs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Label(); err == nil {
		t.Error("a file type that is a text")
	}
	if f, err = Preview([]Entry{arch, number(1)}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Label(); err != nil || got.Layers != 0 || got.ShareOfAll != 0 {
		t.Errorf("without tensors %+v, %v", got, err)
	}
}
