package synth

import (
	"fmt"
	"math"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/draw"
)

// architecture says how llama.cpp wants a model of one architecture: metadata beyond what all have, and tensors.
type architecture struct {
	metadata func(s Shape, set func(key string, value any))
	tensors  func(l *layout, s Shape)
}

var architectures = map[string]architecture{
	"gpt2":    {gpt2Metadata, gpt2Tensors},
	"llama":   {rotaryMetadata, llamaTensors},
	"qwen2":   {rotaryMetadata, qwen2Tensors},
	"gemma3":  {rotaryMetadata, gemma3Tensors},
	"gpt-oss": {rotaryMetadata, gptOSSTensors},
}

// layout collects a model's tensors in the order of the file.
//
// Matrices are drawn with a standard deviation of 1/sqrt(row length), so that a layer neither shrinks nor blows
// up its input at any width. GPT-2's own 0.02 is that for a width of 2500, and at small widths it would leave the
// tied head seeing little but the token that came in: the model would repeat one token for ever.
type layout struct {
	arch    string
	want    gguf.Type // of matrices
	experts gguf.Type // of experts' matrices

	tensors  []draw.Tensor
	fallback []string // tensors that could not have the wanted type
}

func (s Shape) layout(want gguf.Type) *layout {
	l := &layout{arch: s.Arch, want: want, experts: want}
	if want == gguf.MXFP4 {
		// As in the published gpt-oss: the experts in mxfp4, everything else larger.
		l.want = gguf.Q8_0
	}
	architectures[s.Arch].tensors(l, s)
	return l
}

// fallbacks says which type takes the place of one whose blocks a row does not fill: for K-quants those that
// llama.cpp's quantiser takes; for blocks of 32, where that gives up, f16.
var fallbacks = map[gguf.Type]gguf.Type{
	gguf.Q4_K: gguf.Q5_0, gguf.Q6_K: gguf.Q8_0,
	gguf.Q5_0: gguf.F16, gguf.Q4_0: gguf.F16, gguf.Q8_0: gguf.F16, gguf.MXFP4: gguf.F16,
}

// weights adds a tensor of random elements of the wanted type, or of the one that takes its place where its rows
// do not fill whole blocks.
func (l *layout) weights(want gguf.Type, name string, std float64, dims ...int64) {
	typ := want
	for {
		if _, err := typ.RowBytes(dims[0]); err == nil {
			break
		}
		typ = fallbacks[typ]
	}
	if typ != want {
		l.fallback = append(l.fallback, name)
	}
	l.tensors = append(l.tensors, draw.Tensor{Spec: gguf.Spec{Name: name, Type: typ, Dims: dims}, Std: std})
}

// embedding adds a table with rows of width elements.
func (l *layout) embedding(name string, width, rows int64) {
	l.weights(l.want, name, embeddingStd(l.arch, width), width, rows)
}

// embeddingStd is the standard deviation of an embedding's elements: GPT-2's 0.02. Gemma multiplies what it looks up
// by the square root of the width, which is taken out here, lest the token that came in drown all layers.
func embeddingStd(arch string, width int64) float64 {
	if strings.HasPrefix(arch, "gemma") {
		return 0.05 / math.Sqrt(float64(width))
	}
	return 0.02
}

// matrix adds a matrix that takes vectors of in elements to vectors of out.
func (l *layout) matrix(name string, in, out int64) {
	l.weights(l.want, name, 1/math.Sqrt(float64(in)), in, out)
}

func (l *layout) expertMatrix(name string, in, out, experts int64) {
	l.weights(l.experts, name, 1/math.Sqrt(float64(in)), in, out, experts)
}

// plain adds a tensor that is f32 in models of any type.
func (l *layout) plain(name string, mean, std float64, dims ...int64) {
	l.tensors = append(l.tensors, draw.Tensor{Spec: gguf.Spec{Name: name, Type: gguf.F32, Dims: dims}, Mean: mean, Std: std})
}

// scale adds the weights of an RMS norm.
func (l *layout) scale(name string, n int64) { l.plain(name+".weight", 1, 0.02, n) }

// norm adds the weights and biases of a layer norm.
func (l *layout) norm(name string, n int64) {
	l.scale(name, n)
	l.bias(name, n)
}

func (l *layout) bias(name string, dims ...int64) { l.plain(name+".bias", 0, 0.02, dims...) }

