package quant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"llmscale/gguf"
)

// sample is 65,536 weights of magnitudes from 2^-22 to 2^2, by integer arithmetic so that other programs can make
// the same: x[i] = ((i*2654435761 mod 2^32) - 2^31) / 2^33 * 2^(i/32 mod 24 - 20).
func sample() []float32 {
	x := make([]float32, 1<<16)
	for i := range x {
		v := (float64(uint32(i)*2654435761) - 1<<31) / (1 << 33)
		x[i] = float32(math.Ldexp(v, i/32%24-20))
	}
	return x
}

// TestEncodeMatchesGGUFPy compares with the hashes of what gguf-py 0.19 makes of the same weights:
//
//	gguf.quants.quantize(x.reshape(-1, 256), gguf.GGMLQuantizationType.Q8_0).tobytes()
func TestEncodeMatchesGGUFPy(t *testing.T) {
	x := sample()
	for typ, want := range map[gguf.Type]string{
		gguf.F16:  "0819190e1d8b4aa7c3788bb14b5648d64a37e57c1ecb4624d5d8da61c7c206a3",
		gguf.BF16: "5802d24c5514da5650f51f7b788f70a2e7356d49149df0da40f5f48b0bf0e6ba",
		gguf.Q8_0: "f9c479c3a1d5403f46ea32673497b5c8155e04cfbbfc983582f5b5bfe5ce3909",
	} {
		size, err := typ.RowBytes(int64(len(x)))
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, size)
		if err := Encode(typ, dst, x); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(dst)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: SHA-256 %s, want %s", typ, got, want)
		}
	}
}

func encode(t *testing.T, typ gguf.Type, src ...float32) []byte {
	t.Helper()
	size, err := typ.RowBytes(int64(len(src)))
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, size)
	if err := Encode(typ, dst, src); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestEncodeF32(t *testing.T) {
	got := encode(t, gguf.F32, 1, -0.5, math.SmallestNonzeroFloat32)
	if want := "0000803f" + "000000bf" + "01000000"; hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
}

// TestEncodeF16 encodes every float16, the numbers halfway between two, and the neighbours of those as Float16 does.
func TestEncodeF16(t *testing.T) {
	var src []float32
	for h := range uint16(0x7bff) {
		low, high := float32(FromFloat16(h)), float32(FromFloat16(h+1))
		middle := (low + high) / 2
		for _, v := range []float32{low, middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, high)} {
			src = append(src, v, -v)
		}
	}
	src = append(src, 65504, 65519)
	got := encode(t, gguf.F16, src...)
	for i, v := range src {
		if h := binary.LittleEndian.Uint16(got[2*i:]); h != Float16(v) {
			t.Fatalf("%g became %#04x, want %#04x", v, h, Float16(v))
		}
	}
}

// TestBF16Ties rounds numbers halfway between two to the even one, by hand.
func TestBF16Ties(t *testing.T) {
	for bits, want := range map[uint32]uint16{
		0x3f808000: 0x3f80, 0x3f818000: 0x3f82, 0x3f808001: 0x3f81, 0xbf818000: 0xbf82, // around 1
		0x00000001: 0, 0x00008001: 1, 0x80008001: 0x8001, 0x3fffffff: 0x4000, // subnormal; a carry into the exponent
		0x7f7f7fff: 0x7f7f, // the largest that rounds to something finite
	} {
		if got := binary.LittleEndian.Uint16(encode(t, gguf.BF16, math.Float32frombits(bits))); got != want {
			t.Errorf("%#08x became %#04x, want %#04x", bits, got, want)
		}
	}
}

