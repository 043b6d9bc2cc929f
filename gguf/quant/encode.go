package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"llmscale/gguf"
)

// q8Block is the number of weights that share a scale in q8_0.
const q8Block = 32

// ValueError says which weight a storage type cannot hold.
type ValueError struct {
	Index int       // in the slice given to Encode
	Value float32   // may be infinite or not a number
	Type  gguf.Type // that was asked for
	Max   float64   // the largest magnitude that would do
}

func (e *ValueError) Error() string {
	if v := float64(e.Value); math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprintf("element %d is %v; want finite weights", e.Index, e.Value)
	}
	return fmt.Sprintf("element %d is %g, too large for %s; want at most %g, or another type", e.Index, e.Value, e.Type, e.Max)
}

// Encode writes the weights of src into dst as a GGUF file holds them in type t: f32, f16 and bf16 rounded to the
// nearest with ties to even, q8_0 in blocks of 32 that fill the row. dst must have exactly t.RowBytes(len(src))
// bytes. A weight that is not finite, or would not be finite in t, gives a *ValueError; dst is then undefined.
func Encode(t gguf.Type, dst []byte, src []float32) error {
	size, err := t.RowBytes(int64(len(src)))
	if err != nil {
		return fmt.Errorf("quant: %w", err)
	}
	if size != int64(len(dst)) {
		return fmt.Errorf("quant: %d weights in %s take %d bytes, not %d", len(src), t, size, len(dst))
	}
	switch t {
	case gguf.F32:
		return encodeF32(dst, src)
	case gguf.F16:
		return encodeF16(dst, src)
	case gguf.BF16:
		return encodeBF16(dst, src)
	case gguf.Q8_0:
		return encodeQ8(dst, src)
	}
	return fmt.Errorf("quant: cannot encode %s; want f32, f16, bf16 or q8_0", t)
}

const (
	infinite = 0xff << 23   // bits of the exponent, all set in what is not finite
	noSign   = 1<<31 - 1    // all bits but the sign
	maxHalf  = 65504        // largest float16
	maxBF16  = 0x1.fep127   // largest bfloat16
	maxQ8    = 127 * 65504. // largest weight of which the scale is a float16
)

func encodeF32(dst []byte, src []float32) error {
	for i, v := range src {
		b := math.Float32bits(v)
		if b&infinite == infinite {
			return &ValueError{i, v, gguf.F32, math.MaxFloat32}
		}
		binary.LittleEndian.PutUint32(dst[4*i:], b)
	}
	return nil
}

func encodeF16(dst []byte, src []float32) error {
	for i, v := range src {
		// Float16 does it all; what becomes a normal number, nearly every weight, goes faster without its branches.
		b := math.Float32bits(v)
		magnitude := b & noSign
		var h uint16
		if magnitude >= 0x38800000 && magnitude < 0x477ff000 { // 2^-14 to halfway between 65504 and 65536
			h = uint16(b>>16&0x8000 | (magnitude-0x38000000+0xfff+magnitude>>13&1)>>13)
		} else if h = Float16(v); h&0x7c00 == 0x7c00 {
			return &ValueError{i, v, gguf.F16, maxHalf}
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
	return nil
}

func encodeBF16(dst []byte, src []float32) error {
	for i, v := range src {
		b := math.Float32bits(v)
		h := (b + 0x7fff + b>>16&1) >> 16
		// A carry out of a not-a-number could look finite, so the source is asked too.
		if b&infinite == infinite || h&0x7f80 == 0x7f80 {
			return &ValueError{i, v, gguf.BF16, maxBF16}
		}
		binary.LittleEndian.PutUint16(dst[2*i:], uint16(h))
	}
	return nil
}

// encodeQ8 rounds as quantize_row_q8_0_ref of ggml-quants.c does: the scale is the largest magnitude / 127, stored
// as a float16, but the weights are divided by the scale as it was before that rounding, by way of its reciprocal,
// and rounded with halves away from zero.
func encodeQ8(dst []byte, src []float32) error {
	for first := 0; first < len(src); first += q8Block {
		in := (*[q8Block]float32)(src[first:])
		out := (*[2 + q8Block]byte)(dst[first/q8Block*(2+q8Block):])
		largest := uint32(0) // magnitudes order like their bits
		for _, v := range in {
			largest = max(largest, math.Float32bits(v)&noSign)
		}
		scale := math.Float32frombits(largest) / 127
		half := Float16(scale)
		if half&0x7c00 == 0x7c00 { // which it is too where a weight is not finite
			for i, v := range in {
				if math.Float32bits(v)&noSign == largest {
					return &ValueError{first + i, v, gguf.Q8_0, maxQ8}
				}
			}
		}
		binary.LittleEndian.PutUint16(out[:], half)
		inverse := 1 / scale
		if math.IsInf(float64(inverse), 0) {
			inverse = 0 // the scale is 0, or so small that the float16 of it is
		}
		for i, v := range in {
			// In float64 the sum is exact, so that cutting it off rounds halves away from zero.
			x := float64(float32(v * inverse))
			out[2+i] = byte(int8(x + math.Copysign(0.5, x)))
		}
	}
	return nil
}
