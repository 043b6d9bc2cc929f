// Package safetensors reads the tensor tables of safetensors files, the format in which Hugging Face models keep
// their weights: 8 bytes with the length of a header, the header in JSON, then the tensors' bytes.
//
// A file is input from a stranger. Its header may have 1.5 MiB, some 12,000 tensors; every length and offset is
// checked against the file's size before it is believed; and as the format asks, the tensors must fill the rest of
// the file without overlap or hole. Opening reads the header alone.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
)

// Limits on what a file may claim. They bound the memory that reading a hostile file can take.
const (
	maxHeader = 3 << 19 // bytes; the format itself allows 100 MB
	maxDims   = 8
	maxDepth  = 8 // of what stands under __metadata__, which is skipped
)

// dtypeBits are the element types that the format has, with their sizes.
var dtypeBits = map[string]int64{
	"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
	"F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
	"F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}

// FormatError says where a file stops being valid safetensors.
type FormatError struct {
	Path   string // the file's name; empty for Read
	Offset int64  // bytes from the start of the file to behind the offending part of the header
	Tensor string // that it belongs to; may be empty
	What   string // what stands there
	Want   string // what would be right; may be empty
}

func (e *FormatError) Error() string {
	s := "safetensors: "
	if e.Path != "" {
		s += e.Path + ": "
	}
	s += fmt.Sprintf("at byte %d: ", e.Offset)
	if e.Tensor != "" {
		s += fmt.Sprintf("tensor %q: ", e.Tensor)
	}
	s += e.What
	if e.Want != "" {
		s += "; want " + e.Want
	}
	return s
}

// Tensor is one entry of the header.
type Tensor struct {
	Name     string
	DType    string  // as the file spells it, for instance "F32" or "BF16"
	Shape    []int64 // elements along each dimension, the slowest-varying first; empty for a single number
	Elements int64   // product of Shape
	Offset   int64   // bytes from the start of the file to the data
	Size     int64   // bytes of data
}

// File is an open safetensors file. Its exported fields are to be read only. Data may be used from several
// goroutines at once, until Close.
type File struct {
	Path    string // as given to Open; empty for Read
	Size    int64  // bytes in the whole file
	Tensors []Tensor

	r      io.ReaderAt
	closer io.Closer
}

// Open reads the header of the file at path. A file that is not valid gives a *FormatError. The caller closes the
// File.
func Open(path string) (*File, error) {
	st, err := os.Stat(path) // before opening: that of a pipe waits for a writer
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	file, err := read(path, f, st.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	file.closer = f
	return file, nil
}

// Read is Open for bytes that lie elsewhere: r holds size bytes. Close does not close r.
func Read(r io.ReaderAt, size int64) (*File, error) {
	if size < 0 {
		return nil, fmt.Errorf("safetensors: a file of %d bytes", size)
	}
	return read("", r, size)
}

// Close closes the file that Open opened. Calling it again does nothing.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	err := f.closer.Close()
	f.closer = nil
	return err
}

// Data returns a reader over the tensor's bytes, little-endian elements in row-major order, valid until Close.
func (f *File) Data(t *Tensor) *io.SectionReader {
	return io.NewSectionReader(f.r, t.Offset, t.Size)
}

func read(path string, r io.ReaderAt, size int64) (*File, error) {
	fail := func(offset int64, want, format string, args ...any) error {
		return &FormatError{Path: path, Offset: offset, What: fmt.Sprintf(format, args...), Want: want}
	}
	var head [8]byte
	if size < int64(len(head)) {
		return nil, fail(0, "at least 8", "the file has %d bytes", size)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("safetensors: %s: reading the header's length: %w", path, err)
	}
	if string(head[:]) == "version " {
		return nil, fail(0, "the weights themselves: fetch them with `git lfs pull`", "the file is a Git LFS pointer")
	}
	length := binary.LittleEndian.Uint64(head[:])
	switch {
	case length > uint64(size-8):
		return nil, fail(0, fmt.Sprintf("at most the %d that follow", size-8), "the header is said to have %d bytes", length)
	case length > maxHeader:
		return nil, fail(0, fmt.Sprintf("at most %d", maxHeader), "the header has %d bytes", length)
	}
	p := &parser{path: path, seen: map[string]bool{}}
	if err := p.header(io.NewSectionReader(r, 8, int64(length))); err != nil {
		return nil, err
	}
	f := &File{Path: path, Size: size, Tensors: p.tensors, r: r}
	if err := f.layout(8 + int64(length)); err != nil {
		return nil, err
	}
	return f, nil
}

// layout makes the offsets count from the file's start and checks that the tensors fill the data section, which
// begins at start.
func (f *File) layout(start int64) error {
	order := make([]*Tensor, len(f.Tensors))
	for i := range f.Tensors {
		order[i] = &f.Tensors[i]
	}
	slices.SortStableFunc(order, func(a, b *Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	end := int64(0)
	for _, t := range order {
		if t.Offset != end {
			return &FormatError{f.Path, start, t.Name, fmt.Sprintf("its data begin at %d of the data section", t.Offset), fmt.Sprintf("%d, where those before it end", end)}
		}
		if t.Size > f.Size-start-end {
			return &FormatError{f.Path, start, t.Name, fmt.Sprintf("its data end at %d of the data section", end+t.Size), fmt.Sprintf("at most %d, the bytes that follow the header: is the file whole?", f.Size-start)}
		}
		end += t.Size
		t.Offset += start
	}
	if rest := f.Size - start - end; rest > 0 {
		return &FormatError{Path: f.Path, Offset: start + end, What: fmt.Sprintf("%d bytes belong to no tensor", rest), Want: "a file that ends with its last tensor"}
	}
	return nil
}

// setSize works out elements and bytes from type and shape and compares them with the bytes that the header gives.
func (t *Tensor) setSize(begin, end int64) (what, want string) {
	width, ok := dtypeBits[t.DType]
	if !ok {
		return fmt.Sprintf("dtype %q", t.DType), "one that the format has, such as F32"
	}
	t.Elements = 1
	for _, n := range t.Shape {
		hi, lo := bits.Mul64(uint64(t.Elements), uint64(n))
		if hi != 0 || lo > 1<<56 {
			return fmt.Sprintf("shape %v is more than 2^56 elements", t.Shape), "less"
		}
		t.Elements = int64(lo)
	}
	if size := t.Elements * width; size%8 != 0 || size/8 != end-begin {
		return fmt.Sprintf("%d elements of %s take %d bytes, but data_offsets are %d to %d", t.Elements, t.DType, (size+7)/8, begin, end), "offsets that far apart"
	}
	t.Offset, t.Size = begin, end-begin
	return "", ""
}
