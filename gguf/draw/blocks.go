package draw

import (
	"encoding/binary"
	"math"
	"slices"
)

// A block of a quantised type is random bytes but for the bits of its scales, which are set. So a type is
// described by its fields, and one loop makes all types: a random word, the bits that stay random, the bits that
// are one, eight bytes. Layouts are those of ggml-common.h in the llama.cpp that go.mod pins, and what the bits
// mean is what the dequantize_row functions of its ggml-quants.c make of them.

// field is n bytes of a block, in the order of the file.
type field struct {
	n         int
	keep, set uint8   // of each byte: the bits that are random, and those that are one
	scale     float64 // not 0: a float16 of this multiple of the block's scale; keep is its upper byte's
}

// random is n bytes of codes, signs or grid indices.
func random(n int) []field { return []field{{n: n, keep: 0xff}} }

// partly is n bytes of which the bits of keep are random and those of set are one.
func partly(n int, keep, set uint8) []field { return []field{{n: n, keep: keep, set: set}} }

// scaled is a float16 of so many times the block's scale.
func scaled(times float64) []field { return []field{{n: 2, scale: times}} }

// signed is the block's scale with a random sign. It gives a mean of 0 to types whose codes have none, such as
// -8 to 7.
func signed() []field { return []field{{n: 2, scale: 1, keep: 0x80}} }

// join strings fields together.
func join(parts ...[]field) []field { return slices.Concat(parts...) }

// expand gives the bits of a block byte by byte, with scales left 0.
func expand(fields []field) (keep, set []byte) {
	for _, f := range fields {
		for range f.n {
			keep, set = append(keep, f.keep), append(set, f.set)
		}
		if f.scale != 0 {
			keep[len(keep)-2] = 0
		}
	}
	return keep, set
}

// design says how blocks of a type are made.
type design struct {
	weights int // in a block
	fields  []field
	std     float64 // of the weights at a scale of 1
}

// Codes 0 to n-1, all as likely, have these moments.
func codeMean(n float64) float64 { return (n - 1) / 2 }
func codeStd(n float64) float64  { return math.Sqrt((n*n - 1) / 12) }

// signedStd is the deviation of codes -n/2 to n/2-1 under a scale of random sign: their own mean is -1/2, the
// square of which becomes variance.
func signedStd(n float64) float64 { return math.Hypot(codeStd(n), 0.5) }

// Blocks of 32: with d alone, weight = d * (code - half of the codes); with m, weight = d*code + m.
var (
	q4_0 = design{32, join(signed(), random(16)), signedStd(16)}
	q4_1 = design{32, join(scaled(1), scaled(-codeMean(16)), random(16)), codeStd(16)}
	q5_0 = design{32, join(signed(), random(4), random(16)), signedStd(32)}
	q5_1 = design{32, join(scaled(1), scaled(-codeMean(32)), random(4), random(16)), codeStd(32)}
)

// maker returns the maker of a standard deviation.
func (d design) maker(mean, std float64) (maker, error) {
	b, err := d.blocks(mean, std)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (d design) blocks(mean, std float64) (*blocks, error) {
	keep, set := expand(d.fields)
	at := 0
	for _, f := range d.fields {
		if f.scale != 0 {
			h, err := scaleBits(mean, f.scale*std/d.std, std)
			if err != nil {
				return nil, err
			}
			binary.LittleEndian.PutUint16(set[at:], h)
		}
		at += f.n
	}
	return newBlocks(d.weights, keep, set), nil
}

// blocks makes blocks of one type and scale.
type blocks struct {
	weights, bytes int64     // of a block
	pattern        []pattern // of the words of the fewest blocks that fill whole words

	// mend, if not nil, makes a valid block of one that the pattern has made.
	mend func(block []byte)
}

// pattern says which bits of a word are random and which are one.
type pattern struct{ keep, set uint64 }

// newBlocks takes the pattern of one block's bytes.
func newBlocks(weights int, keep, set []byte) *blocks {
	b := &blocks{weights: int64(weights), bytes: int64(len(keep))}
	n := 1
	for n*len(keep)%8 != 0 {
		n *= 2
	}
	for i := 0; i < n*len(keep); i += 8 {
		var p pattern
		for j := range 8 {
			p.keep |= uint64(keep[(i+j)%len(keep)]) << (8 * j)
			p.set |= uint64(set[(i+j)%len(keep)]) << (8 * j)
		}
		b.pattern = append(b.pattern, p)
	}
	return b
}

func (b *blocks) fill(dst []byte, key uint64, first int64) {
	le := binary.LittleEndian
	z := key + uint64(first/b.weights*b.bytes/8)*golden
	out := dst
	for len(out) >= 8*len(b.pattern) {
		for _, p := range b.pattern {
			z += golden
			le.PutUint64(out, mix(z)&p.keep|p.set)
			out = out[8:]
		}
	}
	// At a tensor's end there may be fewer blocks than whole words hold.
	for i := 0; len(out) > 0; i++ {
		z += golden
		var last [8]byte
		le.PutUint64(last[:], mix(z)&b.pattern[i].keep|b.pattern[i].set)
		out = out[copy(out, last[:]):]
	}
	if b.mend != nil {
		for n := int(b.bytes); len(dst) >= n; dst = dst[n:] {
			b.mend(dst[:n])
		}
	}
}
