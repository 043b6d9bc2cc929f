package draw

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"llmscale/gguf"
)

// Decoders of some types, written from the layouts; native's tests decode all types with ggml itself.

func half(b []byte) float64 {
	h := binary.LittleEndian.Uint16(b)
	sign, exp, frac := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		return math.NaN()
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

func decodeF32(b []byte) []float64 {
	return []float64{float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))}
}

func decodeF16(b []byte) []float64 { return []float64{half(b)} }

func decodeBF16(b []byte) []float64 {
	return []float64{float64(math.Float32frombits(uint32(b[0])<<16 | uint32(b[1])<<24))}
}

func decodeQ8(b []byte) (y []float64) {
	for _, c := range b[2:] {
		y = append(y, half(b)*float64(int8(c)))
	}
	return y
}

func decodeQ4(b []byte) []float64 {
	y := make([]float64, 32)
	for i, c := range b[2:] {
		y[i], y[i+16] = half(b)*(float64(c&15)-8), half(b)*(float64(c>>4)-8)
	}
	return y
}

func decodeQ4K(b []byte) []float64 {
	y := make([]float64, 256)
	for j := range 8 {
		scale, minimum := b[4+j%4]&63, b[8+j%4]&63
		if j >= 4 {
			scale, minimum = b[8+j]&15|b[j]>>6<<4, b[8+j]>>4|b[4+j]>>6<<4
		}
		for i := range 32 {
			code := b[16+j/2*32+i] >> (j % 2 * 4) & 15
			y[32*j+i] = half(b)*float64(scale)*float64(code) - half(b[2:])*float64(minimum)
		}
	}
	return y
}

func decodeQ6K(b []byte) []float64 {
	y := make([]float64, 256)
	for i := range y {
		part, at := i/128, i%128 // 64 low bytes and 32 high ones for every 128 weights
		low := b[part*64+at%64] >> (at / 64 * 4) & 15
		high := b[128+part*32+at%32] >> (at / 32 * 2) & 3
		y[i] = half(b[208:]) * float64(int8(b[192+i/16])) * (float64(low|high<<4) - 32)
	}
	return y
}

func TestMoments(t *testing.T) {
	const n = 1 << 19
	for typ, decode := range map[gguf.Type]func([]byte) []float64{
		gguf.F32: decodeF32, gguf.F16: decodeF16, gguf.BF16: decodeBF16, gguf.Q8_0: decodeQ8,
		gguf.Q4_0: decodeQ4, gguf.Q4_K: decodeQ4K, gguf.Q6_K: decodeQ6K,
	} {
		info, _ := typ.Info()
		for _, std := range []float64{0.004, 0.02, 3} {
			for _, mean := range []float64{0, 1} {
				if mean != 0 && (info.BlockSize > 1 || std < 0.01) {
					continue // bf16 has no numbers between 0.996 and 1
				}
				t.Run(fmt.Sprint(typ, "/", mean, "/", std), func(t *testing.T) {
					buf := make([]byte, rowBytes(t, typ, n))
					newTestMaker(t, typ, mean, std).fill(buf, 7, 0)
					var x []float64
					for ; len(buf) > 0; buf = buf[info.BlockBytes:] {
						x = append(x, decode(buf[:info.BlockBytes])...)
					}
					gotMean, gotStd := moments(x)
					if len(x) != n || !(math.Abs(gotMean-mean) < 0.02*std) || !(math.Abs(gotStd/std-1) < 0.01) {
						t.Errorf("%d weights of mean %g and standard deviation %g", len(x), gotMean, gotStd)
					}
				})
			}
		}
	}
}

// scalesAt says where the float16 scales of a block are.
var scalesAt = map[gguf.Type][]int{
	gguf.Q4_0: {0}, gguf.Q4_1: {0, 2}, gguf.Q5_0: {0}, gguf.Q5_1: {0, 2}, gguf.Q8_0: {0},
	gguf.Q2_K: {80, 82}, gguf.Q3_K: {108}, gguf.Q4_K: {0, 2}, gguf.Q5_K: {0, 2}, gguf.Q6_K: {208},
	gguf.IQ2XXS: {0}, gguf.IQ2XS: {0}, gguf.IQ2S: {0}, gguf.IQ3XXS: {0}, gguf.IQ3S: {0}, gguf.IQ1S: {0},
	gguf.IQ4NL: {0}, gguf.IQ4XS: {0}, gguf.TQ1_0: {52}, gguf.TQ2_0: {64},
}

