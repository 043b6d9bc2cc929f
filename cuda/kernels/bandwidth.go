package kernels

import "math"

// Pattern is element e of an array that ls_fill filled with seed: a whole number
// below 4096, so that the triad b + 3c is exact in f32. Kernels compute the same.
func Pattern(e, seed uint32) float32 {
	h := e*2654435761 + seed
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	return float32(h >> 20)
}

// PatternSum is the sum modulo 2^32 of the words of n elements, as ls_read finds it.
func PatternSum(n int64, seed uint32) uint32 {
	var sum uint32
	for e := range n {
		sum += math.Float32bits(Pattern(uint32(e), seed))
	}
	return sum
}

// TriadScale is the s of a = b + s*c.
const TriadScale = 3

// WriteValue is what ls_write is given: it writes this, and 1, 2 and 3 more.
const WriteValue = 17
