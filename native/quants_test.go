//go:build native

package native

import (
	"encoding/binary"
	"io"
	"math"
	"path/filepath"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/draw"
)

// drawn returns the bytes of n weights as gguf/draw writes them into a file.
func drawn(t *testing.T, typ gguf.Type, n int64, std float64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gguf")
	spec := gguf.Spec{Name: "x", Type: typ, Dims: []int64{1024, n / 1024}}
	w, err := gguf.Create(path, nil, []gguf.Spec{spec})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := draw.Stream(w, []draw.Tensor{{Spec: spec, Std: std}}, 3, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f.Data(&f.Tensors[0]))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDequantizeDrawn asks ggml what the blocks that gguf/draw makes are worth: their mean must be 0 and their
// standard deviation what was asked for. It measured the code-book constants of gguf/draw: with such a constant
// set to 1, the ratio that it logs is the constant.
func TestDequantizeDrawn(t *testing.T) {
	if testing.Short() {
		t.Skip("12 million numbers of each type")
	}
	const n = 4 << 20
	for _, info := range gguf.Types() {
		if !draw.Supports(info.Type) {
			continue
		}
		t.Run(info.Name, func(t *testing.T) {
			for _, std := range []float64{0.005, 0.02, 0.7} {
				b := drawn(t, info.Type, n, std)
				if err := ValidateRow(info.Type, b); err != nil {
					t.Fatal(err)
				}
				x, err := Dequantize(info.Type, b)
				if err != nil {
					t.Fatal(err)
				}
				if len(x) != n {
					t.Fatalf("%d weights; want %d", len(x), n)
				}
				var sum, squares, largest float64
				for _, v := range x {
					f := float64(v)
					sum += f
					squares += f * f
					largest = max(largest, math.Abs(f)) // NaN stays
				}
				mean := sum / n
				got := math.Sqrt(squares/n - mean*mean)
				report := t.Logf
				// Weights that share a random sign or a minimum count as one, up to 256 of them.
				if !(math.Abs(mean) < 0.02*std) || !(math.Abs(got/std-1) < 0.01) || !(largest < 8*std) {
					report = t.Errorf
				}
				report("asked for %g: standard deviation times %.5f, mean %+.4f and largest %.1f of it", std, got/std, mean/std, largest/std)
			}
		})
	}
}

func TestDequantizeRefuses(t *testing.T) {
	for _, c := range []struct {
		typ gguf.Type
		len int
	}{{gguf.Q4_K, 143}, {gguf.MXFP4Ollama, 17}, {gguf.I8, 4}, {gguf.Type(99), 4}} {
		if _, err := Dequantize(c.typ, make([]byte, c.len)); err == nil {
			t.Errorf("%d bytes of %s were decoded", c.len, c.typ)
		}
	}
	for _, typ := range []gguf.Type{gguf.Q4_K, gguf.Type(99)} {
		if err := ValidateRow(typ, make([]byte, 143)); err == nil {
			t.Errorf("143 bytes of %s are valid", typ)
		}
	}
}

// TestValidateRowFindsBadScales gives ggml blocks with an infinite scale, as a check of the check.
func TestValidateRowFindsBadScales(t *testing.T) {
	for typ, at := range map[gguf.Type]int{gguf.Q4_0: 0, gguf.Q6_K: 208, gguf.TQ1_0: 52} {
		b := drawn(t, typ, 1024, 0.02)
		binary.LittleEndian.PutUint16(b[at:], 0x7c00)
		if err := ValidateRow(typ, b); err == nil {
			t.Errorf("%s: a block with an infinite scale is valid", typ)
		}
	}
}
