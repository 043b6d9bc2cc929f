package draw

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Types of which not every byte is valid, or not every scale: their blocks are mended after random bits were laid
// down.

// ternary2 is tq2_0: 2-bit codes 0 to 2 for the weights -d, 0 and d, then d. A code is the sum of two random bits,
// so half of the weights are 0.
var ternary2 = design{256, join(random(64), scaled(1)), math.Sqrt(1 / 2.)}

func newTernary2(mean, std float64) (maker, error) {
	b, err := ternary2.blocks(mean, std)
	if err != nil {
		return nil, err
	}
	b.mend = func(block []byte) {
		const low = 0x5555555555555555
		for q := block[:64]; len(q) > 0; q = q[8:] {
			z := binary.LittleEndian.Uint64(q)
			binary.LittleEndian.PutUint64(q, z&low+z>>1&low) // a sum of 2 at most carries into no other code
		}
	}
	return b, nil
}

// ternary1 is tq1_0: 48 bytes of five weights each, four bytes of four, then d. The codes 0 to 2 of -d, 0 and d are
// the digits, to base 3, of a number v; its byte is 256*v/243 rounded up. Of the 256 random bytes 243 stand for one
// v each, and the 13 left over for weights of 0, which keeps the mean there.
var ternary1 = design{256, join(random(48), random(4), scaled(1)), math.Sqrt(2 / 3. * 243 / 256)}

func newTernary1(mean, std float64) (maker, error) {
	b, err := ternary1.blocks(mean, std)
	if err != nil {
		return nil, err
	}
	var five, four [256]byte
	for r := range 256 {
		v, u := r, r/3 // u: the same in four digits
		if r >= 243 {
			v, u = 121, 40 // all digits are 1
		}
		five[r] = byte((256*v + 242) / 243)
		four[r] = byte((256*3*u + 242) / 243) // a fifth digit of 0 comes after the four
	}
	b.mend = func(block []byte) {
		for i, r := range block[:48] {
			block[i] = five[r]
		}
		for i, r := range block[48:52] {
			block[48+i] = four[r]
		}
	}
	return b, nil
}

// mxValues are the magnitudes of the E2M1 numbers of mxfp4 (OCP Microscaling Formats Specification 1.0, section
// 5.3.3): two bits of exponent with a bias of 1, one bit of mantissa, no infinities.
var mxValues = func() (v [8]float64) {
	for code := range v {
		e, m := code>>1, float64(code&1)
		if e == 0 {
			v[code] = m / 2
		} else {
			v[code] = math.Ldexp(1+m/2, e-1)
		}
	}
	return v
}()

// newMXFP4 is the maker of mxfp4: an E8M0 exponent (2 to the power of it less 127), then 32 signed E2M1 numbers.
// As scales are powers of two, each block has one of two that are neighbours, with the odds that give the variance.
func newMXFP4(mean, std float64) (maker, error) {
	const bias = 127
	if mean != 0 {
		return nil, errMean(mean)
	}
	scale := std / rms(mxValues[:]...)
	frac, exp := math.Frexp(scale)
	frac, exp = 2*frac, exp-1 // 1 to 2
	if std == 0 || exp+bias < 1 || exp+bias > 253 {
		return nil, fmt.Errorf("a standard deviation of %g: its block scales lie outside 2^-126 to 2^126", std)
	}
	// A share p of blocks with twice the scale makes 1 + 3p of the variance.
	limit := int(math.Round(256 * (frac*frac - 1) / 3))

	keep, set := expand(random(1 + 16))
	b := newBlocks(32, keep, set)
	b.mend = func(block []byte) {
		e := byte(exp + bias)
		if int(block[0]) < limit {
			e++
		}
		block[0] = e
	}
	return b, nil
}
