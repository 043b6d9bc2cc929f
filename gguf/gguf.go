// Package gguf reads and writes GGUF model files, versions 2 and 3, little endian. Package ledger says what a file's
// model is.
//
// A file is input from a stranger: every count, length and offset is checked against the file's own length before it
// is believed, and what is refused is refused with the byte where it stands.
//
// Opening is lazy. [Open] walks header, metadata and tensor table, and keeps of each value only its place; arrays
// and strings are decoded when asked for, so that the vocabulary of 200,000 entries costs a walk over its lengths
// and no memory.
package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Limits on what a file may claim. They are far above any real model and bound the memory that reading a hostile
// file can take.
const (
	maxDims       = 4         // ggml's GGML_MAX_DIMS
	maxTensorName = 63        // bytes; ggml's GGML_MAX_NAME includes the final zero
	maxKeyBytes   = 1<<16 - 1 // the format's own limit
	maxKeys       = 1 << 16
	maxTensors    = 1 << 18
	maxOffset     = 1 << 61 // bytes; of a tensor's data

	maxFile          = 1 << 60 // bytes; below it neither an offset plus an alignment nor the sum of all elements overflows
	defaultAlignment = 32      // bytes, where general.alignment is absent
)

// ErrNoKey is wrapped by the errors of the metadata getters when the file has no such key.
var ErrNoKey = errors.New("no such metadata key")

// FormatError says where a file stops being valid GGUF.
type FormatError struct {
	Path   string // the file's name; empty for Read
	Offset int64  // bytes from the start of the file to the offending field
	What   string // what stands there, with the key or tensor name where known
	Want   string // what would be right; may be empty
}

func (e *FormatError) Error() string {
	s := "gguf: "
	if e.Path != "" {
		s += e.Path + ": "
	}
	s += fmt.Sprintf("at byte %d: %s", e.Offset, e.What)
	if e.Want != "" {
		s += "; want " + e.Want
	}
	return s
}

// Tensor is one entry of the tensor table.
type Tensor struct {
	Name     string  `json:"name"`
	Type     Type    `json:"type"`
	Dims     []int64 `json:"dims"`         // elements along each dimension, the fastest-varying first: [row length, rows, ...]
	Elements int64   `json:"elements"`     // product of Dims
	Part     int     `json:"part"`         // which of File.Parts has the data; 0 in a model of one file
	Offset   int64   `json:"offset_bytes"` // from the start of that file to the data
	Size     int64   `json:"size_bytes"`   // of data, without padding
}

// File is an open model: a GGUF file, or several of which each has a part of the tensors ([File.Parts]). Path,
// Version, Alignment, DataOffset and KVs are those of the first, Size and Tensors those of all. The exported fields
// are to be read only. The getters read from the file on demand and may be used from several goroutines at once,
// until Close.
type File struct {
	Path       string // as given to Open, if that was the first part's; empty for Read
	Version    uint32 // 2 or 3
	Size       int64  // bytes in the whole file
	Alignment  int64  // bytes; each tensor's data starts at a multiple of it, counted from DataOffset
	DataOffset int64  // bytes from the start of the file to the tensor data
	KVs        []KV   // in the file's order
	Tensors    []Tensor

	own     int64       // bytes in this file alone
	info    os.FileInfo // of the open file; nil for Read
	rest    []*File     // the parts after the first, without their tensors
	r       io.ReaderAt
	closer  io.Closer
	keys    map[string]int // index into KVs
	tensors map[string]int // index into Tensors
}

// Open reads the header, the places of the metadata and the tensor table of the file at path. Where that is one of
// the parts of a model, Open reads them all, whichever it was given. A file that is not valid, or does not go with
// the others, gives a *FormatError. The caller closes the File.
func Open(path string) (*File, error) {
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	model, err := file.whole()
	if err != nil {
		file.Close()
		return nil, err
	}
	return model, nil
}

// openFile opens one file, though it may be a part of a model.
func openFile(path string) (*File, error) {
	st, err := os.Stat(path) // before opening: that of a pipe waits for a writer
	switch {
	case err != nil:
	case st.IsDir():
		err = fmt.Errorf("%s is a folder; want a GGUF file", path)
	case !st.Mode().IsRegular():
		err = fmt.Errorf("%s is no regular file; want a GGUF file", path)
	case st.Size() == 0:
		err = fmt.Errorf("%s is empty; want a GGUF file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	var file *File
	if st, err = f.Stat(); err == nil { // of what is open, should another file have taken its place
		file, err = read(path, f, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	file.info, file.closer = st, f
	return file, nil
}

// Read is Open for bytes that lie elsewhere: r holds size bytes of a model in one file. Close does not close r.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f, err := read("", r, size)
	if err != nil {
		return nil, err
	}
	no, count, err := f.split()
	if err == nil && count > 1 {
		kv, _ := f.KV(splitCount)
		err = &FormatError{"", kv.Offset, fmt.Sprintf("these bytes are part %d of %d of a model", no+1, count), "a model in one piece; Open finds the parts of others"}
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Close closes what Open opened. Calling it again does nothing.
func (f *File) Close() error {
	var errs []error
	if f.closer != nil {
		errs = append(errs, f.closer.Close())
		f.closer = nil
	}
	for _, p := range f.rest {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// Tensor finds a tensor by its name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.tensors[name]
	if !ok {
		return nil, false
	}
	return &f.Tensors[i], true
}

// Data returns a reader over the tensor's bytes, valid until Close.
func (f *File) Data(t *Tensor) *io.SectionReader {
	return io.NewSectionReader(f.part(t.Part).r, t.Offset, t.Size)
}
