package synth

import (
	"os"
	"testing"
	"time"

	"llmscale/gguf"
)

func timed(f func() error, b *testing.B) float64 {
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start).Seconds()
}

// writePlain writes size bytes that are not all zero, in pieces of the size that Write uses.
func writePlain(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 4*chunkWeights)
	for i := range buf {
		buf[i] = byte(i * 7)
	}
	for size > 0 {
		n := min(size, int64(len(buf)))
		if _, err := f.Write(buf[:n]); err != nil {
			return err
		}
		size -= n
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// BenchmarkFill measures the generator alone on one core.
func BenchmarkFill(b *testing.B) {
	for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.Q8_0} {
		b.Run("type="+typ.String(), func(b *testing.B) {
			s := newSource(tensor{gguf.Spec{Name: "x", Type: typ}, 0, 0.02}, 1)
			size, _ := typ.RowBytes(chunkWeights)
			buf := make([]byte, size)
			b.SetBytes(size)
			for b.Loop() {
				s.fill(buf, 0)
			}
		})
	}
}
