// SPDX-License-Identifier: MIT

package draw

import "math"

// Super-blocks of 256 weights hold a small whole-number scale for every 16 or 32 of them. Those scales are drawn
// from 12 to 15: the lowest two bits are random and the two above are one, whatever the width of the scale.
const (
	subMean   = (12 + 13 + 14 + 15) / 4.0
	subSquare = (12*12 + 13*13 + 14*14 + 15*15) / 4.0 // mean of the square
)

// Types with minima have weight = d*scale*code - dmin*minimum. With dmin = d*codeMean and minima drawn like
// scales, but independently of them, the mean is 0: a group's own mean moves around it, as in a real model.
func withMinima(n float64) float64 {
	c := codeMean(n)
	return math.Sqrt(subSquare*codeVar(n) + 2*c*c*(subSquare-subMean*subMean))
}

// subSigned is signedStd for types without minima.
func subSigned(n float64) float64 { return math.Sqrt(subSquare) * signedStd(n) }

// scales6 are 8 scales and 8 minima of 6 bits in 12 bytes: a whole one each in the lower bits of the first 8 bytes,
// the lower four bits of two in each of the others, their upper two bits, 0 here, on top of the first ones.
func scales6() []field { return join(partly(8, 0x03, 0x0c), partly(4, 0x33, 0xcc)) }

var (
	// q4_K: weight = d*scale*code - dmin*minimum.
	q4K = design{256, join(scaled(1), scaled(codeMean(16)), scales6(), random(128)), withMinima(16)}

	// q6_K: low four bits, high two bits, scales of 8 bits with a sign; weight = d*scale*(code-32).
	q6K = design{256, join(random(128), random(64), partly(16, 0x03, 0x0c), signed()), subSigned(64)}
)
