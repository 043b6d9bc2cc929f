package ledger

import (
	"reflect"
	"testing"

	"llmscale/gguf"
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
	specs := []gguf.Spec{
		{Name: "token_embd.weight", Type: gguf.Q8_0, Dims: []int64{256, 4}}, // 1024 weights outside the layers
		{Name: "output_norm.weight", Type: gguf.F32, Dims: []int64{256}}, {Name: "rope_freqs.weight", Type: gguf.F32, Dims: []int64{64, 2}}, {Name: "v.blk.0.attn_q.weight", Type: gguf.F16, Dims: []int64{256, 99}},
		{Name: "blk.0.attn_norm.weight", Type: gguf.F32, Dims: []int64{256}}, {Name: "blk.0.attn_q.weight", Type: gguf.Q4_K, Dims: []int64{256, 3}}, {Name: "blk.0.ffn_up.weight", Type: gguf.Q6_K, Dims: []int64{256, 1}}, {Name: "blk.0.ffn_down.weight", Type: gguf.Q6_K, Dims: []int64{256, 2}},
		{Name: "blk.1.attn_q.weight", Type: gguf.Q4_K, Dims: []int64{256, 3}}, {Name: "blk.1.ffn_up_exps.weight", Type: gguf.Q6_K, Dims: []int64{256, 1, 2}}, {Name: "blk.1.ffn_down.weight", Type: gguf.Q6_K, Dims: []int64{256, 3}},
		{Name: "blk.10.attn_q.weight", Type: gguf.Q4_K, Dims: []int64{256, 5}}, {Name: "blk.10.attn_k.bias", Type: gguf.F32, Dims: []int64{512}},
	}
	arch := gguf.Entry{Key: "general.architecture", Value: "llama"}
	number := func(n uint32) gguf.Entry { return gguf.Entry{Key: "general.file_type", Value: n} }
	for name, c := range map[string]struct {
		file    string
		entries []gguf.Entry
		want    *Label
	}{
		// Layer 0 is level: 3 rows of q4_K, of q6_K 2 (a matrix of one row is a vector). Layer 1 is of q6_K, 10 of q4_K.
		"by number":     {"m.gguf", []gguf.Entry{arch, number(15)}, &Label{Name: "Q4_K_M", Source: "general.file_type", Type: gguf.Q4_K, Layers: 3, LayersOfType: 2, ShareOfLayers: 11. / 18, ShareOfAll: 11. / 22}},
		"guessed":       {"m.gguf", []gguf.Entry{arch, number(1024 + 18)}, &Label{Name: "Q6_K", Source: "general.file_type", Type: gguf.Q6_K, Layers: 3, LayersOfType: 1, ShareOfLayers: 7. / 18, ShareOfAll: 7. / 22}},
		"by its name":   {"m.gguf", []gguf.Entry{arch, {Key: "general.name", Value: "A model, Q8_0"}}, &Label{Name: "Q8_0", Source: "general.name", Type: gguf.Q8_0, Layers: 3, ShareOfAll: 4. / 22}},
		"by the file's": {"m-q6_k.gguf", []gguf.Entry{arch, {Key: "general.name", Value: "A model"}}, &Label{Name: "Q6_K", Source: "file name", Type: gguf.Q6_K, Layers: 3, LayersOfType: 1, ShareOfLayers: 7. / 18, ShareOfAll: 7. / 22}},
		"all alike":     {"m-Q4_K.gguf", []gguf.Entry{arch, number(14), {Key: "general.name", Value: "m Q4_K_S"}}, &Label{Name: "Q4_K_S", Source: "general.file_type", Type: gguf.Q4_K, Layers: 3, LayersOfType: 2, ShareOfLayers: 11. / 18, ShareOfAll: 11. / 22}},
		"at odds": {"m-Q4_K_S.gguf", []gguf.Entry{arch, number(15), {Key: "general.name", Value: "m f16"}}, &Label{Name: "Q4_K_M", Source: "general.file_type", Type: gguf.Q4_K, Layers: 3, LayersOfType: 2, ShareOfLayers: 11. / 18, ShareOfAll: 11. / 22,
			Others: []OtherLabel{{"F16", "general.name"}, {"Q4_K_S", "file name"}}}},
		"a number of no type": {"m.gguf", []gguf.Entry{arch, number(4)}, nil},
		"nothing":             {"m.gguf", []gguf.Entry{arch}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := gguf.Preview(c.entries, specs)
			if err != nil {
				t.Fatal(err)
			}
			f.Path = c.file
			got, err := LabelOf(f)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
	f, err := gguf.Preview([]gguf.Entry{arch, {Key: "general.file_type", Value: "Q4_K_M"}}, specs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LabelOf(f); err == nil {
		t.Error("a file type that is a text")
	}
	if f, err = gguf.Preview([]gguf.Entry{arch, number(1)}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := LabelOf(f); err != nil || got.Layers != 0 || got.ShareOfAll != 0 {
		t.Errorf("without tensors %+v, %v", got, err)
	}
}