// TestQ8Blocks has blocks by hand: halves go away from zero, each block has its own scale, and what is too small
// for a scale is 0.
func TestQ8Blocks(t *testing.T) {
	src := make([]float32, 4*q8Block)
	copy(src, []float32{127, 0.5, -0.5, 1.5, -1.5, 2.5, -126.5, 0.49999997})
	copy(src[q8Block:], []float32{-254, 3, 1})
	copy(src[3*q8Block:], []float32{1e-44, -1e-44})
	got := encode(t, gguf.Q8_0, src...)
	blocks := [][]int8{{127, 1, -1, 2, -2, 3, -127, 0}, {-127, 2, 1}, {}, {}}
	for i, scale := range []uint16{0x3c00, 0x4000, 0, 0} {
		b := got[i*34:]
		if h := binary.LittleEndian.Uint16(b); h != scale {
			t.Errorf("block %d: scale %#04x, want %#04x", i, h, scale)
		}
		for k := range q8Block {
			want := int8(0)
			if k < len(blocks[i]) {
				want = blocks[i][k]
			}
			if q := int8(b[2+k]); q != want {
				t.Errorf("block %d, weight %d: %d, want %d", i, k, q, want)
			}
		}
	}
}

// TestEncodeRoundsToNearest holds each type against its own precision: no stored weight is further off than half
// of a step.
func TestEncodeRoundsToNearest(t *testing.T) {
	x := sample()
	f16, bf16, q8 := encode(t, gguf.F16, x...), encode(t, gguf.BF16, x...), encode(t, gguf.Q8_0, x...)
	for i, v := range x {
		want := float64(v)
		if got := FromFloat16(binary.LittleEndian.Uint16(f16[2*i:])); math.Abs(got-want) > math.Max(math.Abs(want)/2048, math.Ldexp(1, -25)) {
			t.Fatalf("f16: %g became %g", want, got)
		}
		if got := float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(bf16[2*i:])) << 16)); math.Abs(got-want) > math.Abs(want)/256 {
			t.Fatalf("bf16: %g became %g", want, got)
		}
		block := q8[i/q8Block*34:]
		scale := FromFloat16(binary.LittleEndian.Uint16(block))
		// Half a step, and what the scale's own rounding costs the largest weight.
		if got := scale * float64(int8(block[2+i%q8Block])); math.Abs(got-want) > scale/2+127*math.Max(scale/2048, math.Ldexp(1, -25)) {
			t.Fatalf("q8_0: %g became %g with scale %g", want, got, scale)
		}
	}
}

func TestEncodeRefusals(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0} {
		// A not-a-number of all ones would carry over into a finite bfloat16.
		values := []float32{nan, inf, -inf, math.Float32frombits(1<<32 - 1)}
		switch typ {
		case gguf.F16:
			values = append(values, 65520, -65520)
		case gguf.BF16:
			values = append(values, math.MaxFloat32)
		case gguf.Q8_0:
			values = append(values, 127*65520)
		}
		for _, bad := range values {
			src := make([]float32, 64)
			src[40] = bad
			size, _ := typ.RowBytes(64)
			err := Encode(typ, make([]byte, size), src)
			var ve *ValueError
			if !errors.As(err, &ve) || ve.Index != 40 || math.Float32bits(ve.Value) != math.Float32bits(bad) || ve.Type != typ {
				t.Errorf("%s: %g: %v", typ, bad, err)
			}
			if err != nil && !strings.Contains(err.Error(), "element 40") {
				t.Errorf("%s: %v does not say which weight", typ, err)
			}
		}
	}
	for name, c := range map[string]struct {
		typ  gguf.Type
		dst  int
		n    int
		part string
	}{
		"short":   {gguf.F32, 7, 2, "take 8 bytes, not 7"},
		"long":    {gguf.F16, 5, 2, "take 4 bytes, not 5"},
		"no rows": {gguf.Q8_0, 34, 31, "multiple of the 32"},
		"type":    {gguf.Q4_0, 18, 32, "cannot encode q4_0"},
		"unknown": {gguf.Type(77), 4, 1, "77"},
	} {
		if err := Encode(c.typ, make([]byte, c.dst), make([]float32, c.n)); err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	x := sample()
	for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0} {
		b.Run("type="+typ.String(), func(b *testing.B) {
			size, _ := typ.RowBytes(int64(len(x)))
			dst := make([]byte, size)
			b.SetBytes(4 * int64(len(x)))
			for b.Loop() {
				if err := Encode(typ, dst, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
