package hf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// chunkWeights is how many weights are read, converted and written at a time: 1 MiB of f32.
const chunkWeights = 256 << 10

// elementBytes are the types that weights may have, with the bytes of one.
var elementBytes = map[string]int64{"F32": 4, "F16": 2, "BF16": 2, "F64": 8}

// fromHalf widens a float16. Shifted into place, exponent and fraction are those of a float32 that is 2^112 times too
// small; the product is exact, for subnormal numbers too.
func fromHalf(h uint16) float32 {
	v := math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112
	bits := math.Float32bits(v) | uint32(h&0x8000)<<16
	if h&0x7c00 == 0x7c00 { // infinite or not a number
		bits |= 0xff << 23
	}
	return math.Float32frombits(bits)
}

// widen converts elements of a source type to float32, rounding F64 to the nearest. What is beyond float32 becomes
// infinite, which the encoder refuses.
func widen(dst []float32, src []byte, dtype string) {
	le := binary.LittleEndian
	switch dtype {
	case "F32":
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case "F16":
		for i := range dst {
			dst[i] = fromHalf(le.Uint16(src[2*i:]))
		}
	case "BF16":
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
	case "F64":
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	default:
		panic("hf: no weights in " + dtype) // refused by the planner
	}
}

// decoder reads a tensor's elements front to back.
type decoder struct {
	s    *source
	r    io.Reader
	left int64 // elements
	buf  []byte
}

func newDecoder(s *source) (*decoder, error) {
	r, err := s.data()
	if err != nil {
		return nil, err
	}
	return &decoder{s: s, r: r, left: s.size / elementBytes[s.dtype]}, nil
}

// read fills dst.
func (d *decoder) read(dst []float32) error {
	n := len(dst) * int(elementBytes[d.s.dtype])
	if cap(d.buf) < n {
		d.buf = make([]byte, n)
	}
	if _, err := io.ReadFull(d.r, d.buf[:n]); err != nil {
		return fmt.Errorf("hf: %s: tensor %q: %w", d.s.file, cut(d.s.name), err)
	}
	d.left -= int64(len(dst))
	widen(dst, d.buf[:n], d.s.dtype)
	return nil
}
