// SPDX-License-Identifier: MIT

// Package draw makes the random weights of synthesised models, in the storage types of GGUF files.
//
// A tensor's weights come from a counter-based generator keyed by the seed and the tensor's name: any part of them
// can be made without the parts before it, on any number of cores, and the same seed and name give the same bytes.
package draw

import (
	"encoding/binary"
	"math"
	"sync"

	"llmscale/gguf"
	"llmscale/gguf/quant"
)

// Weights are drawn from 4096 equally likely levels, the quantiles of a normal distribution: one table look-up
// each, four from one 64-bit random word. Drawing from the distribution itself (Box-Muller, ziggurat) would be
// several times slower than a disk writes, and no timing could tell the difference.
const (
	levels  = 4096
	perWord = 4 // weights drawn from one random word, 16 bits apart
)

// word is random word i of the stream that key names: the splitmix64 of a counter, so any part of a tensor can
// be made without the parts before it.
func word(key, i uint64) uint64 {
	z := key + (i+1)*0x9e3779b97f4a7c15
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

// quantiles are the levels at unit variance, rising and exactly symmetric: quantiles[levels-1-k] == -quantiles[k].
var quantiles = sync.OnceValue(func() *[levels]float64 {
	q := new([levels]float64)
	sum := 0.0
	for k := levels / 2; k < levels; k++ {
		q[k] = math.Sqrt2 * math.Erfinv(float64(2*k+1-levels)/levels)
		sum += float64(q[k] * q[k])
	}
	// The outermost levels stand for the infinite tails, which costs a little variance; scale it back.
	scale := 1 / math.Sqrt(sum/(levels/2))
	for k := levels / 2; k < levels; k++ {
		q[k] *= scale
		q[levels-1-k] = -q[k]
	}
	return q
})

// Tensor is a tensor to write with what its weights are drawn from.
type Tensor struct {
	gguf.Spec
	Mean, Std float64

	// Values, if not nil, are what an f32 tensor holds instead of random weights, all of them in the file's order:
	// for tables that follow from a model's configuration.
	Values []float32
}

// source makes the bytes of one tensor. Only the table of its type is filled.
type source struct {
	typ    gguf.Type
	key    uint64
	values []float32 // what to write instead of random weights; nil: random ones
	f32    [levels]float32
	f16    [levels]uint16
	q8     [levels]uint8 // int8 multiples of scale
	scale  uint16        // float16
}

func newSource(t Tensor, seed uint64) *source {
	s := &source{typ: t.Type, key: streamKey(seed, t.Name), values: t.Values}
	if s.values != nil {
		return s
	}
	q := quantiles()
	s.scale = quant.Float16(float32(t.Std * q[levels-1] / 127))
	for k := range levels {
		v := t.Mean + float64(t.Std*q[k])
		switch t.Type {
		case gguf.F32:
			s.f32[k] = float32(v)
		case gguf.F16:
			s.f16[k] = quant.Float16(float32(v))
		case gguf.Q8_0:
			// Division by the rounded scale may exceed 127 by a little.
			s.q8[k] = uint8(int8(min(127, max(-127, math.RoundToEven(v/quant.FromFloat16(s.scale))))))
		}
	}
	return s
}

// fill writes weights into dst from element first on, a multiple of the block size and of perWord. dst holds
// whole blocks; only at a tensor's end may it hold a number of weights that is no multiple of perWord.
func (s *source) fill(dst []byte, first int64) {
	if s.values != nil {
		for i := range len(dst) / 4 {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(s.values[int(first)+i]))
		}
		return
	}
	w := uint64(first / perWord)
	switch s.typ {
	case gguf.F32:
		s.fillF32(dst, w)
	case gguf.F16:
		s.fillF16(dst, w)
	case gguf.Q8_0:
		s.fillQ8(dst, w)
	}
}

const lane = levels - 1

func (s *source) fillF32(dst []byte, w uint64) {
	le := binary.LittleEndian
	for ; len(dst) >= 16; dst = dst[16:] {
		z := word(s.key, w)
		w++
		b := dst[:16]
		le.PutUint64(b, uint64(math.Float32bits(s.f32[z&lane]))|uint64(math.Float32bits(s.f32[z>>16&lane]))<<32)
		le.PutUint64(b[8:], uint64(math.Float32bits(s.f32[z>>32&lane]))|uint64(math.Float32bits(s.f32[z>>48&lane]))<<32)
	}
	z := word(s.key, w)
	for ; len(dst) > 0; dst = dst[4:] {
		le.PutUint32(dst, math.Float32bits(s.f32[z&lane]))
		z >>= 16
	}
}

func (s *source) fillF16(dst []byte, w uint64) {
	le := binary.LittleEndian
	for ; len(dst) >= 8; dst = dst[8:] {
		z := word(s.key, w)
		w++
		le.PutUint64(dst, uint64(s.f16[z&lane])|uint64(s.f16[z>>16&lane])<<16|
			uint64(s.f16[z>>32&lane])<<32|uint64(s.f16[z>>48&lane])<<48)
	}
	z := word(s.key, w)
	for ; len(dst) > 0; dst = dst[2:] {
		le.PutUint16(dst, s.f16[z&lane])
		z >>= 16
	}
}

// fillQ8 writes blocks of 32 weights as q8_0: a float16 scale, then an int8 each. All blocks have the scale of the
// outermost level, so that a weight is one look-up here too. A quantiser's own scale, that of the block's largest
// weight, would halve the rounding error and took three times as long to compute.
func (s *source) fillQ8(dst []byte, w uint64) {
	const block = 32
	for ; len(dst) >= 2+block; dst = dst[2+block:] {
		b := (*[2 + block]byte)(dst)
		binary.LittleEndian.PutUint16(b[:2], s.scale)
		for i := 2; i < 2+block; i += perWord {
			z := word(s.key, w)
			w++
			binary.LittleEndian.PutUint32(b[i:i+4], uint32(s.q8[z&lane])|uint32(s.q8[z>>16&lane])<<8|
				uint32(s.q8[z>>32&lane])<<16|uint32(s.q8[z>>48&lane])<<24)
		}
	}
}

// Supports tells whether weights can be drawn in a storage type.
func Supports(t gguf.Type) bool {
	return t == gguf.F32 || t == gguf.F16 || t == gguf.Q8_0
}