// scalesOf returns the scales of a block.
func scalesOf(t *testing.T, typ gguf.Type, b []byte) (all []float64) {
	switch typ {
	case gguf.IQ1M: // the topmost four bits of four 16-bit words
		h := uint16(0)
		for i := range 4 {
			h |= uint16(b[49+2*i]>>4) << (4 * i)
		}
		return []float64{half(binary.LittleEndian.AppendUint16(nil, h))}
	case gguf.MXFP4:
		return []float64{math.Ldexp(1, int(b[0])-127)}
	}
	for _, at := range scalesAt[typ] {
		all = append(all, half(b[at:]))
	}
	if all == nil {
		t.Fatalf("%s: nobody said where its scales are", typ)
	}
	return all
}

func TestScales(t *testing.T) {
	for _, info := range drawable() {
		if info.BlockSize == 1 {
			continue
		}
		buf := fillAll(t, info.Type, 0.02, 8*grain)
		distinct := map[float64]bool{}
		for i := int64(0); i < int64(len(buf)); i += info.BlockBytes {
			for _, d := range scalesOf(t, info.Type, buf[i:i+info.BlockBytes]) {
				// A scale times the largest code is some standard deviations.
				if !(math.Abs(d) > 1e-5 && math.Abs(d) < 0.1) {
					t.Fatalf("%s: a scale of block %d is %g", info.Name, i/info.BlockBytes, d)
				}
				distinct[d] = true
			}
		}
		// One scale, or one with both signs, or a scale and a minimum, or two neighbouring powers of two.
		if len(distinct) > 2 {
			t.Errorf("%s: %d different scales", info.Name, len(distinct))
		}
	}
}

// TestMXFP4Exponents has standard deviations of which all blocks, or a third of them, have the smaller scale.
func TestMXFP4Exponents(t *testing.T) {
	root := math.Sqrt((0 + 0.25 + 1 + 2.25 + 4 + 9 + 16 + 36) / 8) // of a block at scale 1
	for _, c := range []struct{ scale, smaller float64 }{{1, 1}, {math.Sqrt(3), 1 / 3.}, {0.25, 1}} {
		buf := fillAll(t, gguf.MXFP4, c.scale*root, 64*grain)
		want := byte(127 + math.Floor(math.Log2(c.scale)))
		smaller := 0
		for i := 0; i < len(buf); i += 17 {
			switch buf[i] {
			case want:
				smaller++
			case want + 1:
			default:
				t.Fatalf("scale %g: block %d has the exponent %d", c.scale, i/17, buf[i])
			}
		}
		if share := float64(smaller) / float64(len(buf)/17); math.Abs(share-c.smaller) > 0.03 {
			t.Errorf("scale %g: %.3f of the blocks have the smaller exponent, want %.3f", c.scale, share, c.smaller)
		}
	}
}

// TestTernaryCodes has bytes that a packer can make: codes 0 to 2, and 256*v/243 rounded up of numbers v that have
// five digits to base 3, or four and a zero.
func TestTernaryCodes(t *testing.T) {
	five, four := map[byte]bool{}, map[byte]bool{}
	for v := range 243 {
		b := byte(math.Ceil(256 * float64(v) / 243))
		five[b] = true
		if v%3 == 0 {
			four[b] = true
		}
	}
	seen := map[byte]bool{}
	for buf := fillAll(t, gguf.TQ1_0, 1, 64*grain); len(buf) > 0; buf = buf[54:] {
		for i, b := range buf[:52] {
			if i < 48 && !five[b] || i >= 48 && !four[b] {
				t.Fatalf("tq1_0: byte %d of a block is %d", i, b)
			}
			seen[b] = true
		}
	}
	if len(seen) != 243 {
		t.Errorf("tq1_0: %d different bytes, want 243", len(seen))
	}
	var codes [4]float64
	for buf := fillAll(t, gguf.TQ2_0, 1, 64*grain); len(buf) > 0; buf = buf[66:] {
		for _, b := range buf[:64] {
			for shift := range 4 {
				codes[b>>(2*shift)&3]++
			}
		}
	}
	n := float64(64 * grain)
	if codes[3] != 0 || math.Abs(codes[0]/n-0.25) > 0.01 || math.Abs(codes[2]/n-0.25) > 0.01 {
		t.Errorf("tq2_0: codes 0 to 3 are there %v times", codes)
	}
}
