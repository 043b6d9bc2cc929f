package draw

import (
	"encoding/binary"
	"fmt"
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
	lane    = levels - 1
	perWord = 4 // weights drawn from one random word, 16 bits apart
)

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

// encodedLevels returns the levels of a mean and a standard deviation as t stores them, one after another.
func encodedLevels(t gguf.Type, mean, std float64) ([]byte, error) {
	var level [levels]float32
	for k, q := range quantiles() {
		level[k] = float32(mean + float64(std*q))
	}
	size, err := t.RowBytes(levels)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if quant.Encode(t, b, level[:]) != nil {
		return nil, fmt.Errorf("the type cannot hold the weights of %g to %g that mean and standard deviation ask for", level[0], level[lane])
	}
	return b, nil
}

// float32s makes f32 from the bits of the levels.
type float32s [levels]uint32

func newFloat32(mean, std float64) (maker, error) {
	b, err := encodedLevels(gguf.F32, mean, std)
	if err != nil {
		return nil, err
	}
	m := new(float32s)
	for k := range m {
		m[k] = binary.LittleEndian.Uint32(b[4*k:])
	}
	return m, nil
}

func (m *float32s) fill(dst []byte, key uint64, first int64) {
	le := binary.LittleEndian
	w := uint64(first / perWord)
	for ; len(dst) >= 16; dst = dst[16:] {
		z := word(key, w)
		w++
		b := dst[:16]
		le.PutUint64(b, uint64(m[z&lane])|uint64(m[z>>16&lane])<<32)
		le.PutUint64(b[8:], uint64(m[z>>32&lane])|uint64(m[z>>48&lane])<<32)
	}
	z := word(key, w)
	for ; len(dst) > 0; dst = dst[4:] {
		le.PutUint32(dst, m[z&lane])
		z >>= 16
	}
}

// float16s makes f16 and bf16 from the bits of the levels.
type float16s [levels]uint16

func newFloat16(mean, std float64) (maker, error)  { return newHalves(gguf.F16, mean, std) }
func newBFloat16(mean, std float64) (maker, error) { return newHalves(gguf.BF16, mean, std) }

func newHalves(t gguf.Type, mean, std float64) (maker, error) {
	b, err := encodedLevels(t, mean, std)
	if err != nil {
		return nil, err
	}
	m := new(float16s)
	for k := range m {
		m[k] = binary.LittleEndian.Uint16(b[2*k:])
	}
	return m, nil
}

func (m *float16s) fill(dst []byte, key uint64, first int64) {
	le := binary.LittleEndian
	c := key + uint64(first/perWord)*golden // word's counter; kept here it saves a sixth of the time
	for ; len(dst) >= 8; dst = dst[8:] {
		c += golden
		z := mix(c)
		le.PutUint64(dst, uint64(m[z&lane])|uint64(m[z>>16&lane])<<16|uint64(m[z>>32&lane])<<32|uint64(m[z>>48&lane])<<48)
	}
	z := mix(c + golden)
	for ; len(dst) > 0; dst = dst[2:] {
		le.PutUint16(dst, m[z&lane])
		z >>= 16
	}
}

// q8s makes blocks of 32 weights as q8_0: a float16 scale, then an int8 each. All blocks have the scale of the
// outermost level, so that a weight is one look-up here too. A quantiser's own scale, that of the block's largest
// weight, would halve the rounding error and took three times as long to compute.
type q8s struct {
	scale uint16        // float16
	code  [levels]uint8 // int8 multiples of scale
}

func newQ8(mean, std float64) (maker, error) {
	q := quantiles()
	m := new(q8s)
	var err error
	if m.scale, err = scaleBits(mean, std*q[levels-1]/127, std); err != nil || std == 0 {
		return m, err
	}
	for k := range levels {
		// Division by the rounded scale may exceed 127 by a little.
		v := float64(std * q[k])
		m.code[k] = uint8(int8(min(127, max(-127, math.RoundToEven(v/quant.FromFloat16(m.scale))))))
	}
	return m, nil
}

// scaleBits returns a block's scale as float16, and an error unless it comes out as asked to within 3 %.
func scaleBits(mean, scale, std float64) (uint16, error) {
	if mean != 0 {
		return 0, errMean(mean)
	}
	h := quant.Float16(float32(scale))
	if h&0x7c00 == 0x7c00 || math.Abs(quant.FromFloat16(h)-scale) > 0.03*math.Abs(scale) {
		return 0, fmt.Errorf("a standard deviation of %g needs block scales of %.3g, which a float16 cannot hold to 3 %%", std, scale)
	}
	return h, nil
}

func errMean(mean float64) error {
	return fmt.Errorf("a mean of %g: quantised weights are drawn with a mean of 0", mean)
}

func (m *q8s) fill(dst []byte, key uint64, first int64) {
	const block = 32
	w := uint64(first / perWord)
	for ; len(dst) >= 2+block; dst = dst[2+block:] {
		b := (*[2 + block]byte)(dst)
		binary.LittleEndian.PutUint16(b[:2], m.scale)
		for i := 2; i < 2+block; i += perWord {
			z := word(key, w)
			w++
			binary.LittleEndian.PutUint32(b[i:i+4], uint32(m.code[z&lane])|uint32(m.code[z>>16&lane])<<8|
				uint32(m.code[z>>32&lane])<<16|uint32(m.code[z>>48&lane])<<24)
		}
	}
}

// given is a tensor that is not random: f32 weights in the file's order.
type given []float32

func (g given) fill(dst []byte, _ uint64, first int64) {
	for i := range len(dst) / 4 {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(g[int(first)+i]))
	}
}
