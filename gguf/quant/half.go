// Package quant encodes weights into the storage types of GGUF files.
package quant

import "math"

// Float16 rounds to IEEE half precision, ties to even.
func Float16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	exp := int(b>>23&0xff) - 127
	frac := b & 0x7fffff
	switch {
	case exp == 128: // infinity or not a number
		if frac != 0 {
			return sign | 0x7e00
		}
		return sign | 0x7c00
	case exp > 15:
		return sign | 0x7c00
	case exp < -25:
		return sign
	}
	shift := uint(13)
	if exp < -14 { // subnormal: the leading 1 becomes part of the fraction
		frac |= 0x800000
		shift += uint(-14 - exp)
		exp = -15
	}
	h := uint32(exp+15)<<10 + frac>>shift
	rest, halfway := frac&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > halfway || rest == halfway && h&1 == 1 {
		h++ // may carry into the exponent, which is right
	}
	return sign | uint16(h)
}

// FromFloat16 widens a finite half.
func FromFloat16(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	if exp > 0 {
		frac, exp = frac+1024, exp-1
	}
	v := math.Ldexp(frac, exp-24)
	if h>>15 == 1 {
		return -v
	}
	return v
}
