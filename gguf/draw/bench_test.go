package draw

import (
	"os"
	"path/filepath"
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
			s := newSource(Tensor{Spec: gguf.Spec{Name: "x", Type: typ}, Std: 0.02}, 1)
			size, _ := typ.RowBytes(chunkWeights)
			buf := make([]byte, size)
			b.SetBytes(size)
			for b.Loop() {
				s.fill(buf, 0)
			}
		})
	}
}

// BenchmarkStream reports how long a model takes as a multiple of writing a plain file of the same size, both
// synced to the disk, in turns.
func BenchmarkStream(b *testing.B) {
	for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.Q8_0} {
		b.Run("type="+typ.String(), func(b *testing.B) {
			dir := b.TempDir()
			specs := []gguf.Spec{{Name: "x", Type: typ, Dims: []int64{4096, 32768}}}
			size, _ := typ.RowBytes(4096 * 32768)
			b.SetBytes(size)
			var plain, model float64 // seconds
			for b.Loop() {
				b.StopTimer()
				plain += timed(func() error { return writePlain(filepath.Join(dir, "plain"), size) }, b)
				b.StartTimer()
				model += timed(func() error {
					w, err := gguf.Create(filepath.Join(dir, "model"), nil, specs)
					if err != nil {
						return err
					}
					defer w.Close()
					if err := Stream(w, []Tensor{{Spec: specs[0], Std: 0.02}}, 1, nil); err != nil {
						return err
					}
					return w.Finish()
				}, b)
			}
			b.ReportMetric(model/plain, "x-plain-file")
			b.ReportMetric(float64(size)*float64(b.N)/plain/1e6, "plain-MB/s")
		})
	}
}
