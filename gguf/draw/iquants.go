package draw

import "slices"

// Types with a code book look groups of codes up in a table (grid) of ggml. What its entries amount to is measured
// here rather than computed from the table: the root of the mean square of the weights at a scale of 1, with all
// entries and signs as likely. TestDequantizeDrawn in package native measured it by ggml's own decoders from 4 Mi
// weights (sampling error 0.1 %), and holds the weights to what these constants promise.
const (
	gridIQ2XXS = 23.12
	gridIQ2XS  = 24.22
	gridIQ2S   = 24.42
	gridIQ3XXS = 30.84
	gridIQ3S   = 7.594
	gridIQ1    = 0.7812 // of iq1_s and iq1_m; the shift of 1/8 up or down that goes with each group is part of it
	valuesIQ4  = 67.44  // of iq4_nl and iq4_xs
)

// Some small scales are s + 1/2 or 2s + 1 of their bits s. The upper bits of s are set here too.
var (
	subHalves = rms(12.5, 13.5, 14.5, 15.5)
	subOdd4   = rms(25, 27, 29, 31)
	subOdd3   = rms(9, 11, 13, 15) // of three bits, 4 to 7
)

// repeat is n times the same fields.
func repeat(n int, parts ...[]field) []field { return slices.Repeat(join(parts...), n) }

// nibbles is n bytes of two scales of four bits each.
func nibbles(n int) []field { return partly(n, 0x33, 0xcc) }

var (
	// iq2_xxs: d, then for every 32 weights 4 grid indices of 8 bits, 4 times 7 signs, a scale of 4 bits.
	iq2XXS = design{256, join(signed(), repeat(8, random(7), partly(1, 0x3f, 0xc0))), gridIQ2XXS * subHalves / 4}

	// iq2_xs: d, grid indices of 9 bits with 7 signs, scales of 4 bits.
	iq2XS = design{256, join(signed(), random(64), nibbles(8)), gridIQ2XS * subHalves / 4}

	// iq2_s: d, low bits of the grid indices, signs, high bits, scales of 4 bits.
	iq2S = design{256, join(signed(), random(32), random(32), random(8), nibbles(8)), gridIQ2S * subHalves / 4}

	// iq3_xxs: d, grid indices of 8 bits, then as iq2_xxs signs and a scale for every 32 weights.
	iq3XXS = design{256, join(signed(), random(64), repeat(8, random(3), partly(1, 0x3f, 0xc0))), gridIQ3XXS * subHalves / 2}

	// iq3_s: d, low bits of the grid indices, high bits, signs, scales of 4 bits.
	iq3S = design{256, join(signed(), random(64), random(8), random(32), nibbles(4)), gridIQ3S * subOdd4}

	// iq1_s: d, low bits of the grid indices; for every 32 weights high bits, a scale of 3 bits, the shift's sign.
	iq1S = design{256, join(signed(), random(32), repeat(8, random(1), partly(1, 0xbf, 0x40))), gridIQ1 * subOdd3}

	// iq1_m: low bits of the grid indices, high bits with the shifts' signs; then in each of four 16-bit words four
	// scales of 3 bits below four bits of d, whose lowest come first. newIQ1M fills d in.
	iq1M = design{256, join(random(32), random(16), repeat(4, partly(1, 0xdb, 0x24), partly(1, 0x06, 0x09))), gridIQ1 * subOdd3}

	// iq4_nl: d, codes of 4 bits that stand for values which are not evenly spaced.
	iq4NL = design{32, join(signed(), random(16)), valuesIQ4}

	// iq4_xs: the same values; scales have 6 bits, with 32 taken off: d, upper two bits, lower four, codes.
	// The values are so large that scales of 12 to 15 would leave float16 too few digits for d; these are 4 to 7.
	iq4XS = design{256, join(signed(), partly(2, 0, 0xaa), partly(4, 0x33, 0x44), random(128)), valuesIQ4 * rms(4, 5, 6, 7)}
)

// newIQ1M is the maker of iq1_m, whose scale is no two bytes of their own.
func newIQ1M(mean, std float64) (maker, error) {
	h, err := scaleBits(mean, std/iq1M.std, std)
	if err != nil {
		return nil, err
	}
	keep, set := expand(iq1M.fields)
	for i := range 4 {
		set[49+2*i] |= byte(h>>(4*i)) << 4
	}
	keep[55] |= 0x80 // the scale's sign
	return newBlocks(iq1M.weights, keep, set), nil
}
