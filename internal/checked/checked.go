// Package checked calculates with sizes that may be too large for an int64.
package checked

import "math/bits"

// Mul multiplies two numbers that are not negative; false on overflow of an int64.
func Mul(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi != 0 || lo > 1<<63-1 {
		return 0, false
	}
	return int64(lo), true
}

// AlignUp rounds n, which is not negative, up to a multiple of align, a power of two; false on overflow of an int64.
func AlignUp(n, align int64) (int64, bool) {
	up := uint64(n) + uint64(align) - 1
	if up > 1<<63-1 {
		return 0, false
	}
	return int64(up) &^ (align - 1), true
}
