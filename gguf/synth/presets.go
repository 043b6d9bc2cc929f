// SPDX-License-Identifier: MIT

// Package synth writes GPT-2 models with random weights as GGUF files that llama.cpp loads.
//
// How long a dense transformer takes does not depend on what its weights say, only on their number, shape and
// type; so a study of speed against size needs no downloads. The weights come from a counter-based generator:
// the same preset, type and seed give the same bytes on any number of cores, and the same preset and seed in
// another type give the same weights rounded to that type. The vocabulary is a working byte-level BPE of GPT-2's
// size and form, so that text can be tokenised both ways; what such a model says has no meaning.
package synth

import (
	"fmt"
	"math"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/draw"
)

// Preset is a GPT-2 shape. The feed-forward is 4*NEmbd wide and the output head is the token embedding.
type Preset struct {
	Name   string
	NLayer int64
	NEmbd  int64 // width; a multiple of NHead
	NHead  int64
	NCtx   int64 // tokens of context, the rows of the position embedding
	NVocab int64 // rows of the token embedding; VocabSize in all presets
}

const ctx = 1024 // GPT-2's context

// The first nine are the models of the TR121 study and its forerunners, the last three OpenAI's larger GPT-2.
var presets = []Preset{
	{"tiny-gpt2", 2, 2, 2, ctx, VocabSize},
	{"gpt2-1m", 3, 192, 3, ctx, VocabSize},
	{"gpt2-5m", 12, 80, 2, ctx, VocabSize},
	{"gpt2-25m", 3, 384, 2, ctx, VocabSize},
	{"gpt2-45m", 6, 512, 8, ctx, VocabSize},
	{"gpt2-50m", 8, 512, 2, ctx, VocabSize},
	{"gpt2-75m", 5, 768, 2, ctx, VocabSize},
	{"gpt2-100m", 8, 768, 2, ctx, VocabSize},
	{"gpt2", 12, 768, 12, ctx, VocabSize},
	{"gpt2-medium", 24, 1024, 16, ctx, VocabSize},
	{"gpt2-large", 36, 1280, 20, ctx, VocabSize},
	{"gpt2-xl", 48, 1600, 25, ctx, VocabSize},
}

// Presets lists the shapes that have a name: first TR121's, then the larger ones.
func Presets() []Preset { return append([]Preset(nil), presets...) }

// Lookup finds a preset by its name. The error for an unknown one names the nearest and lists all.
func Lookup(name string) (Preset, error) {
	names := make([]string, len(presets))
	best, bestDist := "", -1
	for i, p := range presets {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
		if d := editDistance(strings.ToLower(name), p.Name); bestDist < 0 || d < bestDist {
			best, bestDist = p.Name, d
		}
	}
	hint := ""
	if bestDist <= max(2, len(name)/2) {
		hint = fmt.Sprintf(" (did you mean %q?)", best)
	}
	return Preset{}, fmt.Errorf("synth: no preset %q%s; there are %s", name, hint, strings.Join(names, ", "))
}

// editDistance counts the bytes to insert, delete or replace to turn a into b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0] // the cell up and left of the one being filled
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Params returns the number of weights: (V+ctx)*d + L*(12d²+13d) + 2d.
func (p Preset) Params() int64 {
	d := p.NEmbd
	return (p.NVocab+p.NCtx)*d + p.NLayer*(12*d*d+13*d) + 2*d
}

// check refuses shapes that llama.cpp could not load; a Preset need not come from Lookup.
func (p Preset) check() error {
	switch {
	case p.Name == "":
		return fmt.Errorf("synth: the preset has no name")
	case p.NLayer < 1 || p.NLayer > 512: // llama.cpp's LLAMA_MAX_LAYERS
		return fmt.Errorf("synth: %s: %d layers; want 1 to 512", p.Name, p.NLayer)
	case p.NHead < 1 || p.NEmbd < 1 || p.NEmbd%p.NHead != 0 || p.NEmbd > 1<<20:
		return fmt.Errorf("synth: %s: width %d with %d heads; want a multiple of the heads up to 2^20", p.Name, p.NEmbd, p.NHead)
	case p.NCtx < 1 || p.NCtx > 1<<30:
		return fmt.Errorf("synth: %s: context of %d tokens; want 1 to 2^30", p.Name, p.NCtx)
	case p.NVocab != VocabSize:
		return fmt.Errorf("synth: %s: vocabulary of %d; want %d, the one that this package makes", p.Name, p.NVocab, VocabSize)
	}
	return nil
}

// tensors lists the model's tensors in the order of the file, and those that could not have the wanted type.
//
// Matrices are drawn with a standard deviation of 1/sqrt(row length), so that a layer neither shrinks nor blows
// up its input at any width. GPT-2's own 0.02 is that for a width of 2500, and at small widths it would leave the
// tied head seeing little but the token that came in: the model would repeat one token for ever. The embeddings
// have GPT-2's 0.02.
func (p Preset) tensors(want gguf.Type) (ts []draw.Tensor, fallback []string) {
	d, ff := p.NEmbd, 4*p.NEmbd
	matrix := func(name string, std float64, dims ...int64) {
		typ := want
		if _, err := typ.RowBytes(dims[0]); err != nil {
			typ = gguf.F16
			fallback = append(fallback, name)
		}
		ts = append(ts, draw.Tensor{Spec: gguf.Spec{Name: name, Type: typ, Dims: dims}, Std: std})
	}
	plain := func(name string, mean, std float64, dims ...int64) {
		ts = append(ts, draw.Tensor{Spec: gguf.Spec{Name: name, Type: gguf.F32, Dims: dims}, Mean: mean, Std: std})
	}
	norm := func(name string) {
		plain(name+".weight", 1, 0.02, d)
		plain(name+".bias", 0, 0.02, d)
	}
	linear := func(name string, in, out int64) {
		matrix(name+".weight", 1/math.Sqrt(float64(in)), in, out)
		plain(name+".bias", 0, 0.02, out)
	}

	matrix("token_embd.weight", 0.02, d, p.NVocab)
	// llama.cpp's own converter and quantiser leave the position table in f32 whatever the type of the rest.
	plain("position_embd.weight", 0, 0.02, d, p.NCtx)
	norm("output_norm")
	for i := range p.NLayer {
		blk := fmt.Sprintf("blk.%d.", i)
		norm(blk + "attn_norm")
		linear(blk+"attn_qkv", d, 3*d)
		linear(blk+"attn_output", d, d)
		norm(blk + "ffn_norm")
		linear(blk+"ffn_up", d, ff)
		linear(blk+"ffn_down", ff, d)
	}
	return ts, fallback
}