// linear adds a matrix with a bias.
func (l *layout) linear(name string, in, out int64) {
	l.matrix(name+".weight", in, out)
	l.bias(name, out)
}

func gpt2Metadata(s Shape, set func(string, any)) {
	set("context_length", uint32(s.NCtx))
	set("embedding_length", uint32(s.NEmbd))
	set("feed_forward_length", uint32(s.NFF))
	set("block_count", uint32(s.NLayer))
	set("attention.head_count", uint32(s.NHead))
	set("attention.layer_norm_epsilon", float32(1e-5))
}

func gpt2Tensors(l *layout, s Shape) {
	d := s.NEmbd
	l.embedding("token_embd.weight", d, s.NVocab)
	// llama.cpp's own converter and quantiser leave the position table in f32 whatever the type of the rest.
	l.plain("position_embd.weight", 0, 0.02, d, s.NCtx)
	l.norm("output_norm", d)
	for i := range s.NLayer {
		blk := fmt.Sprintf("blk.%d.", i)
		l.norm(blk+"attn_norm", d)
		l.linear(blk+"attn_qkv", d, 3*d)
		l.linear(blk+"attn_output", d, d)
		l.norm(blk+"ffn_norm", d)
		l.linear(blk+"ffn_up", d, s.NFF)
		l.linear(blk+"ffn_down", s.NFF, d)
	}
}

// rotaryMetadata is for the architectures with rotary positions and RMS norms.
func rotaryMetadata(s Shape, set func(string, any)) {
	set("context_length", uint32(s.NCtx))
	set("embedding_length", uint32(s.NEmbd))
	set("feed_forward_length", uint32(s.NFF))
	set("block_count", uint32(s.NLayer))
	set("vocab_size", uint32(s.NVocab))
	set("attention.head_count", uint32(s.NHead))
	set("attention.head_count_kv", uint32(s.NHeadKV))
	set("attention.key_length", uint32(s.HeadDim))
	set("attention.value_length", uint32(s.HeadDim))
	set("attention.layer_norm_rms_epsilon", rmsEpsilon[s.Arch])
	set("rope.dimension_count", uint32(s.HeadDim))
	set("rope.freq_base", s.Rope.Base)
	if s.Window > 0 {
		set("attention.sliding_window", uint32(s.Window))
	}
	if s.Rope.Scaling == "linear" || s.Rope.Scaling == "yarn" {
		set("rope.scaling.type", s.Rope.Scaling)
		set("rope.scaling.factor", s.Rope.Factor)
	}
	if s.Rope.Scaling == "yarn" {
		set("rope.scaling.original_context_length", uint32(s.Rope.TrainedCtx))
	}
	if s.NExpert > 0 {
		set("expert_count", uint32(s.NExpert))
		set("expert_used_count", uint32(s.NExpertUsed))
		set("expert_feed_forward_length", uint32(s.NFF))
	}
}

var rmsEpsilon = map[string]float32{"llama": 1e-5, "qwen2": 1e-6, "gemma3": 1e-6, "gpt-oss": 1e-5}

// heads are the widths of all queries and of all keys (or values) of a layer.
func (s Shape) heads() (q, kv int64) { return s.NHead * s.HeadDim, s.NHeadKV * s.HeadDim }

// ends adds what stands before and after the layers.
func ends(l *layout, s Shape) {
	l.embedding("token_embd.weight", s.NEmbd, s.NVocab)
	l.scale("output_norm", s.NEmbd)
	if !s.Tied {
		l.matrix("output.weight", s.NEmbd, s.NVocab)
	}
}

func gatedFeedForward(l *layout, blk string, s Shape) {
	l.matrix(blk+"ffn_gate.weight", s.NEmbd, s.NFF)
	l.matrix(blk+"ffn_up.weight", s.NEmbd, s.NFF)
	l.matrix(blk+"ffn_down.weight", s.NFF, s.NEmbd)
}

func llamaTensors(l *layout, s Shape) {
	q, kv := s.heads()
	ends(l, s)
	if s.Rope.Scaling == "llama3" {
		values := ropeFactors(s)
		l.plain("rope_freqs.weight", 0, 0, int64(len(values)))
		l.tensors[len(l.tensors)-1].Values = values
	}
	for i := range s.NLayer {
		blk := fmt.Sprintf("blk.%d.", i)
		l.scale(blk+"attn_norm", s.NEmbd)
		l.matrix(blk+"attn_q.weight", s.NEmbd, q)
		l.matrix(blk+"attn_k.weight", s.NEmbd, kv)
		l.matrix(blk+"attn_v.weight", s.NEmbd, kv)
		l.matrix(blk+"attn_output.weight", q, s.NEmbd)
		l.scale(blk+"ffn_norm", s.NEmbd)
		gatedFeedForward(l, blk, s)
	}
}

