//go:build native

package native

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/gguf/archs"
	"llmscale/runner/protocol"
)

// prompts are n sequences of random ids.
func prompts(seed uint64, n, length, vocab int) [][]int32 {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([][]int32, n)
	for i := range out {
		for range length {
			out[i] = append(out[i], int32(r.IntN(vocab)))
		}
	}
	return out
}

// batchModels are small models of what computes differently: learned positions, grouped heads, windows, experts, states.
func batchModels(t *testing.T) map[string]string {
	t.Helper()
	ladder := rung(t, 0)
	ladder.Name = "llama" // without its folder
	out := map[string]string{"gpt2": writeModel(t, smallModel, "f32"), "llama": writeModel(t, ladder, "f16")}
	for name, source := range map[string]string{"gemma3": "shape:gemma3-270m", "gpt-oss": "shape:gpt-oss-20b"} {
		s := preset(t, source).WithLayers(6).WithVocab(1024)
		s.NEmbd, s.NFF = 256, 256
		if s.NExpert > 0 {
			s.NHead, s.NHeadKV, s.NExpert = 16, 4, 8
		}
		if s.Window > 0 {
			s.Window = 16
		}
		out[name] = writeModel(t, s, "f16")
	}
	for _, m := range archs.Models(t) {
		if name := m.Name(); name == "mamba" || name == "jamba" {
			out[name] = m.Random(t)
		}
	}
	return out
}

func firstDifference(a, b []int32) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// gapAt is how far the logits of two tokens are apart after a text, as a share of the largest logit.
func gapAt(t *testing.T, c *Context, text []int32, a, b int32) float64 {
	t.Helper()
	c.Clear()
	logits, err := c.Eval(text)
	if err != nil {
		t.Fatal(err)
	}
	largest := 0.0
	for _, x := range logits {
		largest = max(largest, math.Abs(float64(x)))
	}
	return math.Abs(float64(logits[a]-logits[b])) / largest
}

// Every sequence of a batch answers as it does alone, but for a token here and there that is as likely as another.
func TestBatchAnswersAsSingles(t *testing.T) {
	const gen = 16
	for name, path := range batchModels(t) {
		nearTie := 0.01
		if name == "gpt-oss" {
			nearTie = 0.2 // rounding may choose another expert
		}
		for _, flash := range []string{"on", "off"} {
			t.Run(fmt.Sprintf("%s/flash-%s", name, flash), func(t *testing.T) {
				m := load(t, path)
				answers, parted := 0, 0
				for _, batch := range []struct{ sequences, prompt, nBatch, nUBatch int }{{2, 1, 64, 64}, {5, 17, 32, 16}, {32, 24, 512, 128}} {
					if testing.Short() && batch.sequences > 8 {
						continue
					}
					p := ContextParams{NCtx: 64, Threads: 2, FlashAttn: flash, NBatch: batch.nBatch, NUBatch: batch.nUBatch, KVTypeK: "f32", KVTypeV: "f32"}
					alone := newContext(t, m, p)
					p.Sequences = batch.sequences
					c := newContext(t, m, p)
					texts := prompts(uint64(batch.sequences), batch.sequences, batch.prompt, m.Info().NVocab)
					together, err := c.MeasureCall(Call{Prompts: texts, Gen: gen})
					if err != nil {
						t.Fatal(err)
					}
					if !together.LogitsFinite || len(together.TokenNS) != gen || slices.Min(together.TokenNS) <= 0 || together.PrefillNS <= 0 {
						t.Fatalf("%+v", together)
					}
					for s, prompt := range texts {
						single, err := alone.Measure(prompt, gen)
						if err != nil {
							t.Fatal(err)
						}
						answers++
						got := together.OutputIDs[s*gen : (s+1)*gen]
						if at := firstDifference(got, single.OutputIDs); at >= 0 {
							parted++
							gap := gapAt(t, alone, append(slices.Clone(prompt), got[:at]...), single.OutputIDs[at], got[at])
							t.Logf("%+v: sequence %d: token %d is %d in the batch and %d alone, whose logits are %.2g of the largest apart", batch, s, at, got[at], single.OutputIDs[at], gap)
							if gap > nearTie {
								t.Errorf("%v in the batch\n%v alone", got, single.OutputIDs)
							}
						}
					}
				}
				if parted > answers/8 {
					t.Errorf("%d of %d sequences answer otherwise than alone", parted, answers)
				}
			})
		}
	}
}

// A call at a depth answers as the whole text does, the second one from the cache of the first.
func TestDepth(t *testing.T) {
	const depth, prompt, gen = 60, 5, 8
	for name, path := range batchModels(t) {
		for _, sequences := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", name, sequences), func(t *testing.T) {
				m := load(t, path)
				p := ContextParams{NCtx: 256, Threads: 2, FlashAttn: "off", NBatch: 64, NUBatch: 32, KVTypeK: "f32", KVTypeV: "f32", Sequences: sequences}
				c, whole := newContext(t, m, p), newContext(t, m, p)
				vocab := m.Info().NVocab
				pasts := prompts(7, sequences, depth, vocab)
				var first []int32
				for i := range 3 {
					texts := prompts(uint64(i/2), sequences, prompt, vocab) // the first two are the same
					got, err := c.MeasureCall(Call{Prompts: texts, Past: pasts, Gen: gen})
					if err != nil {
						t.Fatal(err)
					}
					long := make([][]int32, sequences)
					for s := range long {
						long[s] = append(slices.Clone(pasts[s]), texts[s]...)
					}
					want, err := whole.MeasureCall(Call{Prompts: long, Gen: gen})
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got.OutputIDs, want.OutputIDs) {
						t.Errorf("call %d: %v at depth %d, %v of the whole text", i, got.OutputIDs, depth, want.OutputIDs)
					}
					if i == 0 {
						first = got.OutputIDs
					} else if i == 1 && !slices.Equal(got.OutputIDs, first) {
						t.Errorf("the same call again: %v, then %v", first, got.OutputIDs)
					}
				}
			})
		}
	}
}

