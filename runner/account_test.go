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
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// decoder is an account that nothing speaks against.
func decoder() protocol.Account {
	yes := true
	return protocol.Account{
		Architecture: "llama", Params: 1000, Bytes: 2000, Tensors: 30, Layers: 3, NCtxTrain: 512, NVocab: 99,
		HasDecoder: true, Memory: ledger.MemoryKV, Causal: &yes, Logits: &yes,
	}
}

func TestAccountRefusal(t *testing.T) {
	no := false
	for _, c := range []struct {
		name   string
		change func(a *protocol.Account)
		want   string // "": none
	}{
		{"a decoder", func(*protocol.Account) {}, ""},
		{"a recurrent one", func(a *protocol.Account) { a.Memory = ledger.MemoryRecurrent }, ""},
		{"a hybrid", func(a *protocol.Account) { a.Memory = ledger.MemoryHybrid }, ""},
		{"a runtime that does not tell", func(a *protocol.Account) { a.Causal, a.Logits = nil, nil }, ""},
		{"an encoder too", func(a *protocol.Account) { a.HasEncoder = true }, "it has an encoder"},
		{"an encoder alone", func(a *protocol.Account) { a.HasDecoder = false }, "it has no decoder"},
		{"no memory", func(a *protocol.Account) { a.Memory = "none" }, "makes no memory"},
		{"not causal", func(a *protocol.Account) { a.Causal = &no }, "not causal"},
		{"no logits", func(a *protocol.Account) { a.Logits = &no }, "only embeds"},
		{"pools", func(a *protocol.Account) { a.Pools = true }, "only embeds"},
	} {
		a := decoder()
		c.change(&a)
		if got := a.Refusal(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		// A refusal goes before any difference, and without a plan too.
		var e protocol.Expect
		if err := e.Check("m.gguf", &a); (err != nil) != (c.want != "") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Each difference is told with both sides; what the two count differently for a reason is none.
func TestExpectCheck(t *testing.T) {
	plan := protocol.Expect{Architecture: "llama", Params: 990, RopeParams: 10, Bytes: 2000, Tensors: 30, Layers: 3, NCtxTrain: 512, NVocab: 99, Memory: ledger.MemoryKV}
	for _, c := range []struct {
		name   string
		expect func(e *protocol.Expect)
		told   func(a *protocol.Account)
		want   []string
	}{
		{name: "equal; the runtime counts the rope tables"},
		{name: "another architecture", told: func(a *protocol.Account) { a.Architecture = "gemma" }, want: []string{"architecture llama, llama.cpp has gemma"}},
		{name: "fewer parameters", told: func(a *protocol.Account) { a.Params-- }, want: []string{"parameters 1000, llama.cpp has 999"}},
		{name: "rope tables not counted", told: func(a *protocol.Account) { a.Params = 990 }, want: []string{"parameters 1000, llama.cpp has 990"}},
		{name: "more bytes", told: func(a *protocol.Account) { a.Bytes += 32 }, want: []string{"bytes of weights 2000, llama.cpp has 2032"}},
		{name: "a tensor less", told: func(a *protocol.Account) { a.Tensors = 29 }, want: []string{"tensors in use 30, llama.cpp has 29"}},
		{name: "tensors not told", told: func(a *protocol.Account) { a.Tensors = -1 }},
		{name: "layers, context and vocabulary", told: func(a *protocol.Account) { a.Layers, a.NCtxTrain, a.NVocab = 4, 511, 100 },
			want: []string{"layers 3, llama.cpp has 4", "trained context 512, llama.cpp has 511", "vocabulary 99, llama.cpp has 100"}},
		{name: "another memory", told: func(a *protocol.Account) { a.Memory = ledger.MemoryHybrid }, want: []string{"memory kv, llama.cpp has hybrid"}},
		{name: "prediction layers left out", expect: func(e *protocol.Expect) { e.Unused = 7 }, told: func(a *protocol.Account) { a.Tensors = 23 }},
		{name: "prediction layers there", expect: func(e *protocol.Expect) { e.Unused = 7 }},
		{name: "some of them there", expect: func(e *protocol.Expect) { e.Unused = 7 }, told: func(a *protocol.Account) { a.Tensors = 25 }, want: []string{"tensors in use 23, llama.cpp has 25"}},
	} {
		e, a := plan, decoder()
		if c.expect != nil {
			c.expect(&e)
		}
		if c.told != nil {
			c.told(&a)
		}
		err := e.Check("/models/m.gguf", &a)
		if (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, part := range append(c.want, "/models/m.gguf") {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", c.name, err, part)
			}
		}
		if err != nil && strings.Count(err.Error(), "llama.cpp has") != len(c.want) {
			t.Errorf("%s: %q tells of more than differs", c.name, err)
		}
	}
}

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
	_, sum, records, q := execute(t, p, testWorker(t, ""))
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
