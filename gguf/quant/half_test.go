package quant

import (
	"math"
	"testing"
)

func wide(h uint16) float64 {
	sign, exp, frac := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

func TestFloat16(t *testing.T) {
	for h := range 1 << 16 { // every half comes back as itself
		if h>>10&31 == 31 {
			continue
		}
		if got := Float16(float32(wide(uint16(h)))); got != uint16(h) {
			t.Fatalf("%#04x became %#04x", h, got)
		}
	}
	for f, want := range map[float32]uint16{
		65520: 0x7c00, 65519: 0x7bff, 1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, 1e-8: 0, -1e-8: 0x8000,
		float32(math.Ldexp(1, -25)): 0, float32(math.Ldexp(1.5, -25)): 1, float32(math.Inf(-1)): 0xfc00,
	} {
		if got := Float16(f); got != want {
			t.Errorf("%g became %#04x, want %#04x", f, got, want)
		}
	}
}
