//go:build native

package native

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

// These tests hold package gguf's ledger against llama.cpp's own account of what it allocated (Context.Memory).
// Against the llama.cpp inside Ollama every figure must be equal to the byte; against another, weights and cache, and the
// whole within tolerance.

const (
	toleranceShare = 0.05
	toleranceBytes = 32 << 20
)

// figures are what llama.cpp says of a load, over all buffer types.
type figures struct{ model, repacked, context, compute int64 }

func (f figures) sum() int64 { return f.model + f.repacked + f.context + f.compute }

func accounted(t testing.TB, c *Context) figures {
	t.Helper()
	buffers, err := c.Memory()
	if build, _ := Build(); errors.Is(err, ErrNotAvailable) && build.LlamaSource == "checkout" {
		t.Skip(err) // of a version that native/shim/internal.cpp has no form for
	}
	if err != nil {
		t.Fatal(err)
	}
	var f figures
	for _, b := range buffers {
		switch b.BufferType {
		case "CPU_REPACK", "AMX":
			f.repacked += b.ModelBytes
		default:
			f.model += b.ModelBytes
		}
		f.context += b.ContextBytes
		f.compute += b.ComputeBytes
	}
	return f
}

func describe(t testing.TB, path string) ledger.Description {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := ledger.Describe(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// loadOptions is how a model is loaded, as the ledger is asked and as llama.cpp is told.
type loadOptions struct {
	ledger.MemoryOptions
}

func (o loadOptions) context() ContextParams {
	p := ContextParams{NCtx: int(o.Context), Sequences: int(o.Sequences), NBatch: int(o.Batch), NUBatch: int(o.UBatch), Threads: 1, KVTypeK: o.TypeK, KVTypeV: o.TypeV, FlashAttn: "on", WindowCache: o.WindowCache}
	if o.NoFlashAttention {
		p.FlashAttn = "off"
	}
	return p
}

// deviation is the largest that was met, for the log.
type deviation struct {
	compute, whole float64 // shares
	cases          int
}

// hold creates the context and compares. It says by how much the ledger was off.
func (dev *deviation) hold(t *testing.T, m *Model, d *ledger.Description, o loadOptions) {
	t.Helper()
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	o.Rules = ledger.RulesOf(build.LlamaSource)
	c, err := m.NewContext(o.context())
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	defer c.Close()
	got := accounted(t, c)
	want, err := d.Memory(o.MemoryOptions)
	if err != nil {
		t.Fatal(err)
	}
	if all := want.Context * max(1, o.Sequences); int64(c.NCtx()) != all {
		t.Errorf("%+v: llama.cpp has a context of %d tokens, the ledger %d", o, c.NCtx(), all)
	}
	if got.compute == 0 || got.model == 0 || got.context == 0 {
		t.Fatalf("%+v: llama.cpp says %+v: nothing to compare with", o, got)
	}
	if want.Weights != got.model || want.Repacked != got.repacked {
		t.Errorf("%+v: weights of %d bytes and %d repacked, the ledger says %d and %d", o, got.model, got.repacked, want.Weights, want.Repacked)
	}
	if want.KV != got.context {
		t.Errorf("%+v: a cache of %d bytes, the ledger says %d", o, got.context, want.KV)
	}
	whole := want.Total - want.Output // which llama.cpp leaves out of its account
	off := func(ours, real int64) float64 { return math.Abs(float64(ours-real)) / float64(real) }
	dev.compute, dev.whole, dev.cases = max(dev.compute, off(want.Compute, got.compute)), max(dev.whole, off(whole, got.sum())), dev.cases+1
	if o.Rules == ledger.Ollama {
		if want.Compute != got.compute {
			t.Errorf("%+v: a compute buffer of %d bytes, the ledger says %d", o, got.compute, want.Compute)
		}
	} else if off(whole, got.sum()) > toleranceShare && math.Abs(float64(whole-got.sum())) > toleranceBytes {
		t.Errorf("%+v: %+v, together %d bytes; the ledger says %d", o, got, got.sum(), whole)
	}
}

func (dev *deviation) log(t *testing.T) {
	t.Helper()
	t.Logf("%d cases: compute buffer off by at most %.2f %%, the whole by %.3f %%", dev.cases, 100*dev.compute, 100*dev.whole)
}

// phantom writes a model's file without its weights: the header, and behind it a hole of the file's length that
// takes no place on the disk. With NoAlloc llama.cpp reckons what it would take, whatever its size.
func phantom(t testing.TB, name string, f *gguf.File) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".gguf")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err = io.Copy(out, f.Header()); err == nil {
		err = out.Truncate(f.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// holdPhantom has llama.cpp reckon a model under all of a grid's options.
func holdPhantom(t *testing.T, name string, f *gguf.File, grid func(*ledger.Description) []loadOptions) {
	t.Helper()
	path := phantom(t, name, f)
	m, err := Load(path, ModelParams{NoAlloc: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d := describe(t, path)
	var dev deviation
	for _, o := range grid(&d) {
		dev.hold(t, m, &d, o)
	}
	dev.log(t)
}

// loadOptionsGrid is what a model is reckoned under: contexts, micro-batches, flash attention, cache types, windows.
func loadOptionsGrid(d *ledger.Description) []loadOptions {
	var grid []loadOptions
	for _, ctx := range []int64{300, 4096, 32768} {
		for _, ubatch := range []int64{64, 512, 2048} {
			for _, kv := range []string{"f16", "f32", "q8_0"} {
				for _, flash := range []bool{true, false} {
					for _, window := range []bool{false, true} {
						if !flash && kv == "q8_0" || window && (d.Window == 0 || kv == "f32") {
							continue // llama.cpp refuses the first; the others add nothing
						}
						grid = append(grid, loadOptions{ledger.MemoryOptions{Context: ctx, UBatch: ubatch, TypeK: kv, TypeV: kv, NoFlashAttention: !flash, WindowCache: window, NoMmap: true}})
					}
				}
			}
		}
	}
	return grid
}

// batchGrid is loads for several sequences.
func batchGrid(*ledger.Description) []loadOptions {
	var grid []loadOptions
	for _, sequences := range []int64{2, 3, 8, 32} {
		for _, ctx := range []int64{300, 4096} {
			for _, kv := range []string{"f16", "f32", "q8_0"} {
				for _, flash := range []bool{true, false} {
					for _, window := range []bool{false, true} {
						if !flash && kv == "q8_0" || window && kv != "f16" {
							continue
						}
						grid = append(grid, loadOptions{ledger.MemoryOptions{Context: ctx, Sequences: sequences, UBatch: 512, TypeK: kv, TypeV: kv, NoFlashAttention: !flash, WindowCache: window, NoMmap: true}})
					}
				}
			}
		}
	}
	return grid
}

// TestLedgerOfBatches has llama.cpp reckon models for several sequences, without allocating them.
func TestLedgerOfBatches(t *testing.T) {
	for _, name := range []string{"synth:gpt2", "shape:llama3.2-1b", "shape:qwen2.5-0.5b", "shape:gemma3-270m", "shape:gpt-oss-20b"} {
		t.Run(name, func(t *testing.T) {
			s, err := synth.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			typ := "f16"
			if s.NExpert > 0 {
				typ = "mxfp4"
			}
			f, err := synth.Preview(s, synth.Options{Type: typ, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			holdPhantom(t, s.Label(), f, batchGrid)
		})
	}
}

// TestLedgerOfBatchesThatRan compares once more after batches went through: prompts that take several ubatches, and of
// which some end in one and others in the next, need no more than was reserved.
func TestLedgerOfBatchesThatRan(t *testing.T) {
	for name, path := range batchModels(t) {
		for _, sequences := range []int{2, 5, 32} {
			t.Run(fmt.Sprintf("%s/%d", name, sequences), func(t *testing.T) {
				m := load(t, path)
				c := newContext(t, m, ContextParams{NCtx: 256, Sequences: sequences, NBatch: 128, NUBatch: 64})
				before := accounted(t, c)
				build, err := Build()
				if err != nil {
					t.Fatal(err)
				}
				d := describe(t, path)
				want, err := d.Memory(ledger.MemoryOptions{Context: 256, Sequences: int64(sequences), Batch: 128, UBatch: 64, Rules: ledger.RulesOf(build.LlamaSource)})
				if err != nil {
					t.Fatal(err)
				}
				if want.KV+want.State != before.context {
					t.Errorf("%d bytes of cache and %d of state, llama.cpp has %d of both", want.KV, want.State, before.context)
				}
				if _, err := c.MeasureCall(Call{Prompts: prompts(1, sequences, 50, m.Info().NVocab), Gen: 3}); err != nil {
					t.Fatal(err)
				}
				if after := accounted(t, c); after != before {
					t.Errorf("before a call %+v, after it %+v", before, after)
				}
			})
		}
	}
}

// TestLedgerOfLargeModels has llama.cpp reckon the whole of published models, without allocating them.
func TestLedgerOfLargeModels(t *testing.T) {
	var shapes []synth.Shape
	for _, name := range []string{"synth:gpt2", "synth:gpt2-xl", "shape:llama3.2-1b", "shape:llama3.1-8b", "shape:qwen2.5-0.5b", "shape:qwen2.5-7b", "shape:gemma3-270m", "shape:gemma3-4b", "shape:gpt-oss-20b"} {
		s, err := synth.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		shapes = append(shapes, s)
	}
	for _, s := range shapes {
		types := []string{"f16", "q4_k"}
		if s.NExpert > 0 {
			types = []string{"mxfp4", "q4_0"}
		}
		for _, typ := range types {
			t.Run(s.Label()+"/"+typ, func(t *testing.T) {
				f, err := synth.Preview(s, synth.Options{Type: typ, Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				holdPhantom(t, s.Label(), f, loadOptionsGrid)
			})
		}
	}
}

// TestLedgerOfLoadedModels loads small models for good, mapped and read, runs them, and compares again: what was
// reserved before the first token must still be what is there after many.
func TestLedgerOfLoadedModels(t *testing.T) {
	for _, c := range []struct {
		source string
		layers int64 // 0: all
		types  []string
	}{
		{"synth:gpt2-1m", 0, []string{"f32", "f16", "q8_0"}}, {"synth:gpt2-5m", 0, []string{"f32", "f16", "q8_0", "q4_0"}},
		{"shape:llama3.2-1b", 2, []string{"f16", "q4_0"}}, {"shape:qwen2.5-0.5b", 2, []string{"q8_0", "q4_k"}},
		{"shape:gemma3-270m", 7, []string{"f16", "q4_k"}}, {"shape:gpt-oss-20b", 2, []string{"mxfp4", "q4_0"}},
	} {
		s, err := synth.Lookup(c.source)
		if err != nil {
			t.Fatal(err)
		}
		if c.layers > 0 {
			s = s.WithLayers(c.layers).WithVocab(1024)
		}
		if s.NExpert > 0 {
			s.NEmbd, s.NFF, s.NHead, s.NExpert = 256, 256, 16, 8 // 20 GB of experts are no test's
		}
		for _, typ := range c.types {
			t.Run(s.Label()+"/"+typ, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "model.gguf")
				if err := synth.Write(path, s, synth.Options{Type: typ, Seed: 1}); err != nil {
					t.Fatal(err)
				}
				d := describe(t, path)
				var dev deviation
				for _, mmap := range []bool{true, false} {
					m, err := Load(path, ModelParams{Mmap: mmap})
					if err != nil {
						t.Fatal(err)
					}
					o := loadOptions{ledger.MemoryOptions{Context: 512, UBatch: 128, NoMmap: !mmap}}
					dev.hold(t, m, &d, o)
					p := o.context()
					c, err := m.NewContext(p)
					if err != nil {
						t.Fatal(err)
					}
					before := accounted(t, c)
					prompt := make([]int32, 200)
					for i := range prompt {
						prompt[i] = int32(i)
					}
					if _, err := c.Measure(prompt, 4); err != nil {
						t.Fatal(err)
					}
					if after := accounted(t, c); after != before {
						t.Errorf("before a call %+v, after it %+v", before, after)
					}
					c.Close()
					m.Close()
				}
				dev.log(t)
			})
		}
	}
}

func TestNoAlloc(t *testing.T) {
	path := writeModel(t, preset(t, "gpt2-5m"), "f16")
	real, err := Load(path, ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	reckoned, err := Load(path, ModelParams{NoAlloc: true, Mmap: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reckoned.Close()
	p := ContextParams{NCtx: 256}
	a, b := accounted(t, newContext(t, real, p)), accounted(t, newContext(t, reckoned, p))
	if a != b {
		t.Errorf("loaded %+v, reckoned %+v", a, b)
	}
	c, err := real.NewContext(p)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := c.Memory(); err == nil {
		t.Error("a closed context has an account of memory")
	}
}
