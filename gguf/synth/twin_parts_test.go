package synth

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
)

// The twin of a model in parts is the same one file from whichever part it is made: with the whole model's metadata and
// tensors, and without what would make it a part.
func TestTwinOfParts(t *testing.T) {
	s, err := Lookup("shape:qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	dir, out := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "qwen.gguf")
	if err := Write(path, s.WithLayers(1).WithVocab(300), Options{Type: "q8_0", Seed: 7}); err != nil {
		t.Fatal(err)
	}
	whole := openFile(t, path)
	parts := gguftest.Split(t, path, dir, 0, 5, -1)
	var label string
	var first []byte
	for i, p := range parts {
		twin, err := OpenTwin(p)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			label = twin.Label()
		}
		if twin.Label() != label || !strings.HasPrefix(label, "like-qwen-") || strings.Contains(label, "-of-") {
			t.Errorf("%s: the twin is called %s, the first part's %s", p, twin.Label(), label)
		}
		for _, target := range parts {
			if err := Write(target, twin, Options{}); err == nil || !strings.Contains(err.Error(), target+" is the original of this twin") {
				t.Errorf("the twin of %s was written over %s: %v", p, target, err)
			}
		}
		file := filepath.Join(out, filepath.Base(p)+".twin")
		if err := Write(file, twin, Options{Seed: 3}); err != nil {
			t.Fatal(err)
		}
		if !matches(file, twin, Options{Seed: 3}) {
			t.Error("Matches does not know the twin")
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b
		} else if !bytes.Equal(b, first) {
			t.Errorf("the twin made from %s differs from the first part's", p)
		}
		f := openFile(t, file)
		if len(f.Paths()) != 1 || len(f.KVs) != len(whole.KVs)+4 || len(f.Tensors) != len(whole.Tensors) {
			t.Fatalf("%d files, %d keys and %d tensors, the model has %d and %d", len(f.Paths()), len(f.KVs), len(f.Tensors), len(whole.KVs), len(whole.Tensors))
		}
		for j := range f.KVs {
			if gguf.IsSplitKey(f.KVs[j].Key) {
				t.Errorf("the twin has the key %s", f.KVs[j].Key)
			}
		}
		for j, x := range f.Tensors {
			if y := whole.Tensors[j]; x.Name != y.Name || x.Type != y.Type || x.Part != 0 || !reflect.DeepEqual(x.Dims, y.Dims) {
				t.Errorf("tensor %+v became %+v", y, x)
			}
		}
	}
	// The header names the original, so a twin of other parts has another label.
	other, err := OpenTwin(gguftest.SplitEvenly(t, path, t.TempDir(), 2)[1])
	if err != nil {
		t.Fatal(err)
	}
	if other.Label() == label {
		t.Error("twins of different originals have one name")
	}
}