// What stands in the cache when a call begins is to the bit what a fresh fill gives.
func TestDepthIsReproducible(t *testing.T) {
	const depth = 40
	for name, path := range batchModels(t) {
		t.Run(name, func(t *testing.T) {
			m := load(t, path)
			c := newContext(t, m, ContextParams{NCtx: 256, Threads: 1, NBatch: 64, NUBatch: 32})
			vocab := m.Info().NVocab
			call := Call{Prompts: prompts(1, 1, 3, vocab), Past: prompts(2, 1, depth, vocab)}
			logits := func() []float32 {
				t.Helper()
				if _, err := c.MeasureCall(call); err != nil {
					t.Fatal(err)
				}
				out, err := c.Eval([]int32{1})
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			fresh, again := logits(), logits()
			if !slices.Equal(fresh, again) {
				t.Error("other logits from the cache that was kept than from the one that was filled")
			}
			c.Clear()
			if !slices.Equal(fresh, logits()) {
				t.Error("other logits after the cache was cleared and filled anew")
			}
		})
	}
}

func TestCallsThatCannotBe(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f32"))
	c := newContext(t, m, ContextParams{NCtx: 256, Sequences: 2, NBatch: 64})
	row := func(n int) []int32 { return make([]int32, n) }
	for want, call := range map[string]Call{
		"no prompt":                          {},
		"3 sequences: want 1 to 2":           {Prompts: [][]int32{row(1), row(1), row(1)}},
		"want one length":                    {Prompts: [][]int32{row(1), row(2)}},
		"want one each":                      {Prompts: [][]int32{row(1), row(1)}, Past: [][]int32{row(3)}},
		"do not fit a context of 256":        {Prompts: [][]int32{row(100), row(100)}, Past: [][]int32{row(100), row(100)}, Gen: 57},
		"outside the vocabulary":             {Prompts: [][]int32{row(1), {-1}}},
		"token 3 is 999999, outside the voc": {Prompts: [][]int32{row(1), row(1)}, Past: [][]int32{row(2), {0, 999999}}},
	} {
		if _, err := c.MeasureCall(call); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, want %q", err, want)
		}
	}
	if _, err := c.MeasureCall(Call{Prompts: [][]int32{row(100), row(100)}, Past: [][]int32{row(100), row(100)}, Gen: 56}); err != nil {
		t.Error(err)
	}
}

func TestBatchCheck(t *testing.T) {
	const prompt, steps = 8, 8
	for name, path := range batchModels(t) {
		for _, sequences := range []int{2, 32} {
			t.Run(fmt.Sprintf("%s/%d", name, sequences), func(t *testing.T) {
				m := load(t, path)
				c := newContext(t, m, ContextParams{NCtx: 64, Threads: 2, Sequences: sequences})
				texts := prompts(3, sequences, prompt+steps, m.Info().NVocab)
				got, err := c.BatchCheck(texts, prompt, 8, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%+v", got)
				bound := protocol.SelfCheckBound
				if name == "gpt-oss" {
					bound = protocol.SelfCheckBoundMixture
				}
				if len(got.Sequences) != min(sequences, 8) || !got.Finite || slices.Max(got.RelL2) > bound {
					t.Errorf("%+v, want logits within %g", got, bound)
				}
			})
		}
	}
}

// A batch that computes another sequence than it should is seen.
func TestBatchCheckSeesWrongResults(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f32"))
	c := newContext(t, m, ContextParams{NCtx: 64, Threads: 2, Sequences: 4})
	texts := prompts(3, 4, 16, m.Info().NVocab)
	other := slices.Clone(texts)
	other[0] = texts[1]
	got, err := c.batchCheck(other, texts, 8, 8, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range got.Sequences {
		if wrong := got.RelL2[i] > protocol.SelfCheckBound; wrong != (s == 0) {
			t.Errorf("sequence %d: relative L2 %.2g", s, got.RelL2[i])
		}
	}
	if got.FirstDifference < 0 || len(got.Sequences) != 4 {
		t.Errorf("%+v", got)
	}
	if got, err := c.BatchCheck(texts, 8, 8, 0); err != nil || got.Sequences != nil {
		t.Errorf("%+v, %v without a budget", got, err)
	}
}

// A check that is to compare fewer sequences compares the first of those that it would.
func TestBatchCheckOfFewer(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f32"))
	c := newContext(t, m, ContextParams{NCtx: 64, Threads: 2, Sequences: 12})
	texts := prompts(3, 12, 16, m.Info().NVocab)
	for _, most := range []int{1, 3, 8, 12} {
		got, err := c.BatchCheck(texts, 8, most, math.MaxInt64)
		if want := spread(12, 8)[:min(most, 8)]; err != nil || !slices.Equal(got.Sequences, want) || len(got.RelL2) != len(want) {
			t.Errorf("%+v, %v, want %v", got, err, want)
		}
	}
}

func TestSpread(t *testing.T) {
	for all := 1; all <= 256; all++ {
		got := spread(all, 8)
		slices.Sort(got)
		if len(slices.Compact(got)) != min(all, 8) || got[0] != 0 || got[len(got)-1] != all-1 {
			t.Errorf("of %d sequences %v", all, got)
		}
	}
}
