package runner

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/runner/modelfile"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/workertest"
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
		m := modelfile.Model{File: path}
		if err := m.Describe(); err != nil {
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

// A model that cannot decode from a cache costs its own cells, with the reason, and no worker is started for it.
func TestRefusedModel(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, own, 2)
	embeds := gguftest.Alter(t, own, func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
		v["gpt2.attention.causal"] = false
		return nil
	})
	p, models := ownPlan(t, embeds)
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	_, sum, records, q := execute(t, p, workertest.Command(t, ""))
	checkOnlyOwnFails(t, sum, records, false, embeds, "cannot be measured", "not causal")
	if sum.Failed() != 1 {
		t.Errorf("%d cells failed", sum.Failed())
	}
	if notes := strings.Join(q.notes, "\n"); !strings.Contains(notes, "not causal") {
		t.Errorf("notes: %s", notes)
	}
	for _, r := range records {
		if r.Status == record.StatusError && r.Architecture != "gpt2" {
			t.Errorf("the record of the refused model does not describe it: %+v", r.ModelFacts)
		}
	}
}
