package gguf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// A model may lie in several files, as llama.cpp's gguf-split writes them. Each is a GGUF file of its own: the first
// has the metadata, each has some of the tensors, and three keys hold them together. llama.cpp is given the first,
// finds the others by their names, and refuses what does not fit
// (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-model-loader.cpp#L523). The types of the keys are
// those that it insists on.
const (
	splitPrefix  = "split."
	splitNo      = splitPrefix + "no"            // uint16; the part's number, from 0
	splitCount   = splitPrefix + "count"         // uint16; parts of the model; 0 or 1, or no such key: the file is whole
	splitTensors = splitPrefix + "tensors.count" // int32; tensors of all parts together
)

// IsSplitKey tells whether a metadata key is one of those that hold the parts of a model together, which a copy in
// one file must not have.
func IsSplitKey(key string) bool { return strings.HasPrefix(key, splitPrefix) }

// partSuffix is how the name of a part must end; no counts from 0.
func partSuffix(no, count int64) string { return fmt.Sprintf("-%05d-of-%05d.gguf", no+1, count) }

// Stem returns the path of a model without its ending: ".gguf", or "-00002-of-00003.gguf" where the name is that of a
// part. It looks at the name alone.
func Stem(path string) string {
	stem, ok := strings.CutSuffix(path, ".gguf")
	if !ok {
		return path
	}
	var no, count int64
	if i := len(stem) - len("-00001-of-00001"); i > 0 {
		if _, err := fmt.Sscanf(stem[i:], "-%05d-of-%05d", &no, &count); err == nil && partSuffix(no-1, count) == stem[i:]+".gguf" {
			return stem[:i]
		}
	}
	return stem
}

// split says which part of how many a file is; count is 1 for a whole model.
func (f *File) split() (no, count int64, err error) {
	kv, ok := f.KV(splitCount)
	if !ok {
		return 0, 1, nil
	}
	if kv.Type != Uint16 {
		return 0, 0, f.wrongType(kv, "uint16")
	}
	if count = int64(kv.bits); count < 2 {
		return 0, 1, nil
	}
	number, ok := f.KV(splitNo)
	switch {
	case !ok:
		return 0, 0, &FormatError{f.Path, kv.Offset, fmt.Sprintf("key %q is %d, but which of these parts the file is it does not say", splitCount, count), fmt.Sprintf("a key %q", splitNo)}
	case number.Type != Uint16:
		return 0, 0, f.wrongType(number, "uint16")
	case int64(number.bits) >= count:
		return 0, 0, &FormatError{f.Path, number.Offset, fmt.Sprintf("key %q is %d in a model of %d parts", splitNo, number.bits, count), fmt.Sprintf("0 to %d", count-1)}
	}
	return int64(number.bits), count, nil
}

// whole opens the parts beside f and returns the model. f becomes one of its parts, or stays open after an error.
func (f *File) whole() (*File, error) {
	no, count, err := f.split()
	if err != nil || count == 1 {
		return f, err
	}
	stem, ok := strings.CutSuffix(f.Path, partSuffix(no, count))
	if !ok || stem == "" {
		kv, _ := f.KV(splitNo)
		return nil, &FormatError{f.Path, kv.Offset, fmt.Sprintf("the file is part %d of %d, which its name does not say: the others are found by it", no+1, count), "a name NAME" + partSuffix(no, count)}
	}
	path := func(i int64) string { return stem + partSuffix(i, count) }
	var missing []string
	const most = 3
	absent := int64(0)
	for i := range count {
		if _, err := os.Stat(path(i)); errors.Is(err, fs.ErrNotExist) {
			if absent++; absent <= most {
				missing = append(missing, path(i))
			}
		}
	}
	if absent > most {
		missing = append(missing, fmt.Sprintf("%d more", absent-most))
	}
	if missing != nil {
		// Not fs.ErrNotExist: the file that the caller named is there.
		return nil, fmt.Errorf("gguf: %s is part %d of %d, but there is no %s; want all parts in one folder, under the names that they were split into", f.Path, no+1, count, strings.Join(missing, ", "))
	}
	parts := make([]*File, count)
	closeAll := func() {
		for _, p := range parts {
			if p != nil && p != f {
				p.Close()
			}
		}
	}
	for i := range count {
		if i == no {
			parts[i] = f
		} else if parts[i], err = openFile(path(i)); err != nil {
			closeAll()
			return nil, err
		}
	}
	model, err := join(parts)
	if err != nil {
		closeAll()
		return nil, err
	}
	return model, nil
}

