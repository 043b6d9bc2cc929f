package protocol

import (
	"strings"
	"testing"

	"llmscale/gguf/ledger"
)

// decoder is an account that nothing speaks against.
func decoder() Account {
	yes := true
	return Account{
		Architecture: "llama", Params: 1000, Bytes: 2000, Tensors: 30, Layers: 3, NCtxTrain: 512, NVocab: 99,
		HasDecoder: true, Memory: ledger.MemoryKV, Causal: &yes, Logits: &yes,
	}
}

func TestAccountRefusal(t *testing.T) {
	no := false
	for _, c := range []struct {
		name   string
		change func(a *Account)
		want   string // "": none
	}{
		{"a decoder", func(*Account) {}, ""},
		{"a recurrent one", func(a *Account) { a.Memory = ledger.MemoryRecurrent }, ""},
		{"a hybrid", func(a *Account) { a.Memory = ledger.MemoryHybrid }, ""},
		{"a runtime that does not tell", func(a *Account) { a.Causal, a.Logits = nil, nil }, ""},
		{"an encoder too", func(a *Account) { a.HasEncoder = true }, "it has an encoder"},
		{"an encoder alone", func(a *Account) { a.HasDecoder = false }, "it has no decoder"},
		{"no memory", func(a *Account) { a.Memory = "none" }, "makes no memory"},
		{"not causal", func(a *Account) { a.Causal = &no }, "not causal"},
		{"no logits", func(a *Account) { a.Logits = &no }, "only embeds"},
		{"pools", func(a *Account) { a.Pools = true }, "only embeds"},
	} {
		a := decoder()
		c.change(&a)
		if got := a.Refusal(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		// A refusal goes before any difference, and without a plan too.
		var e Expect
		if err := e.Check("m.gguf", &a); (err != nil) != (c.want != "") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Each difference is told with both sides; what the two count differently for a reason is none.
func TestExpectCheck(t *testing.T) {
	plan := Expect{Architecture: "llama", Params: 990, RopeParams: 10, Bytes: 2000, Tensors: 30, Layers: 3, NCtxTrain: 512, NVocab: 99, Memory: ledger.MemoryKV}
	for _, c := range []struct {
		name   string
		expect func(e *Expect)
		told   func(a *Account)
		want   []string
	}{
		{name: "equal; the runtime counts the rope tables"},
		{name: "another architecture", told: func(a *Account) { a.Architecture = "gemma" }, want: []string{"architecture llama, llama.cpp has gemma"}},
		{name: "fewer parameters", told: func(a *Account) { a.Params-- }, want: []string{"parameters 1000, llama.cpp has 999"}},
		{name: "rope tables not counted", told: func(a *Account) { a.Params = 990 }, want: []string{"parameters 1000, llama.cpp has 990"}},
		{name: "more bytes", told: func(a *Account) { a.Bytes += 32 }, want: []string{"bytes of weights 2000, llama.cpp has 2032"}},
		{name: "a tensor less", told: func(a *Account) { a.Tensors = 29 }, want: []string{"tensors in use 30, llama.cpp has 29"}},
		{name: "tensors not told", told: func(a *Account) { a.Tensors = -1 }},
		{name: "layers, context and vocabulary", told: func(a *Account) { a.Layers, a.NCtxTrain, a.NVocab = 4, 511, 100 },
			want: []string{"layers 3, llama.cpp has 4", "trained context 512, llama.cpp has 511", "vocabulary 99, llama.cpp has 100"}},
		{name: "another memory", told: func(a *Account) { a.Memory = ledger.MemoryHybrid }, want: []string{"memory kv, llama.cpp has hybrid"}},
		{name: "prediction layers left out", expect: func(e *Expect) { e.Unused = 7 }, told: func(a *Account) { a.Tensors = 23 }},
		{name: "prediction layers there", expect: func(e *Expect) { e.Unused = 7 }},
		{name: "some of them there", expect: func(e *Expect) { e.Unused = 7 }, told: func(a *Account) { a.Tensors = 25 }, want: []string{"tensors in use 23, llama.cpp has 25"}},
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
