package draw

import "math"

// Super-blocks of 256 weights hold a small whole-number scale for every 16 or 32 of them. Those scales are drawn
// from 12 to 15: the lowest two bits are random and the two above are one, whatever the width of the scale.
var subScale = rms(12, 13, 14, 15)

const subScaleVar = (1.5*1.5 + 0.5*0.5) / 2

// rms is the root of the mean square.
func rms(x ...float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

// withMinima is the deviation of weight = d*scale*code - dmin*minimum with n codes, where dmin = d*codeMean(n) and
// minima are drawn like scales but independently of them: the mean is 0, and the mean of each group of weights that
// share a scale moves around it, as in a real model.
func withMinima(n float64) float64 {
	return math.Hypot(subScale*codeStd(n), codeMean(n)*math.Sqrt(2*subScaleVar))
}

// scales6 are 8 scales and 8 minima of 6 bits in 12 bytes: a whole one each in the lower bits of the first 8 bytes,
// the lower four bits of two in each of the others, whose upper two bits, 0 here, are on top of the first 8.
func scales6() []field { return join(partly(8, 0x03, 0x0c), partly(4, 0x33, 0xcc)) }

var (
	// q2_K: scale and minimum in the two halves of a byte for every 16 weights, codes of 2 bits, d, dmin.
	q2K = design{256, join(partly(16, 0x33, 0xcc), random(64), scaled(1), scaled(codeMean(4))), withMinima(4)}

	// q3_K: high bits, low two bits, scales of 6 bits with 32 taken off (the low four of two in a byte, then the
	// upper two of four), d; weight = d*scale*(code-4).
	q3K = design{256, join(random(32), random(64), partly(8, 0x33, 0xcc), partly(4, 0, 0xaa), signed()), subScale * signedStd(8)}

	// q4_K and q5_K: d, dmin, scales and minima, for q5_K the high bits, codes of 4 bits.
	q4K = design{256, join(scaled(1), scaled(codeMean(16)), scales6(), random(128)), withMinima(16)}
	q5K = design{256, join(scaled(1), scaled(codeMean(32)), scales6(), random(32), random(128)), withMinima(32)}

	// q6_K: low four bits, high two bits, scales of 8 bits with a sign, d; weight = d*scale*(code-32).
	q6K = design{256, join(random(128), random(64), partly(16, 0x03, 0x0c), signed()), subScale * signedStd(64)}
)