// join makes one model of its parts, given in their order. The first takes the others in.
func join(parts []*File) (*File, error) {
	for i, p := range parts {
		if err := p.inPlace(int64(i), int64(len(parts))); err != nil {
			return nil, err
		}
	}
	first := parts[0]
	tensors, err := first.tensorsInAll()
	if err != nil {
		return nil, err
	}
	for i, p := range parts[1:] {
		if err := p.goesWith(first, tensors); err != nil {
			return nil, err
		}
		if p.Size > maxFile-first.Size {
			return nil, &FormatError{p.Path, 0, "with this part the model has more than 2^60 bytes", "less"}
		}
		first.Size += p.Size
		for _, t := range p.Tensors {
			if at, dup := first.tensors[t.Name]; dup {
				return nil, &FormatError{p.Path, t.Offset, fmt.Sprintf("here are the data of tensor %q, which is in %s too", t.Name, parts[first.Tensors[at].Part].Path), "each tensor in one part alone"}
			}
			t.Part = i + 1
			first.tensors[t.Name] = len(first.Tensors)
			first.Tensors = append(first.Tensors, t)
		}
		p.Tensors, p.tensors = nil, nil
	}
	if n := int64(len(first.Tensors)); n != tensors {
		kv, _ := first.KV(splitTensors)
		return nil, &FormatError{first.Path, kv.Offset, fmt.Sprintf("key %q is %d, but the %d parts have %d tensors", splitTensors, tensors, len(parts), n), "as many in all parts together as the key says"}
	}
	first.rest = parts[1:]
	return first, nil
}

// inPlace checks that a file is by its own word part no, from 0, of count.
func (f *File) inPlace(no, count int64) error {
	gotNo, gotCount, err := f.split()
	switch {
	case err != nil:
		return err
	case gotCount != count:
		offset := int64(0)
		if kv, ok := f.KV(splitCount); ok {
			offset = kv.Offset
		}
		return &FormatError{f.Path, offset, fmt.Sprintf("by its keys the file is one of %d, but it lies among the parts of a model of %d", gotCount, count), fmt.Sprintf("key %q to be %d", splitCount, count)}
	case gotNo != no:
		kv, _ := f.KV(splitNo)
		return &FormatError{f.Path, kv.Offset, fmt.Sprintf("the file is part %d of %d, but stands in the place of part %d", gotNo+1, count, no+1), fmt.Sprintf("key %q to be %d", splitNo, no)}
	}
	return nil
}

// goesWith checks that a later part belongs to the model of the first, which has so many tensors in all. It need not
// repeat the metadata, but what it repeats must be the same.
func (f *File) goesWith(first *File, tensors int64) error {
	const want = "the parts of one model"
	if kv, ok := f.KV(splitTensors); ok {
		if n, err := f.tensorsInAll(); err != nil {
			return err
		} else if n != tensors {
			return &FormatError{f.Path, kv.Offset, fmt.Sprintf("the part is of a model of %d tensors, %s of one of %d", n, first.Path, tensors), want}
		}
	}
	const key = "general.architecture"
	here, err := f.Text(key)
	if errors.Is(err, ErrNoKey) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := first.Text(key)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	if here != there {
		kv, _ := f.KV(key)
		return &FormatError{f.Path, kv.Offset, fmt.Sprintf("the architecture is %s, in %s it is %s", shown(here), first.Path, shown(there)), want}
	}
	return nil
}

// tensorsInAll is how many tensors the whole model has by a part's own word.
func (f *File) tensorsInAll() (int64, error) {
	kv, ok := f.KV(splitTensors)
	if !ok {
		return 0, &FormatError{f.Path, 0, fmt.Sprintf("the first part of the model has no key %q", splitTensors), "the number of tensors in all parts"}
	}
	if kv.Type != Int32 {
		return 0, f.wrongType(kv, "int32")
	}
	return int64(int32(kv.bits)), nil
}

// part returns the file that holds what Tensor.Part numbers.
func (f *File) part(i int) *File {
	if i == 0 {
		return f
	}
	return f.rest[i-1]
}

// Part is one of the files in which a model lies.
type Part struct {
	Path       string      // empty for Read
	Size       int64       // bytes
	DataOffset int64       // bytes from the start of the file to its tensor data
	Info       os.FileInfo // of the file as it was when it was opened; nil for Read
}

// Parts lists the files in which the model lies, in their order: one, unless it was split.
func (f *File) Parts() []Part {
	parts := []Part{{f.Path, f.own, f.DataOffset, f.info}}
	for _, p := range f.rest {
		parts = append(parts, Part{p.Path, p.own, p.DataOffset, p.info})
	}
	return parts
}

// Paths lists the paths of Parts. It is empty for Read.
func (f *File) Paths() []string {
	if f.Path == "" {
		return nil
	}
	var paths []string
	for _, p := range f.Parts() {
		paths = append(paths, p.Path)
	}
	return paths
}

// Header returns a reader over all bytes before the tensor data, in a model of several parts those of each: two
// models with equal headers differ at most in their weights. It is valid until Close.
func (f *File) Header() io.Reader {
	var readers []io.Reader
	for i, p := range f.Parts() {
		readers = append(readers, io.NewSectionReader(f.part(i).r, 0, min(p.DataOffset, p.Size)))
	}
	return io.MultiReader(readers...)
}
