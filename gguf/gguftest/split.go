// Package gguftest makes GGUF files for the tests of other packages.
package gguftest

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"llmscale/gguf"
)

// Split writes the model at path into dir as so many parts as there are counts, each with so many of its tensors, in
// the way of llama.cpp's gguf-split: the first has all metadata, the others only the keys of the split. A negative
// count stands for the rest. It returns the parts' paths in their order.
func Split(t testing.TB, path, dir string, counts ...int) []string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var paths []string
	tensors := f.Tensors
	for i, n := range counts {
		if n < 0 {
			n = len(tensors)
			for _, later := range counts[i+1:] {
				n -= later
			}
		}
		var entries []gguf.Entry
		if i == 0 {
			for j := range f.KVs {
				v, err := f.Value(&f.KVs[j])
				if err != nil {
					t.Fatal(err)
				}
				entries = append(entries, gguf.Entry{Key: f.KVs[j].Key, Value: v})
			}
		}
		entries = append(entries,
			gguf.Entry{Key: "split.no", Value: uint16(i)},
			gguf.Entry{Key: "split.count", Value: uint16(len(counts))},
			gguf.Entry{Key: "split.tensors.count", Value: int32(len(f.Tensors))})
		part := filepath.Join(dir, fmt.Sprintf("%s-%05d-of-%05d.gguf", filepath.Base(gguf.Stem(path)), i+1, len(counts)))
		if err := write(part, entries, f, tensors[:n]); err != nil {
			t.Fatal(err)
		}
		tensors = tensors[n:]
		paths = append(paths, part)
	}
	if len(tensors) > 0 {
		t.Fatalf("%d tensors of %s are in no part", len(tensors), path)
	}
	return paths
}

// SplitEvenly is Split with about as many tensors in each part.
func SplitEvenly(t testing.TB, path, dir string, parts int) []string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	n := len(f.Tensors)
	f.Close()
	counts := make([]int, parts)
	for i := range counts {
		counts[i] = n*(i+1)/parts - n*i/parts
	}
	return Split(t, path, dir, counts...)
}

func write(path string, entries []gguf.Entry, from *gguf.File, tensors []gguf.Tensor) error {
	specs := make([]gguf.Spec, len(tensors))
	for i, x := range tensors {
		specs[i] = gguf.Spec{Name: x.Name, Type: x.Type, Dims: x.Dims}
	}
	w, err := gguf.Create(path, entries, specs)
	if err != nil {
		return err
	}
	defer w.Close()
	for i := range tensors {
		out, err := w.Tensor(tensors[i].Name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, from.Data(&tensors[i])); err != nil {
			return err
		}
	}
	return w.Finish()
}
