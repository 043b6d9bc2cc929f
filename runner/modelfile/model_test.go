package modelfile

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/runner/protocol"
)

func TestExpectOfAFile(t *testing.T) {
	shape, err := synth.Lookup("shape:llama3.2-1b")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := synth.Write(path, shape.WithLayers(3).WithVocab(4096), synth.Options{Type: "q4_0", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	expected := func(path string) protocol.Expect {
		t.Helper()
		m := Model{File: path}
		if err := m.describe(); err != nil {
			t.Fatal(err)
		}
		return m.Expect
	}
	whole := expected(path)
	if whole.RopeParams == 0 || whole.Unused != 0 || whole.Layers != 3 || whole.NVocab != 4096 || whole.Memory != ledger.MemoryKV {
		t.Errorf("expected is %+v", whole)
	}
	perLayer := 0
	last := expected(gguftest.Alter(t, path, func(v map[string]any, specs []gguf.Spec) []gguf.Spec {
		v["llama.nextn_predict_layers"] = uint32(1)
		for _, s := range specs {
			if strings.HasPrefix(s.Name, "blk.2.") {
				perLayer++
			}
		}
		return nil
	}))
	if last.Unused != perLayer || perLayer == 0 {
		t.Errorf("%d tensors may be left out, the last layer has %d", last.Unused, perLayer)
	}
	last.Unused = 0
	if !reflect.DeepEqual(whole, last) {
		t.Errorf("%+v and %+v differ in more", whole, last)
	}
	mixed := expected(gguftest.Alter(t, path, func(_ map[string]any, specs []gguf.Spec) []gguf.Spec {
		return append(specs, gguf.Spec{Name: "blk.1.ssm_in.weight", Type: gguf.F32, Dims: []int64{8, 8}})
	}))
	if mixed.Memory != ledger.MemoryHybrid {
		t.Errorf("with a recurrent layer the memory is %q", mixed.Memory)
	}
	pure := expected(gguftest.Alter(t, path, func(v map[string]any, specs []gguf.Spec) []gguf.Spec {
		v["llama.attention.head_count"], v["llama.attention.head_count_kv"] = uint32(0), uint32(0)
		return append(specs, gguf.Spec{Name: "blk.1.ssm_in.weight", Type: gguf.F32, Dims: []int64{8, 8}})
	}))
	if pure.Memory != ledger.MemoryRecurrent {
		t.Errorf("without attention the memory is %q", pure.Memory)
	}
}
