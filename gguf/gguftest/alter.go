package gguftest

import (
	"io"
	"path/filepath"
	"slices"
	"testing"

	"llmscale/gguf"
)

// Alter writes a copy of the model at path with other metadata and another tensor table, for tests of files that lie,
// and returns its path. change gets the values by key and the tensors in order, and returns the tensors to write; nil
// is for the same. A tensor whose bytes are as many as before keeps them, others are zeros.
func Alter(t testing.TB, path string, change func(values map[string]any, specs []gguf.Spec) []gguf.Spec) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values := map[string]any{}
	var keys []string
	for i := range f.KVs {
		v, err := f.Value(&f.KVs[i])
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, f.KVs[i].Key)
		values[f.KVs[i].Key] = v
	}
	var specs []gguf.Spec
	for _, x := range f.Tensors {
		specs = append(specs, gguf.Spec{Name: x.Name, Type: x.Type, Dims: slices.Clone(x.Dims)})
	}
	if other := change(values, specs); other != nil {
		specs = other
	}
	var added []string
	for k := range values {
		if !slices.Contains(keys, k) {
			added = append(added, k)
		}
	}
	slices.Sort(added)
	var entries []gguf.Entry
	for _, k := range append(keys, added...) {
		if v, ok := values[k]; ok {
			entries = append(entries, gguf.Entry{Key: k, Value: v})
		}
	}
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	w, err := gguf.Create(out, entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	written, err := gguf.Preview(entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range written.Tensors {
		x := &written.Tensors[i]
		tw, err := w.Tensor(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		data := io.LimitReader(zeros{}, x.Size)
		if was, ok := f.Tensor(x.Name); ok && was.Size == x.Size {
			data = f.Data(was)
		}
		if _, err := io.Copy(tw, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return out
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
