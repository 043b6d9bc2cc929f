package checked

import (
	"math"
	"testing"
)

func TestMul(t *testing.T) {
	for _, c := range []struct {
		a, b, want int64
		ok         bool
	}{
		{0, math.MaxInt64, 0, true}, {6, 7, 42, true}, {1 << 31, 1 << 31, 1 << 62, true}, {math.MaxInt64, 1, math.MaxInt64, true},
		{1 << 32, 1 << 31, 0, false}, {math.MaxInt64, 2, 0, false}, {math.MaxInt64, math.MaxInt64, 0, false},
	} {
		if got, ok := Mul(c.a, c.b); got != c.want || ok != c.ok {
			t.Errorf("%d * %d: %d, %t", c.a, c.b, got, ok)
		}
	}
}

func TestAlignUp(t *testing.T) {
	for _, c := range []struct {
		n, align, want int64
		ok             bool
	}{
		{0, 32, 0, true}, {1, 32, 32, true}, {32, 32, 32, true}, {33, 32, 64, true}, {7, 1, 7, true},
		{math.MaxInt64 - 31, 32, math.MaxInt64 - 31, true}, {math.MaxInt64 - 30, 32, 0, false}, {math.MaxInt64, 2, 0, false},
	} {
		if got, ok := AlignUp(c.n, c.align); got != c.want || ok != c.ok {
			t.Errorf("%d up to a multiple of %d: %d, %t", c.n, c.align, got, ok)
		}
	}
}
