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
	gguf.Q8_0: {0}, gguf.Q4_0: {0}, gguf.Q4_K: {0, 2}, gguf.Q6_K: {208},
}

func TestScalesFinite(t *testing.T) {
	for _, info := range drawable() {
		at, ok := scalesAt[info.Type]
		if info.BlockSize == 1 {
			continue
		}
		if !ok {
			t.Errorf("%s: nobody said where its scales are", info.Name)
		}
		buf := fillAll(t, info.Type, 0.02, 8*grain)
		for i := int64(0); i < int64(len(buf)); i += info.BlockBytes {
			for _, a := range at {
				d := half(buf[i+int64(a):])
				// A scale times the largest code is some standard deviations.
				if !(math.Abs(d) > 1e-6 && math.Abs(d) < 0.1) {
					t.Fatalf("%s: the scale of block %d is %g", info.Name, i/info.BlockBytes, d)
				}
			}
		}
	}
}
