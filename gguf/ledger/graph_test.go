package ledger

import (
	"math/rand/v2"
	"strings"
	"testing"

	"llmscale/gguf"
)

// TestArena takes and gives back at random: what is taken never overlaps, and what was all given back is one end again.
func TestArena(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	type block struct{ offset, bytes int64 }
	for range 200 {
		var a arena
		var live []block
		top := int64(0)
		for range 300 {
			if len(live) > 0 && rng.IntN(3) == 0 {
				i := rng.IntN(len(live))
				a.give(live[i].offset, live[i].bytes)
				live = append(live[:i], live[i+1:]...)
				continue
			}
			b := block{bytes: 1 + rng.Int64N(1000)}
			b.offset = a.take(b.bytes)
			if b.offset%bufferAlign != 0 {
				t.Fatalf("offset %d", b.offset)
			}
			for _, o := range live {
				if b.offset < o.offset+o.bytes && o.offset < b.offset+b.bytes {
					t.Fatalf("%+v lies over %+v", b, o)
				}
			}
			live = append(live, b)
			top = max(top, b.offset+b.bytes)
		}
		if a.high < top {
			t.Fatalf("the buffer ends at %d, a block at %d", a.high, top)
		}
		for _, b := range live {
			a.give(b.offset, b.bytes)
		}
		if len(a.holes) != 0 || a.end != 0 {
			t.Fatalf("all is free, but the end is %d and there are the holes %v", a.end, a.holes)
		}
	}
}

// TestArenaPlaces has worked examples: the smallest hole that fits, of equal ones the last.
func TestArenaPlaces(t *testing.T) {
	var a arena
	var at []int64
	for _, n := range []int64{96, 32, 64, 32, 64, 32} { // at 0, 96, 128, 192, 224, 288
		at = append(at, a.take(n))
	}
	a.give(at[0], 96)
	a.give(at[2], 64)
	a.give(at[4], 64)
	for i, c := range []struct{ bytes, want int64 }{{64, 224}, {33, 128}, {32, 0}, {65, 320}, {64, 32}} {
		if got := a.take(c.bytes); got != c.want {
			t.Errorf("take %d, of %d bytes: at %d, want %d", i, c.bytes, got, c.want)
		}
	}
	if a.high != 320+96 {
		t.Errorf("the buffer ends at %d", a.high)
	}
}

func TestGraphSize(t *testing.T) {
	// A chain of two results of 64 bytes over an input of 32: the second takes the place of the first if it may.
	build := func(over bool) int64 {
		var g graph
		in := g.input(32)
		a := g.fresh(64, in)
		if over {
			g.over(a)
		} else {
			g.fresh(64, a)
		}
		return g.size()
	}
	if got := build(true); got != 96 {
		t.Errorf("in place: %d bytes, want 96", got)
	}
	if got := build(false); got != 160 {
		t.Errorf("afresh: %d bytes, want 160", got)
	}
	// A result that is used again is not overwritten.
	var g graph
	a := g.fresh(64)
	b := g.over(a)
	g.store(a, b)
	if got := g.size(); got != 128 {
		t.Errorf("used twice: %d bytes, want 128", got)
	}
}

func TestWindows(t *testing.T) {
	file := func(arch string, layers uint32, window any) *gguf.File {
		e := []gguf.Entry{{Key: "general.architecture", Value: arch}, {Key: arch + ".block_count", Value: layers}}
		if window != nil {
			e = append(e, gguf.Entry{Key: arch + ".attention.sliding_window", Value: window})
		}
		return model(t, e, nil)
	}
	for _, c := range []struct {
		arch   string
		layers uint32
		window any
		tokens int64 // expected
		want   int64 // layers with a window
	}{
		{"llama", 32, uint32(4096), 0, 0}, // as in Mistral's files; llama.cpp knows no window for it
		{"gemma3", 18, uint32(512), 512, 15}, {"gemma3", 18, nil, 0, 0}, {"gemma3", 18, uint32(0), 0, 0},
		{"gemma2", 26, nil, 4096, 13}, {"gemma2", 26, uint32(100), 100, 13}, {"gpt-oss", 24, uint32(128), 128, 12},
		{"exaone4", 30, uint32(4096), 0, 0}, {"exaone4", 64, nil, 4096, 48}, {"llama4", 48, nil, 8192, 36},
		{"smallthinker", 32, uint32(7), 4096, 24},
	} {
		d, err := Describe(file(c.arch, c.layers, c.window))
		if err != nil || d.Window != c.tokens || d.NWindowLayer != c.want {
			t.Errorf("%s of %d layers, window %v: %d tokens in %d layers, %v; want %d in %d", c.arch, c.layers, c.window, d.Window, d.NWindowLayer, err, c.tokens, c.want)
		}
	}
	for _, bad := range []any{"wide", int32(-5), uint64(1) << 40} {
		if _, err := Describe(file("gemma3", 2, bad)); err == nil {
			t.Errorf("a window of %v is accepted", bad)
		}
	}
}

func TestDescribeNotes(t *testing.T) {
	for want, spec := range map[string]gguf.Spec{
		"mxfp4_ollama":  {Name: "blk.0.ffn_up_exps.weight", Type: gguf.MXFP4Ollama, Dims: []int64{32, 2, 2}},
		"images":        {Name: "v.blk.0.attn_q.weight", Type: gguf.F32, Dims: []int64{4, 4}},
		"are recurrent": {Name: "blk.0.ssm_in.weight", Type: gguf.F32, Dims: []int64{4, 4}},
	} {
		entries := u32("gemma3", map[string]uint32{"block_count": 1, "embedding_length": 4, "attention.head_count": 1, "context_length": 8, "expert_count": 2, "expert_used_count": 1})
		d, err := Describe(model(t, entries, []gguf.Spec{spec}))
		if err != nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], want) {
			t.Errorf("%s: notes %q, %v; want one of %q", spec.Name, d.Notes, err, want)
		}
		if want == "images" && (d.BytesReadPerToken != 0 || d.WeightBytes != 64) {
			t.Errorf("%d of %d bytes are read per token; want none", d.BytesReadPerToken, d.WeightBytes)
		}
	}
}