// ropeFactors are what Llama 3.1 and later divide their rotary frequencies by, one for each pair of a head's
// elements: 1 where the wave is short against the context first trained, Rope.Factor where it is long, and between
// wavelengths of a quarter and of the whole of it a passage from one to the other (config.json's rope_scaling with
// low_freq_factor 1, high_freq_factor 4).
func ropeFactors(s Shape) []float32 {
	const low, high = 1, 4
	out := make([]float32, s.HeadDim/2)
	factor, trained := float64(s.Rope.Factor), float64(s.Rope.TrainedCtx)
	for i := range out {
		wavelength := 2 * math.Pi * math.Pow(float64(s.Rope.Base), float64(2*i)/float64(s.HeadDim)) // tokens
		share := (trained/wavelength - low) / (high - low)                                          // of the unstretched frequency
		share = min(1, max(0, share))
		out[i] = float32(1 / (float64(share) + float64((1-share)/factor)))
	}
	return out
}

func qwen2Tensors(l *layout, s Shape) {
	q, kv := s.heads()
	ends(l, s)
	for i := range s.NLayer {
		blk := fmt.Sprintf("blk.%d.", i)
		l.scale(blk+"attn_norm", s.NEmbd)
		l.linear(blk+"attn_q", s.NEmbd, q)
		l.linear(blk+"attn_k", s.NEmbd, kv)
		l.linear(blk+"attn_v", s.NEmbd, kv)
		l.matrix(blk+"attn_output.weight", q, s.NEmbd)
		l.scale(blk+"ffn_norm", s.NEmbd)
		gatedFeedForward(l, blk, s)
	}
}

func gemma3Tensors(l *layout, s Shape) {
	q, kv := s.heads()
	ends(l, s)
	for i := range s.NLayer {
		blk := fmt.Sprintf("blk.%d.", i)
		l.scale(blk+"attn_norm", s.NEmbd)
		l.matrix(blk+"attn_q.weight", s.NEmbd, q)
		l.scale(blk+"attn_q_norm", s.HeadDim)
		l.matrix(blk+"attn_k.weight", s.NEmbd, kv)
		l.scale(blk+"attn_k_norm", s.HeadDim)
		l.matrix(blk+"attn_v.weight", s.NEmbd, kv)
		l.matrix(blk+"attn_output.weight", q, s.NEmbd)
		l.scale(blk+"post_attention_norm", s.NEmbd)
		l.scale(blk+"ffn_norm", s.NEmbd)
		gatedFeedForward(l, blk, s)
		l.scale(blk+"post_ffw_norm", s.NEmbd)
	}
}

func gptOSSTensors(l *layout, s Shape) {
	q, kv := s.heads()
	ends(l, s)
	for i := range s.NLayer {
		blk := fmt.Sprintf("blk.%d.", i)
		l.scale(blk+"attn_norm", s.NEmbd)
		l.linear(blk+"attn_q", s.NEmbd, q)
		l.linear(blk+"attn_k", s.NEmbd, kv)
		l.linear(blk+"attn_v", s.NEmbd, kv)
		l.linear(blk+"attn_output", q, s.NEmbd)
		l.plain(blk+"attn_sinks.weight", 0, 1, s.NHead)
		l.scale(blk+"post_attention_norm", s.NEmbd)
		// The router is small and decides much: f32 in any type, as llama.cpp's quantiser leaves it.
		l.plain(blk+"ffn_gate_inp.weight", 0, 1/math.Sqrt(float64(s.NEmbd)), s.NEmbd, s.NExpert)
		l.bias(blk+"ffn_gate_inp", s.NExpert)
		for _, m := range []struct {
			name    string
			in, out int64
		}{{"ffn_gate_exps", s.NEmbd, s.NFF}, {"ffn_up_exps", s.NEmbd, s.NFF}, {"ffn_down_exps", s.NFF, s.NEmbd}} {
			l.expertMatrix(blk+m.name+".weight", m.in, m.out, s.NExpert)
			l.bias(blk+m.name, m.out, s.NExpert)
		}
	}
}
