// Package draw makes the random weights of synthesised models, in the storage types of GGUF files.
//
// A tensor's weights come from a counter-based generator keyed by the seed and the tensor's name: any part of them
// can be made without the parts before it, on any number of cores, and the same seed and name give the same bytes.
//
// Weights of the float types and of q8_0 follow a normal distribution. Blocks of the other types are not the
// quantisation of anything: their codes are random bits, and their scales are chosen so that what ggml makes of
// them has the mean and the standard deviation asked for. That is as much work for ggml's kernels as real weights
// are, and it is made at the speed of memory instead of a quantiser's.
package draw

import (
	"errors"
	"fmt"
	"math"

	"llmscale/gguf"
)

// golden is 2^64 over the golden ratio, made odd: the step of splitmix64's counter.
const golden = 0x9e3779b97f4a7c15

// word is random word i of the stream that key names: the splitmix64 of a counter, so any part of a tensor can
// be made without the parts before it.
func word(key, i uint64) uint64 { return mix(key + (i+1)*golden) }

// mix is splitmix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
// OOPSLA 2014, with the constants of Stafford's Mix13).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// streamKey gives each tensor of each model seed its own stream, whatever else the file holds.
func streamKey(seed uint64, tensor string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(tensor) {
		h = (h ^ uint64(tensor[i])) * 1099511628211
	}
	return word(seed, h)
}

// Tensor is a tensor to write with what its weights are drawn from. Quantised types have Mean 0.
type Tensor struct {
	gguf.Spec
	Mean, Std float64

	// Values, if not nil, are what an f32 tensor holds instead of random weights, all of them in the file's order:
	// for tables that follow from a model's configuration.
	Values []float32
}

// maker makes the bytes of the tensors of one type, mean and standard deviation.
type maker interface {
	// fill writes weights of the stream key into dst, from element first on: a multiple of grain. dst holds whole
	// blocks.
	fill(dst []byte, key uint64, first int64)
}

// grain is the step, in weights, of where a maker can start: eight of the largest blocks, which are whole words
// of every type.
const grain = 8 * 256

// makers is the one list of the types that can be drawn.
var makers = map[gguf.Type]func(mean, std float64) (maker, error){
	gguf.F32: newFloat32, gguf.F16: newFloat16, gguf.BF16: newBFloat16,
	gguf.Q4_0: q4_0.maker, gguf.Q4_1: q4_1.maker, gguf.Q5_0: q5_0.maker, gguf.Q5_1: q5_1.maker, gguf.Q8_0: newQ8,
	gguf.Q2_K: q2K.maker, gguf.Q3_K: q3K.maker, gguf.Q4_K: q4K.maker, gguf.Q5_K: q5K.maker, gguf.Q6_K: q6K.maker,
	gguf.IQ2XXS: iq2XXS.maker, gguf.IQ2XS: iq2XS.maker, gguf.IQ2S: iq2S.maker,
	gguf.IQ3XXS: iq3XXS.maker, gguf.IQ3S: iq3S.maker, gguf.IQ1S: iq1S.maker, gguf.IQ1M: newIQ1M,
	gguf.IQ4NL: iq4NL.maker, gguf.IQ4XS: iq4XS.maker,
	gguf.TQ1_0: newTernary1, gguf.TQ2_0: newTernary2, gguf.MXFP4: newMXFP4,
}

// Supports says whether weights can be drawn as t: every type that both ggml, the newest and Ollama's, multiply weights
// of. The others are the newest's alone (nvfp4, q1_0, q2_0), formats of activations (q8_1, q8_K), of plain numbers (i8 to
// i64, f64), or none of ggml's (mxfp4_ollama).
func Supports(t gguf.Type) bool {
	_, ok := makers[t]
	return ok
}

// check finds tensors that cannot be drawn whatever their standard deviation.
func check(t Tensor) error {
	switch {
	case t.Values != nil && (t.Type != gguf.F32 || int64(len(t.Values)) != elements(t)):
		return failed(t, fmt.Errorf("%d given values; want one for each of %d f32 elements", len(t.Values), elements(t)))
	case !Supports(t.Type):
		return failed(t, errors.New("no weights can be drawn in this type"))
	case math.IsNaN(t.Mean) || math.IsInf(t.Mean, 0) || !(t.Std >= 0) || math.IsInf(t.Std, 0):
		return failed(t, fmt.Errorf("mean %g and standard deviation %g: want finite numbers, the second not negative", t.Mean, t.Std))
	}
	if _, err := t.Type.RowBytes(elements(t)); err != nil {
		return failed(t, err)
	}
	return nil
}

func failed(t Tensor, err error) error {
	return fmt.Errorf("draw: tensor %q of type %s: %w", t.Name, t.Type, err)
}
