//go:build native

package native

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

// writeModel synthesises a model in the test's folder.
func writeModel(t testing.TB, p synth.Shape, typ string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), p.Name+"-"+typ+".gguf")
	if err := synth.Write(path, p, synth.Options{Type: typ, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return path
}

func preset(t testing.TB, name string) synth.Shape {
	t.Helper()
	p, err := synth.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t testing.TB, path string) *Model {
	t.Helper()
	m, err := Load(path, ModelParams{Mmap: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newContext(t testing.TB, m *Model, p ContextParams) *Context {
	t.Helper()
	c, err := m.NewContext(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// smallModel has several layers and heads, and is small enough for float64.
var smallModel = synth.GPT2("small", 3, 96, 4)

// exact is a context that rounds as little as llama.cpp can: f32 cache, no
// flash attention.
var exact = ContextParams{NCtx: 256, Threads: 2, FlashAttn: "off", KVTypeK: "f32", KVTypeV: "f32"}

// TestAgainstReference holds llama.cpp's answers against the float64 model: the
// logits of every prompt position, of every decoded step, and 64 greedy tokens.
// The tolerance is what f32 arithmetic and ggml's GELU table (f16) allow.
func TestAgainstReference(t *testing.T) {
	const tolerance, steps = 1e-3, 64
	path := writeModel(t, smallModel, "f32")
	m := load(t, path)
	c := newContext(t, m, exact)
	ref := loadGPT2(t, path)
	prompt := []int32{15496, 11, 995, 0, 42, 50256, 7, 31337, 1, 2, 3}

	rows, err := c.EvalAll(prompt)
	if err != nil {
		t.Fatal(err)
	}
	var want []float64
	worst := 0.0
	for i, id := range prompt {
		want = ref.next(id)
		worst = math.Max(worst, difference(rows[i], want))
	}
	t.Logf("prefill: largest difference %.2g of the largest logit", worst)
	if worst > tolerance {
		t.Errorf("prefill's logits differ from the reference by %.2g of the largest, want <= %g", worst, tolerance)
	}

	var greedy []int32
	worst = 0
	for range steps {
		id := largestIndex(want)
		greedy = append(greedy, id)
		got, err := c.Eval([]int32{id})
		if err != nil {
			t.Fatal(err)
		}
		want = ref.next(id)
		worst = math.Max(worst, difference(got, want))
	}
	t.Logf("decode: largest difference %.2g", worst)
	if worst > tolerance {
		t.Errorf("decode's logits differ from the reference by %.2g of the largest, want <= %g", worst, tolerance)
	}

	measured, err := c.Measure(prompt, steps)
	if err != nil {
		t.Fatal(err)
	}
	for i := range greedy {
		if measured.OutputIDs[i] != greedy[i] {
			t.Fatalf("greedy token %d is %d, the reference says %d", i, measured.OutputIDs[i], greedy[i])
		}
	}
}

// TestDecodeContinuesPrefill holds decode after a prefill against the prefill of
// the longer prompt. They add in another order, and ggml's GELU looks its
// argument up in f16: a last bit that flips there costs 1e-4.
func TestDecodeContinuesPrefill(t *testing.T) {
	c := newContext(t, load(t, writeModel(t, smallModel, "f32")), exact)
	tokens := []int32{5, 6, 7, 8, 9, 10, 11, 12}
	whole, err := c.EvalAll(tokens)
	if err != nil {
		t.Fatal(err)
	}
	c.Clear()
	if _, err := c.Eval(tokens[:3]); err != nil {
		t.Fatal(err)
	}
	for i := 3; i < len(tokens); i++ {
		step, err := c.Eval(tokens[i : i+1])
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, len(step))
		for k, v := range whole[i] {
			want[k] = float64(v)
		}
		if d := difference(step, want); d > 5e-4 {
			t.Errorf("position %d: decode differs from prefill by %.2g of the largest logit", i, d)
		}
	}
}

// TestPromptInBatches gives a prompt of several batches and micro-batches the
// same answer as one batch.
func TestPromptInBatches(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f32"))
	prompt := make([]int32, 150)
	for i := range prompt {
		prompt[i] = int32(i * 37 % synth.VocabSize)
	}
	one := newContext(t, m, exact)
	p := exact
	p.NBatch, p.NUBatch = 64, 32
	several := newContext(t, m, p)
	a, err := one.Measure(prompt, 16)
	if err != nil {
		t.Fatal(err)
	}
	b, err := several.Measure(prompt, 16)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.OutputIDs {
		if a.OutputIDs[i] != b.OutputIDs[i] {
			t.Fatalf("token %d: %d in one batch, %d in several", i, a.OutputIDs[i], b.OutputIDs[i])
		}
	}
}

// TestEveryPreset loads the presets that are small enough for a test in every
// type and decodes; the larger ones are the same code with larger numbers, and
// the default sweep runs them.
func TestEveryPreset(t *testing.T) {
	for _, name := range []string{"tiny-gpt2", "gpt2-1m", "gpt2-5m", "gpt2-25m"} {
		for _, typ := range []string{"f32", "f16", "q8_0"} {
			t.Run(name+"/"+typ, func(t *testing.T) {
				p := preset(t, name)
				path := writeModel(t, p, typ)
				m := load(t, path)
				c := newContext(t, m, ContextParams{NCtx: 256, Threads: 2})
				got, err := c.Measure([]int32{1, 2, 3}, 32)
				if err != nil {
					t.Fatal(err)
				}
				if !got.LogitsFinite {
					t.Error("logits are not finite")
				}
				logits, err := c.Eval([]int32{4})
				if err != nil {
					t.Fatal(err)
				}
				low, high := logits[0], logits[0]
				for _, v := range logits {
					low, high = min(low, v), max(high, v)
				}
				if !(high > low) {
					t.Errorf("all logits are %v", low)
				}

				f, err := gguf.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				d, err := ledger.Describe(f)
				if err != nil {
					t.Fatal(err)
				}
				if d.ParamsTotal != p.Params() {
					t.Errorf("%d parameters in the file, the preset has %d", d.ParamsTotal, p.Params())
				}
				info := m.Info()
				if int64(info.NVocab) != d.NVocab || int64(info.NLayer) != d.NLayer || int64(info.NEmbd) != d.NEmbd || int64(info.NHead) != d.NHead {
					t.Errorf("llama.cpp says %+v, package gguf %+v", info, d)
				}
			})
		}
	}
}

func TestMeasure(t *testing.T) {
	c := newContext(t, load(t, writeModel(t, smallModel, "f16")), ContextParams{NCtx: 256, Threads: 2})
	const gen = 40
	m, err := c.Measure([]int32{1, 2, 3, 4, 5}, gen)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.TokenNS) != gen || len(m.SamplingNS) != gen || len(m.OutputIDs) != gen {
		t.Fatalf("%d token times, %d sampling times, %d ids, want %d of each", len(m.TokenNS), len(m.SamplingNS), len(m.OutputIDs), gen)
	}
	var steps int64
	for i := range gen {
		if m.TokenNS[i] <= 0 || m.SamplingNS[i] <= 0 {
			t.Errorf("step %d: %d ns of decode, %d ns of sampling", i, m.TokenNS[i], m.SamplingNS[i])
		}
		steps += m.TokenNS[i] + m.SamplingNS[i]
	}
	if steps != m.KVDecodeNS {
		t.Errorf("the steps add up to %d ns, kv_decode is %d ns", steps, m.KVDecodeNS)
	}
	if parts := m.PrefillNS + m.FirstSamplingNS + m.KVDecodeNS; m.E2ENS < parts {
		t.Errorf("e2e %d ns is less than its parts, %d ns", m.E2ENS, parts)
	}
	if m.CPUTimeNS <= 0 || m.RSSPeakBytes <= 0 {
		t.Errorf("CPU time %d ns, peak RSS %d bytes", m.CPUTimeNS, m.RSSPeakBytes)
	}
	again, err := c.Measure([]int32{1, 2, 3, 4, 5}, gen)
	if err != nil {
		t.Fatal(err)
	}
	for i := range gen {
		if again.OutputIDs[i] != m.OutputIDs[i] {
			t.Fatalf("the second call's token %d is %d, the first one's %d: the cache was not cleared", i, again.OutputIDs[i], m.OutputIDs[i])
		}
	}
}

func TestTokenizeRoundTrip(t *testing.T) {
	m := load(t, writeModel(t, preset(t, "tiny-gpt2"), "f32"))
	for _, c := range []struct {
		text string
		want int // tokens in GPT-2's own vocabulary; 0: any number
	}{
		{"Hello", 1},
		{"Summarize RLHF in one sentence.", 9},
		{"Explain how backpressure works in an inference service and when to enable queueing.", 17},
		{"", 0},
		{"Spaces before punctuation stay : a , b . c ! d 's", 0},
		{"Grüße, 世界! \t\n  déjà-vu  ", 0},
		{strings.Repeat("long text ", 500), 0},
	} {
		ids, err := m.Tokenize(c.text, true)
		if err != nil {
			t.Fatal(err)
		}
		if c.want > 0 && len(ids) != c.want {
			t.Errorf("%q has %d tokens, want %d", c.text, len(ids), c.want)
		}
		back, err := m.Detokenize(ids)
		if err != nil {
			t.Fatal(err)
		}
		if back != c.text {
			t.Errorf("%q comes back as %q", c.text, back)
		}
	}
	// The same text as text and as the token that it spells.
	const spelt = "a<|endoftext|>"
	plain, err := m.Tokenize(spelt, true)
	if err != nil {
		t.Fatal(err)
	}
	markup, err := m.TokenizeMarkup(spelt)
	if err != nil || len(markup) != 2 || len(plain) <= 2 {
		t.Errorf("%q has %d tokens as markup (%v) and %d as text, want 2 and more", spelt, len(markup), err, len(plain))
	}
	if _, err := m.Detokenize([]int32{-1}); err == nil {
		t.Error("a token id of -1 is accepted")
	}
}

func TestLoadFailures(t *testing.T) {
	path := writeModel(t, preset(t, "tiny-gpt2"), "f32")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	truncated, garbage := filepath.Join(dir, "truncated.gguf"), filepath.Join(dir, "garbage.gguf")
	for name, data := range map[string][]byte{truncated: whole[:len(whole)*2/3], garbage: bytes.Repeat([]byte("llama"), 1000)} {
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "absent.gguf"), truncated, garbage} {
		m, err := Load(path, ModelParams{Mmap: true})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *Error", filepath.Base(path), err)
			continue
		}
		if len(e.Log) == 0 {
			t.Errorf("%s: %v does not carry llama.cpp's reason", filepath.Base(path), err)
		}
		if m != nil {
			t.Errorf("%s: a model and an error", filepath.Base(path))
		}
	}

	calls := 0
	_, err = Load(writeModel(t, preset(t, "gpt2-5m"), "f32"), ModelParams{Progress: func(float32) bool { calls++; return false }})
	if !errors.Is(err, ErrAborted) {
		t.Errorf("a load stopped by its progress function gives %v, want ErrAborted", err)
	}
	if calls != 1 {
		t.Errorf("the progress function was called %d times after it had said no", calls-1)
	}
}

func TestContextFailures(t *testing.T) {
	m := load(t, writeModel(t, preset(t, "tiny-gpt2"), "f32"))
	for _, p := range []ContextParams{{FlashAttn: "maybe"}, {NCtx: 256, KVTypeK: "f33"}} {
		if c, err := m.NewContext(p); err == nil {
			c.Close()
			t.Errorf("a context of %+v is accepted", p)
		}
	}
	c := newContext(t, m, ContextParams{NCtx: 256})
	if _, err := c.Measure(make([]int32, 250), 64); !errors.Is(err, ErrKVFull) {
		t.Errorf("more tokens than the context holds: %v, want ErrKVFull", err)
	}
	for _, prompt := range [][]int32{nil, {-1}, {synth.VocabSize}} {
		if _, err := c.Measure(prompt, 1); err == nil {
			t.Errorf("prompt %v is accepted", prompt)
		}
	}
	if _, err := c.Measure([]int32{1}, -1); err == nil {
		t.Error("-1 decode steps are accepted")
	}
	if r, err := c.Measure([]int32{1}, 0); err != nil || r.PrefillNS <= 0 {
		t.Errorf("prefill alone: %v, %v", r, err)
	}
}

func TestCloseTwice(t *testing.T) {
	m, err := Load(writeModel(t, preset(t, "tiny-gpt2"), "f32"), ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.NewContext(ContextParams{NCtx: 256})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err == nil {
		t.Fatal("a model with an open context is closed")
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Measure([]int32{1}, 1); err == nil {
		t.Error("a closed context measures")
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.Tokenize("a", false); err == nil {
		t.Error("a closed model tokenises")
	}
	if _, err := m.NewContext(ContextParams{}); err == nil {
		t.Error("a closed model makes a context")
	}
}

func TestBuildInfo(t *testing.T) {
	b, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	if b.LlamaCommit == "" || b.Compiler == "" || b.SystemInfo == "" || len(b.Warnings) > 0 {
		t.Errorf("%+v", b)
	}
}

func TestMultiplyAddRate(t *testing.T) {
	if r, err := MultiplyAddRate(2); err != nil || !(r > 1e8 && r < 1e15) {
		t.Errorf("%g operations/s, %v", r, err)
	}
	if _, err := MultiplyAddRate(0); err == nil {
		t.Error("0 threads are accepted")
	}
}

func TestMemoryReadRate(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		if r, err := MemoryReadRate(threads); err != nil || !(r > 1e8 && r < 1e13) {
			t.Errorf("%d threads: %g B/s, %v", threads, r, err)
		}
	}
	if _, err := MemoryReadRate(0); err == nil {
		t.Error("0 threads are accepted")
	}
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
		if _, bytes, err := readMemory(1<<20+5000, 2, 1, 3, 2, true); err != nil || bytes != 3<<20 {
			t.Errorf("%d bytes, %v", bytes, err)
		}
	}
}

func TestReadBandwidth(t *testing.T) {
	rates, err := ReadBandwidth(8<<20, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(rates) != 5 {
		t.Fatalf("%d rates, want 5", len(rates))
	}
	for _, r := range rates {
		if !(r > 1e8 && r < 1e13) {
			t.Errorf("%g B/s cannot be", r)
		}
	}
	for _, bad := range [][3]int{{100, 1, 1}, {1 << 20, 0, 1}, {1 << 20, 1, 0}} {
		if _, err := ReadBandwidth(int64(bad[0]), bad[1], bad[2]); err == nil {
			t.Errorf("size %d, threads %d, passes %d is accepted", bad[0], bad[1], bad[2])
		}
	}
}
