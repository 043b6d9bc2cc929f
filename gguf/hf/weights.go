package hf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/gguf/hf/safetensors"
	"llmscale/gguf/hf/torchfile"
)

const maxShards = 1000

// source is a tensor as a weight file has it.
type source struct {
	file   string // path
	name   string // with the file's own prefix
	dtype  string // as safetensors spells it
	shape  []int64
	offset int64 // bytes from the start of the file
	size   int64 // bytes
	data   func() (*io.SectionReader, error)
}

func (s *source) fail(want, format string, args ...any) error {
	return &Error{s.file, fmt.Sprintf("tensor %q", cut(s.name)), fmt.Sprintf(format, args...), want}
}

// weightFiles are where weights may be, in the order in which transformers looks for them.
var weightFiles = []struct {
	name  string
	index bool
	torch bool
}{
	{"model.safetensors", false, false},
	{"model.safetensors.index.json", true, false},
	{"pytorch_model.bin", false, true},
	{"pytorch_model.bin.index.json", true, true},
}

// openWeights opens the weight files and returns their tensors by name, without the prefix that GPT2LMHeadModel
// puts in front of GPT2Model's names.
func (m *Model) openWeights() (map[string]*source, error) {
	for _, w := range weightFiles {
		if _, err := os.Stat(filepath.Join(m.dir, w.name)); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("hf: %w", err)
			}
			continue
		}
		out := map[string]*source{}
		if w.index {
			return out, m.openShards(out, w.name, w.torch)
		}
		return out, m.openFile(out, w.name, w.torch)
	}
	names := []string{}
	for _, w := range weightFiles {
		names = append(names, w.name)
	}
	what := "the folder has no weights"
	if other := m.present("tf_model.h5", "flax_model.msgpack", "rust_model.ot", "adapter_model.safetensors", "adapter_model.bin", "*.onnx", "*.gguf"); other != "" {
		what += " that can be read, only " + other
	}
	return nil, &Error{Path: m.dir, What: what, Want: "one of " + strings.Join(names, ", ")}
}

// present names the first file of the folder that matches one of the patterns; "" if none does.
func (m *Model) present(patterns ...string) string {
	entries, _ := os.ReadDir(m.dir) // of a folder that could not be listed nothing is said
	for _, p := range patterns {
		for _, e := range entries {
			if ok, _ := filepath.Match(p, e.Name()); ok {
				return e.Name()
			}
		}
	}
	return ""
}

// openShards opens the files that an index names and checks that each tensor is where the index puts it.
func (m *Model) openShards(out map[string]*source, index string, torch bool) error {
	o, err := m.object(index, false)
	if err != nil {
		return err
	}
	var where map[string]string
	if v := o.fields["weight_map"]; v == nil {
		return o.fail("weight_map", "an object of tensor and file names", "the index has none")
	} else if err := decode(o.path, v, &where); err != nil {
		return o.fail("weight_map", "an object of tensor and file names", "it is %s", show(v))
	}
	files := slices.Compact(slices.Sorted(maps.Values(where)))
	if len(files) == 0 || len(files) > maxShards {
		return o.fail("weight_map", fmt.Sprintf("1 to %d", maxShards), "it names %d files", len(files))
	}
	for _, name := range files {
		if name != filepath.Base(name) || strings.Contains(name, "\\") || name == "." || name == ".." || name == "" {
			return o.fail("weight_map", "files of the folder itself", "it names %q", cut(name))
		}
		if _, err := os.Stat(filepath.Join(m.dir, name)); errors.Is(err, fs.ErrNotExist) {
			return o.fail("weight_map", "all shards in the folder", "it names %s, which is not there", name)
		}
		if err := m.openFile(out, name, torch); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(where)) {
		s := out[strings.TrimPrefix(name, "transformer.")]
		if s == nil || filepath.Base(s.file) != where[name] {
			return o.fail("weight_map", "an index that fits the shards", "it puts tensor %q into %s, which does not have it", cut(name), where[name])
		}
	}
	return nil
}

// openFile opens one weight file and adds its tensors.
func (m *Model) openFile(out map[string]*source, name string, torch bool) error {
	path := filepath.Join(m.dir, name)
	var found []*source
	if torch {
		f, err := torchfile.Open(path)
		if err != nil {
			return err
		}
		m.closers = append(m.closers, f)
		for i := range f.Tensors {
			t := &f.Tensors[i]
			found = append(found, &source{path, t.Name, t.DType, t.Shape, t.Offset, t.Size, func() (*io.SectionReader, error) { return f.Data(t) }})
		}
	} else {
		f, err := safetensors.Open(path)
		if err != nil {
			return err
		}
		m.closers = append(m.closers, f)
		for i := range f.Tensors {
			t := &f.Tensors[i]
			found = append(found, &source{path, t.Name, t.DType, t.Shape, t.Offset, t.Size, func() (*io.SectionReader, error) { return f.Data(t), nil }})
		}
	}
	m.used = append(m.used, name)
	for _, s := range found {
		key := strings.TrimPrefix(s.name, "transformer.")
		if other := out[key]; other != nil {
			return s.fail("", "the weights have it twice, also as %q in %s", cut(other.name), filepath.Base(other.file))
		}
		out[key] = s
	}
	return nil
}

// cut shortens a name of a file for an error.
func cut(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
