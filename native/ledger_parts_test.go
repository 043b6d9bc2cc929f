//go:build native

package native

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

// TestLedgerOfModelsInParts splits models in several ways. llama.cpp maps each file for itself, and the ledger must
// say so to the byte; what the model is and answers must not depend on the split.
func TestLedgerOfModelsInParts(t *testing.T) {
	for _, c := range []struct {
		source string
		layers int64
		typ    string
	}{
		{"synth:gpt2-5m", 0, "f16"},
		{"shape:llama3.2-1b", 2, "q4_0"},  // tied head, repacked: mapped pages with holes
		{"shape:qwen2.5-0.5b", 3, "q8_0"}, // every tensor is used from the mapping
		{"shape:qwen2.5-7b", 1, "q4_0"},   // a head of its own
		{"shape:gemma3-270m", 7, "q4_k"},  // fallback types among the repacked
		{"shape:gpt-oss-20b", 2, "mxfp4"}, // experts
	} {
		s, err := synth.Lookup(c.source)
		if err != nil {
			t.Fatal(err)
		}
		if c.layers > 0 {
			s = s.WithLayers(c.layers).WithVocab(1024)
		}
		if s.NExpert > 0 {
			s.NEmbd, s.NFF, s.NHead, s.NExpert = 256, 256, 16, 8 // 20 GB of experts are no test's
		}
		if c.source == "shape:qwen2.5-7b" {
			s.NFF = 1024 // one layer of the real width takes longer than it tells
		}
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := synth.Write(path, s, synth.Options{Type: c.typ, Seed: 1}); err != nil {
			t.Fatal(err)
		}
		info, answer := ModelInfo{}, []int32(nil)
		whole := describe(t, path)
		all := len(tensorsOf(t, path))
		for _, split := range []struct {
			name  string
			parts func(dir string) []string
		}{
			{"whole", func(string) []string { return []string{path} }},
			{"two", func(dir string) []string { return gguftest.SplitEvenly(t, path, dir, 2) }},
			{"three", func(dir string) []string { return gguftest.SplitEvenly(t, path, dir, 3) }},
			{"a file for each tensor", func(dir string) []string { return gguftest.SplitEvenly(t, path, dir, all) }},
			{"metadata apart", func(dir string) []string { return gguftest.Split(t, path, dir, 0, 1, -1, 0) }},
		} {
			t.Run(s.Label()+"/"+split.name, func(t *testing.T) {
				parts := split.parts(t.TempDir())
				d := describe(t, parts[len(parts)-1])
				if d.WeightBytes != whole.WeightBytes || d.ParamsTotal != whole.ParamsTotal || d.BytesReadPerToken != whole.BytesReadPerToken {
					t.Errorf("in parts %+v\nwhole    %+v", d, whole)
				}
				var dev deviation
				defer dev.log(t)
				for _, mmap := range []bool{true, false} {
					m, err := Load(parts[0], ModelParams{Mmap: mmap})
					if err != nil {
						t.Fatal(err)
					}
					defer m.Close()
					o := loadOptions{ledger.MemoryOptions{Context: 512, UBatch: 128, NoMmap: !mmap}}
					dev.hold(t, m, &d, o)
					measured, err := newContext(t, m, o.context()).Measure([]int32{7, 300, 12, 99, 1}, 8)
					if err != nil {
						t.Fatal(err)
					}
					if answer == nil {
						info, answer = m.Info(), measured.OutputIDs
					}
					if m.Info() != info || !slices.Equal(measured.OutputIDs, answer) {
						t.Errorf("mapped %v: %+v says %v; the whole %+v %v", mmap, m.Info(), measured.OutputIDs, info, answer)
					}
				}
			})
		}
	}
}

// TestLoadsFromTheFirstPart holds what package gguf says of names and keys against llama.cpp: from the first part it
// loads what Open takes, from another part nothing.
func TestLoadsFromTheFirstPart(t *testing.T) {
	path := writeModel(t, preset(t, "tiny-gpt2"), "f32")
	parts := gguftest.SplitEvenly(t, path, t.TempDir(), 3)
	for i, p := range parts {
		f, err := gguf.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		m, err := Load(f.Path, ModelParams{})
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		if m, err := Load(p, ModelParams{}); (err == nil) != (i == 0) {
			if m != nil {
				m.Close()
			}
			t.Errorf("llama.cpp, given part %d: %v", i+1, err)
		}
	}
}

func tensorsOf(t *testing.T, path string) []gguf.Tensor {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
	defer f.Close()
	return f.Tensors
}
