package draw

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"llmscale/gguf"
)

// drawable lists the types that can be drawn, in the order of their numbers.
func drawable() (all []gguf.TypeInfo) {
	for _, info := range gguf.Types() {
		if Supports(info.Type) {
			all = append(all, info)
		}
	}
	return all
}

// BenchmarkFill measures the generator alone on one core.
func BenchmarkFill(b *testing.B) {
	for _, info := range drawable() {
		b.Run("type="+info.Name, func(b *testing.B) {
			m, err := makers[info.Type](0, 0.02)
			if err != nil {
				b.Fatal(err)
			}
			size, _ := info.Type.RowBytes(chunkWeights(info.Type))
			buf := make([]byte, size)
			b.SetBytes(size)
			for b.Loop() {
				m.fill(buf, 1, 0)
			}
		})
	}
}

// writePlain writes size bytes that are not all zero, in pieces of 1 MiB.
func writePlain(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
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

// writeDD lets dd write and sync size bytes, a multiple of 1 MiB.
func writeDD(path string, size int64) error {
	cmd := exec.Command("dd", "if=/dev/zero", "of="+path, "bs=1M", "conv=fdatasync", fmt.Sprint("count=", size>>20))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", cmd, err, out)
	}
	return nil
}

func writeModel(path string, spec gguf.Spec) error {
	w, err := gguf.Create(path, nil, []gguf.Spec{spec})
	if err != nil {
		return err
	}
	defer w.Close()
	if err := Stream(w, []Tensor{{Spec: spec, Std: 0.02}}, 1, nil); err != nil {
		return err
	}
	return w.Finish()
}

// peakRSS returns the most memory that the process ever had, in bytes; 0 where the system does not say.
func peakRSS() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "VmHWM:" {
			kib, _ := strconv.ParseFloat(string(f[1]), 64)
			return kib * 1024
		}
	}
	return 0
}

// BenchmarkStream writes a model of one tensor, and files of the same size with dd and with plain writes from Go,
// all synced to the disk and in turns, each going first in its turn. x-dd and x-plain are the rate of
// the model as a multiple of theirs: want at least 0.7. The peak of the process's memory must not follow the size
// of the files.
//
// The types of which models are mostly made write 2 GiB, the others 256 MiB; -short makes that an eighth. With
// -benchtime 3x a disk of 150 MB/s takes 20 minutes for them all, more than go test allows without -timeout. Files
// go to the folder of TMPDIR.
func BenchmarkStream(b *testing.B) {
	common := map[gguf.Type]bool{gguf.F32: true, gguf.F16: true, gguf.BF16: true, gguf.Q8_0: true, gguf.Q4_0: true, gguf.Q4_K: true, gguf.Q6_K: true}
	for _, info := range drawable() {
		b.Run("type="+info.Name, func(b *testing.B) {
			size := int64(256 << 20)
			if common[info.Type] {
				size = 2 << 30
			}
			if testing.Short() {
				size /= 8
			}
			dir := b.TempDir()
			const row = 4096 // weights
			rowBytes, err := info.Type.RowBytes(row)
			if err != nil {
				b.Fatal(err)
			}
			spec := gguf.Spec{Name: "x", Type: info.Type, Dims: []int64{row, size / rowBytes}}
			writers := []struct {
				name  string
				write func(path string) error
				secs  float64
			}{
				{name: "dd", write: func(path string) error { return writeDD(path, size) }},
				{name: "plain", write: func(path string) error { return writePlain(path, size) }},
				{name: "model", write: func(path string) error { return writeModel(path, spec) }},
			}
			if _, err := exec.LookPath("dd"); err != nil {
				b.Logf("no x-dd: the comparison needs the program dd: %v", err)
				writers = writers[1:]
			}
			b.SetBytes(size)
			turn := 0
			for b.Loop() {
				for i := range writers {
					w := &writers[(turn+i)%len(writers)]
					path := filepath.Join(dir, w.name)
					if w.name != "model" {
						b.StopTimer()
					}
					start := time.Now()
					if err := w.write(path); err != nil {
						b.Fatal(err)
					}
					w.secs += time.Since(start).Seconds()
					b.StopTimer()
					if err := os.Remove(path); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				turn++
			}
			model := writers[len(writers)-1].secs
			for _, w := range writers[:len(writers)-1] {
				b.ReportMetric(w.secs/model, "x-"+w.name)
				b.ReportMetric(float64(size)*float64(b.N)/w.secs/1e6, w.name+"-MB/s")
			}
			if rss := peakRSS(); rss > 0 {
				b.ReportMetric(rss/(1<<20), "peak-RSS-MiB")
			}
		})
	}
}
