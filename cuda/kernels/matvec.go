package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

// Types of weights that there is a matrix-vector kernel for, named as ggml's.
const (
	F16  = "f16"
	Q8_0 = "q8_0"
	Q4_0 = "q4_0"
)

// Tolerance bounds the difference between a kernel's product and MatVec, relative to
// the largest entry of the product. Both see the same weights and the same x, and
// integer sums are exact, so what is left is the rounding of f32 sums: for 14336
// columns of random values about 1e-6, of which this is ten times.
const Tolerance = 1e-5

// ColumnMultiple is what the number of columns must be a multiple of: rows then
// start on 16 bytes, which the wide copies need.
const ColumnMultiple = 256

// CheckShape says what a matrix-vector kernel cannot do with a shape.
func CheckShape(rows, columns int) error {
	if rows < 1 || columns < ColumnMultiple || columns%ColumnMultiple != 0 {
		return fmt.Errorf("kernels: a product of %d x %d: rows must be positive and columns a multiple of %d", rows, columns, ColumnMultiple)
	}
	return nil
}

// WeightBytes is the size of rows x columns weights.
func WeightBytes(typ string, rows, columns int) int64 {
	bytes := map[string]int64{F16: 64, Q8_0: 34, Q4_0: 18}[typ] // of 32 weights
	return int64(rows) * int64(columns) / 32 * bytes
}

// RandomWeights draws a matrix in ggml's layout of typ: halves between 1/32 and 1 in
// magnitude, or blocks with such small scales and any quants.
func RandomWeights(typ string, rows, columns int, seed uint64) []byte {
	r := rand.NewPCG(seed, 1)
	data := make([]byte, (WeightBytes(typ, rows, columns)+7)/8*8)
	for i := 0; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], r.Uint64())
	}
	data = data[:WeightBytes(typ, rows, columns)]
	step, exponent := 2, uint16(10) // of each half
	switch typ {
	case Q8_0:
		step, exponent = 34, 4
	case Q4_0:
		step, exponent = 18, 8
	}
	for i := 0; i < len(data); i += step {
		bits := binary.LittleEndian.Uint16(data[i:])
		half := bits&0x83ff | (exponent+bits>>10&3)<<10
		if typ != F16 {
			half &= 0x7fff
		}
		binary.LittleEndian.PutUint16(data[i:], half)
	}
	return data
}

// RandomVector draws n entries from a normal distribution.
func RandomVector(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// block is 32 entries of x in 8 bits, as q8_0 and q4_0 are multiplied by.
type block struct {
	scale  float32
	quants [32]int8
}

func quantize(x []float32) []block {
	blocks := make([]block, len(x)/32)
	for b := range blocks {
		var largest float64
		for _, v := range x[b*32 : b*32+32] {
			largest = max(largest, math.Abs(float64(v)))
		}
		if largest == 0 {
			continue
		}
		blocks[b].scale = float32(largest / 127)
		for i, v := range x[b*32 : b*32+32] {
			blocks[b].quants[i] = int8(math.RoundToEven(float64(v) / (largest / 127)))
		}
	}
	return blocks
}

// LayOut is x in the order in which a kernel's lanes read it. For f16: each lane
// multiplies 8 neighbours, whose first four stand together for all lanes, then the
// other four. For the quantised types: tiles of 32 pairs of blocks, in each the
// words of a lane's pair 32 words apart; the last tile is filled up with zeros.
func LayOut(typ string, x []float32) []byte {
	if typ == F16 {
		out := make([]byte, 4*len(x))
		for i, v := range x {
			lane, entry := i%256/8, i%8
			at := i/256*256 + entry/4*128 + lane*4 + entry%4
			binary.LittleEndian.PutUint32(out[4*at:], math.Float32bits(v))
		}
		return out
	}
	blocks := quantize(x)
	tiles := (len(blocks)/2 + 31) / 32
	out := make([]byte, 4*tiles*32*xWords)
	for b, block := range blocks {
		pair, second := b/2, b%2
		put := func(word int, v uint32) {
			binary.LittleEndian.PutUint32(out[4*(pair/32*32*xWords+word*32+pair%32):], v)
		}
		var sum int32
		for k := range 8 {
			var word uint32
			for i := range 4 {
				q := block.quants[4*k+i]
				sum += int32(q)
				word |= uint32(uint8(q)) << (8 * i)
			}
			put(second*(xSecond-xFirst)+xFirst+k, word)
		}
		put(xScales+second, math.Float32bits(block.scale))
		put(xSums+second, uint32(sum))
	}
	return out
}

// MatVec is the reference: the product in float64 with what the kernel is given, so
// for q8_0 and q4_0 with x in 8 bits.
func MatVec(typ string, weights []byte, x []float32, rows, columns int) []float64 {
	y := make([]float64, rows)
	blocks := quantize(x)
	rowBytes := int(WeightBytes(typ, 1, columns))
	half := halves()
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for row := w; row < rows; row += workers {
				line := weights[row*rowBytes : (row+1)*rowBytes]
				switch typ {
				case F16:
					y[row] = dotF16(half, line, x)
				case Q8_0:
					y[row] = dotQ8(half, line, blocks)
				case Q4_0:
					y[row] = dotQ4(half, line, blocks)
				}
			}
		})
	}
	wg.Wait()
	return y
}

// halves is the value of each float16.
var halves = sync.OnceValue(func() *[1 << 16]float64 {
	var table [1 << 16]float64
	for i := range table {
		exponent, mantissa := i>>10&31, float64(i&0x3ff)
		switch {
		case exponent == 31:
			table[i] = math.NaN() // no weight is infinite
		case exponent == 0:
			table[i] = math.Ldexp(mantissa, -24)
		default:
			table[i] = math.Ldexp(mantissa+1024, exponent-25)
		}
		if i&0x8000 != 0 {
			table[i] = -table[i]
		}
	}
	return &table
})

func dotF16(half *[1 << 16]float64, line []byte, x []float32) (sum float64) {
	for i, v := range x {
		sum += half[binary.LittleEndian.Uint16(line[2*i:])] * float64(v)
	}
	return sum
}

func dotQ8(half *[1 << 16]float64, line []byte, x []block) (sum float64) {
	for b := range x {
		w := line[34*b : 34*b+34]
		var dot int32
		for i, q := range x[b].quants {
			dot += int32(int8(w[2+i])) * int32(q)
		}
		sum += half[binary.LittleEndian.Uint16(w)] * float64(x[b].scale) * float64(dot)
	}
	return sum
}

func dotQ4(half *[1 << 16]float64, line []byte, x []block) (sum float64) {
	for b := range x {
		w := line[18*b : 18*b+18]
		var dot int32
		for i := range 16 {
			dot += (int32(w[2+i]&15) - 8) * int32(x[b].quants[i])
			dot += (int32(w[2+i]>>4) - 8) * int32(x[b].quants[16+i])
		}
		sum += half[binary.LittleEndian.Uint16(w)] * float64(x[b].scale) * float64(dot)
	}
	return sum
}

// MaxError is the largest difference, relative to the largest entry of want. It is
// not a number where got holds one that is not.
func MaxError(got []float32, want []float64) float64 {
	var largest, worst float64
	for i, w := range want {
		largest = max(largest, math.Abs(w))
		worst = max(worst, math.Abs(float64(got[i])-w)) // max keeps NaN
	}
	return worst / largest
}
