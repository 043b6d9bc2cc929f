// Package torchfile reads the tensor table of a PyTorch state dict (pytorch_model.bin) as torch.save has written it
// since PyTorch 1.6: a zip archive with a pickle and one uncompressed entry for each tensor storage.
//
// Nothing in the file is executed. The pickle goes through an interpreter of its own that knows the opcodes a state
// dict is made of and the few globals it names; any other is refused by its name. A file is input from a stranger:
// every count, length and offset is checked against the file's size before it is believed. The pickle and the
// archive's directory may have 4 and 2 MiB, and the objects that the pickle makes 32 MiB, enough for some 14,000
// tensors.
//
// A library was tried in place of the interpreter and does not hold these bounds: github.com/nlpodyssey/gopickle
// v0.2.0, of 2023, allocates what a length claims before it reads. Of the inputs in testdata, one of 13 bytes takes
// 1.8 GB; one of 11 bytes that claims a frame of 2^40 ends the program. A dict with a key and no value makes it panic.
package torchfile

import (
	"fmt"
	"io"
	"os"
)

// FormatError says where a file stops being a state dict that can be read.
type FormatError struct {
	Path   string // the file's name; empty for Read
	Entry  string // of the archive; empty where the archive itself is at fault
	Offset int64  // bytes from the start of the entry, or of the file; -1 where there is no one place
	Tensor string // that it belongs to; may be empty
	What   string // what stands there
	Want   string // what would be right; may be empty
}

func (e *FormatError) Error() string {
	s := "torchfile: "
	if e.Path != "" {
		s += e.Path + ": "
	}
	if e.Entry != "" {
		s += e.Entry + ": "
	}
	if e.Offset >= 0 {
		s += fmt.Sprintf("at byte %d: ", e.Offset)
	}
	if e.Tensor != "" {
		s += fmt.Sprintf("tensor %q: ", e.Tensor)
	}
	s += e.What
	if e.Want != "" {
		s += "; want " + e.Want
	}
	return s
}

// Tensor is one entry of the state dict.
type Tensor struct {
	Name     string
	DType    string  // "F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8" or "BOOL"
	Shape    []int64 // elements along each dimension, the slowest-varying first; empty for a single number
	Stride   []int64 // elements from one index to the next along each dimension
	Elements int64   // product of Shape
	Offset   int64   // bytes from the start of the file to the first element
	Size     int64   // bytes of data, Elements times the size of one

	// Contiguous tells whether the elements lie in row-major order without gaps. A transposed or expanded view of
	// another tensor does not; its data cannot be had with Data.
	Contiguous bool
}

// File is an open state dict. Its exported fields are to be read only. Data may be used from several goroutines at
// once, until Close.
type File struct {
	Path    string // as given to Open; empty for Read
	Size    int64  // bytes in the whole file
	Tensors []Tensor

	r      io.ReaderAt
	closer io.Closer
}

// Open reads the archive's directory and the pickle of the file at path. A file that is not a state dict gives a
// *FormatError. The caller closes the File.
func Open(path string) (*File, error) {
	st, err := os.Stat(path) // before opening: that of a pipe waits for a writer
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("torchfile: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("torchfile: %w", err)
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
		return nil, fmt.Errorf("torchfile: a file of %d bytes", size)
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

// Data returns a reader over the tensor's bytes, little-endian elements in row-major order, valid until Close. A
// tensor that is not contiguous gives a *FormatError.
func (f *File) Data(t *Tensor) (*io.SectionReader, error) {
	if !t.Contiguous {
		return nil, &FormatError{f.Path, "", -1, t.Name, fmt.Sprintf("shape %v with strides %v is a view whose elements do not lie in order", t.Shape, t.Stride), "the tensor saved with .contiguous()"}
	}
	return io.NewSectionReader(f.r, t.Offset, t.Size), nil
}

func read(path string, r io.ReaderAt, size int64) (*File, error) {
	a, err := openArchive(path, r, size)
	if err != nil {
		return nil, err
	}
	code, err := a.pickle()
	if err != nil {
		return nil, err
	}
	m := &machine{archive: a, code: code, memo: map[uint32]any{}}
	top, err := m.run()
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, Size: size, r: r}
	if f.Tensors, err = m.stateDict(top); err != nil {
		return nil, err
	}
	return f, nil
}
