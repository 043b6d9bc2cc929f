package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Arguments of ls_fma.
const (
	FMAOne    float32 = 1
	FMAStep   float32 = 1.0 / (1 << 12)
	FMAFactor float32 = -0.71548027
)

// FMATolerance bounds the relative difference of a contracting chain of ls_fma from
// its fixed point c/(1-m): the last step's rounding, and what is left of those
// before, each at most half a unit in the last place over 1-|m|.
const FMATolerance = 4e-7

// MaxFMAIterations keeps the counting chains, which start at up to FMACounters steps,
// below 2^24 steps and so exact.
const MaxFMAIterations = 1<<24/FMAUnroll - 1

// fmaSettled is the number of steps after which a contracting chain has forgotten
// where it began, to below FMATolerance.
const fmaSettled = 64

// CheckFMA says what is wrong with the result of ls_fma: out[FMAChains*thread+chain].
func CheckFMA(out []float32, iterations int) error {
	if iterations*FMAUnroll < fmaSettled || iterations > MaxFMAIterations {
		return fmt.Errorf("kernels: ls_fma cannot be checked after %d iterations: from %d to %d can", iterations, fmaSettled/FMAUnroll, MaxFMAIterations)
	}
	for i, v := range out {
		if chain := i % FMAChains; chain < FMACounters {
			if count := float32(iterations*FMAUnroll+chain) * FMAStep; v != count {
				return fmt.Errorf("kernels: ls_fma: thread %d, chain %d counted to %v, not %v", i/FMAChains, i%FMAChains, v, count)
			}
			continue
		}
		c := float64(float32(0.3) + Pattern(uint32(i), 1)*0x1p-13)
		want := c / (1 - float64(FMAFactor))
		if !(math.Abs(float64(v)-want) <= FMATolerance*want) {
			return fmt.Errorf("kernels: ls_fma: thread %d, chain %d is %v, not %v", i/FMAChains, i%FMAChains, v, want)
		}
	}
	return nil
}

// MMA is the operands of ls_mma_f16 for one block: for each warp a 16x16 matrix A,
// and for each of its tiles two 16x8 matrices B and C. Entries are multiples of
// 2^-10 below 1/2, so that every product is a multiple of 2^-20 and sums of them
// below 16 are exact in f32 in any order: the tolerance is zero.
type MMA struct {
	a [][16][16]float32
	b [][16][8]float32
	c [][16][8]float32
}

// MaxMMAIterations keeps the sums below 16: A*B stays below 4, and each iteration
// adds at most 2^-11.
const MaxMMAIterations = 1 << 14

const mmaWarps = ComputeThreads / 32

// NewMMA draws operands.
func NewMMA(seed uint64) *MMA {
	r := rand.New(rand.NewPCG(seed, 3))
	entry := func() float32 { return float32(r.IntN(1023)-511) / 1024 }
	m := &MMA{a: make([][16][16]float32, mmaWarps), b: make([][16][8]float32, mmaWarps*MMATiles), c: make([][16][8]float32, mmaWarps*MMATiles)}
	for w := range m.a {
		for i := range 16 {
			for k := range 16 {
				m.a[w][i][k] = entry()
			}
		}
	}
	for t := range m.b {
		for j := range 8 {
			for k := range 16 {
				m.b[t][k][j] = entry()
				m.c[t][k][j] = -m.b[t][k][j]
			}
			m.c[t][r.IntN(16)][j] += 1.0 / 1024
		}
	}
	return m
}

// Fragments are the matrices as the instruction takes them: word for word the 32
// lanes beside each other. In the terms of the PTX manual for m16n8k16, group is
// lane/4 and place lane%4; a word holds two neighbouring halves, the lower first.
func (m *MMA) Fragments() (a, b, c []uint32) {
	pair := func(low, high float32) uint32 {
		return uint32(toHalf(low)) | uint32(toHalf(high))<<16
	}
	for _, matrix := range m.a {
		for word := range 4 {
			for lane := range 32 {
				row, k := lane/4+word%2*8, lane%4*2+word/2*8
				a = append(a, pair(matrix[row][k], matrix[row][k+1]))
			}
		}
	}
	columns := func(matrices [][16][8]float32) (out []uint32) {
		for _, matrix := range matrices {
			for word := range 2 {
				for lane := range 32 {
					k := lane%4*2 + word*8
					out = append(out, pair(matrix[k][lane/4], matrix[k+1][lane/4]))
				}
			}
		}
		return out
	}
	return a, columns(m.b), columns(m.c)
}

// Check says what is wrong with the result of ls_mma_f16: for each block what the
// kernel's comment lays out.
func (m *MMA) Check(out []float32, iterations int) error {
	if iterations < 1 || iterations > MaxMMAIterations {
		return fmt.Errorf("kernels: ls_mma_f16 cannot be checked after %d iterations: from 1 to %d can", iterations, MaxMMAIterations)
	}
	perBlock := len(m.b) * 128
	want := make([]float32, perBlock)
	for t := range m.b {
		for word := range 4 {
			for lane := range 32 {
				row, column := lane/4+word/2*8, lane%4*2+word%2
				var sum float64
				for k := range 16 {
					sum += float64(m.a[t/MMATiles][row][k]) * float64(m.b[t][k][column]+m.c[t][k][column])
				}
				want[t*128+word*32+lane] = float32(sum * float64(iterations))
			}
		}
	}
	for i, v := range out {
		if v != want[i%perBlock] {
			return fmt.Errorf("kernels: ls_mma_f16: block %d, warp %d, tile %d: %v, not %v",
				i/perBlock, i%perBlock/128/MMATiles, i/128%MMATiles, v, want[i%perBlock])
		}
	}
	return nil
}

// toHalf is exact for the multiples of 2^-10 below 1 that it is given.
func toHalf(f float32) uint16 {
	if f == 0 {
		return 0
	}
	var sign uint16
	if f < 0 {
		sign, f = 0x8000, -f
	}
	fraction, exponent := math.Frexp(float64(f))
	return sign | uint16(exponent+14)<<10 | uint16(fraction*2048)&0x3ff
}
