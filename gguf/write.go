package gguf

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"llmscale/internal/checked"
	"llmscale/internal/durable"
)

// Entry is a metadata entry to write. Value is a uint8 ... uint64, int8 ... int64 (each with its width in the
// name), float32, float64, bool or string, or a slice of one of these.
type Entry struct {
	Key   string
	Value any
}

// Spec is a tensor to write. Dims are elements along each dimension, the fastest-varying first.
type Spec struct {
	Name string
	Type Type
	Dims []int64
}

// Writer writes a GGUF file of version 3 front to back: Create writes header, metadata and tensor table, then
// Tensor is called once for each tensor in the table's order, then Finish. Memory stays flat whatever the size of
// the tensors. Until Finish the bytes go to a hidden file beside the target, so that a half-written model never
// has the final name.
type Writer struct {
	path  string
	align int64         // bytes
	file  *durable.File // nil after Finish and Close

	tensors []Tensor // Offset from the start of the file
	next    int      // index of the tensor that Tensor will open
	open    *tensorWriter
	pos     int64 // bytes written
	started int64 // bytes of them that the system was asked to bring to the disk
	err     error // first failure; the file cannot be finished after it

	digest  hash.Hash // of all that was written; nil: nobody wants it
	written *Written  // for Finish to fill in, where there is a digest
}

// Written is what is known of a file that was just made without reading it.
type Written struct {
	SHA256 string      // in hex; "" where the file at the path is not surely the one that was written
	Info   fs.FileInfo // of that file, once it has its name
}

// Create starts the file. The caller must call Finish, and Close in any case:
//
//	w, err := gguf.Create(path, entries, specs)
//	if err != nil { ... }
//	defer w.Close()
//
// An existing file at path is replaced by Finish, not before.
func Create(path string, entries []Entry, specs []Spec) (*Writer, error) {
	return CreateHashed(path, entries, specs, nil)
}

// CreateHashed is Create of a file that is hashed while it is written: Finish fills written in. nil does without.
func CreateHashed(path string, entries []Entry, specs []Spec, written *Written) (*Writer, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, fmt.Errorf("gguf: writing %s: it is a folder; want the name of a file", path)
	}
	w := &Writer{path: path}
	if written != nil {
		*written = Written{}
		w.digest, w.written = sha256.New(), written
	}
	var err error
	if w.tensors, w.align, err = plan(entries, specs); err != nil {
		return nil, fmt.Errorf("gguf: writing %s: %w", path, err)
	}
	w.file, err = durable.System.Create(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: writing %s: %w", path, err)
	}
	if err := w.header(entries); err != nil {
		w.Close()
		return nil, fmt.Errorf("gguf: writing %s: %w", path, err)
	}
	return w, nil
}

// plan checks what is to be written and gives each tensor its size, and its offset within the data section.
func plan(entries []Entry, specs []Spec) ([]Tensor, int64, error) {
	align := int64(defaultAlignment)
	keys := map[string]bool{}
	for _, e := range entries {
		switch {
		case e.Key == "" || len(e.Key) > maxKeyBytes || strings.IndexByte(e.Key, 0) >= 0:
			return nil, 0, fmt.Errorf("a metadata key of %d bytes, %.80q; want 1 to %d and no zero among them", len(e.Key), e.Key, maxKeyBytes)
		case keys[e.Key]:
			return nil, 0, fmt.Errorf("metadata key %q is there twice", e.Key)
		}
		keys[e.Key] = true
		if _, err := appendValue(nil, e.Value, false); err != nil {
			return nil, 0, fmt.Errorf("metadata key %q: %w", e.Key, err)
		}
		if e.Key == "general.alignment" {
			a, ok := e.Value.(uint32)
			if !ok || a == 0 || a&(a-1) != 0 {
				return nil, 0, fmt.Errorf("general.alignment is %T(%v); want a uint32 that is a power of two", e.Value, e.Value)
			}
			align = int64(a)
		}
	}
	if len(entries) > maxKeys || len(specs) > maxTensors {
		return nil, 0, fmt.Errorf("%d metadata entries and %d tensors; want at most %d and %d", len(entries), len(specs), maxKeys, maxTensors)
	}
	names := map[string]bool{}
	tensors := make([]Tensor, len(specs))
	offset := int64(0)
	for i, s := range specs {
		if s.Name == "" || len(s.Name) > maxTensorName || names[s.Name] || strings.IndexByte(s.Name, 0) >= 0 {
			return nil, 0, fmt.Errorf("tensor %d is called %q; want a name of 1 to %d bytes, none of them zero, that no other tensor has", i, s.Name, maxTensorName)
		}
		names[s.Name] = true
		t := Tensor{Name: s.Name, Type: s.Type, Dims: append([]int64(nil), s.Dims...), Offset: offset}
		var err error
		if t.Elements, t.Size, err = shapeSize(s.Type, s.Dims); err != nil {
			return nil, 0, fmt.Errorf("tensor %q: %w", s.Name, err)
		}
		end, ok := checked.AlignUp(t.Size, align)
		if !ok || end > 1<<61-offset {
			return nil, 0, fmt.Errorf("tensor %q: the file would be larger than 2^61 bytes", s.Name)
		}
		offset += end
		tensors[i] = t
	}
	return tensors, align, nil
}

// header writes everything before the tensor data and makes the tensors' offsets count from the file's start.
func (w *Writer) header(entries []Entry) error {
	buf := bufio.NewWriterSize(countingWriter{w}, 64<<10)
	if err := w.tables(buf, entries); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	start, _ := checked.AlignUp(w.pos, w.align)
	if err := w.padTo(start); err != nil {
		return err
	}
	for i := range w.tensors {
		w.tensors[i].Offset += start
	}
	return nil
}

// tables writes header, metadata and tensor table to out.
func (w *Writer) tables(out io.Writer, entries []Entry) error {
	b := append([]byte(nil), "GGUF"...)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(entries)))
	for _, e := range entries {
		b = slices.Grow(b, 8+len(e.Key)+int(valueBytes(e.Value))) // an array that grew would take twice its memory
		b = appendString(b, e.Key)
		var err error
		if b, err = appendValue(b, e.Value, true); err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	for _, t := range w.tensors {
		b = appendString(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = binary.LittleEndian.AppendUint64(b, uint64(d))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
		b = binary.LittleEndian.AppendUint64(b, uint64(t.Offset))
	}
	_, err := out.Write(b)
	return err
}

// writeback is how many bytes gather before the system is asked to start bringing them to the disk. Without that
// it may begin only with Finish, when the caller has nothing left to compute meanwhile.
const writeback = 8 << 20

// countingWriter writes to the file and counts in w.pos. Each failure names the temporary file, since it comes
// from the os package; Create and Tensor add the target.
type countingWriter struct{ w *Writer }

func (c countingWriter) Write(p []byte) (int, error) {
	w := c.w
	if w.digest != nil {
		// Hashing takes as long as the copy into the page cache, so both are done at once. p is the caller's again
		// when this returns.
		hashed := make(chan struct{})
		go func() {
			w.digest.Write(p)
			close(hashed)
		}()
		defer func() { <-hashed }()
	}
	n, err := w.file.Write(p)
	w.pos += int64(n)
	if w.pos-w.started >= writeback {
		startWriteback(w.file.File, w.started, w.pos-w.started)
		w.started = w.pos
	}
	return n, err
}

func (w *Writer) padTo(pos int64) error {
	if pos <= w.pos {
		return nil
	}
	// An alignment may be up to 2 GiB, so the zeros are not built in memory.
	_, err := io.CopyN(countingWriter{w}, zeros{}, pos-w.pos)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Tensor returns the writer for the next tensor's bytes. name must be the name of that tensor in the order given
// to Create: it guards against data under the wrong name. All bytes of the tensor before must have been written.
// Writes go straight to the file, so they should be large; writing more than the tensor's size fails.
func (w *Writer) Tensor(name string) (io.Writer, error) {
	if err := w.complete(); err != nil {
		return nil, err
	}
	if w.next == len(w.tensors) {
		return nil, fmt.Errorf("gguf: writing %s: tensor %q comes after the last of %d", w.path, name, len(w.tensors))
	}
	t := &w.tensors[w.next]
	if t.Name != name {
		return nil, fmt.Errorf("gguf: writing %s: tensor %q is next, not %q", w.path, t.Name, name)
	}
	if err := w.padTo(t.Offset); err != nil {
		return nil, w.failed(err)
	}
	w.next++
	w.open = &tensorWriter{w, t}
	return w.open, nil
}

func (w *Writer) failed(err error) error {
	w.err = fmt.Errorf("gguf: writing %s: %w", w.path, err)
	return w.err
}

// complete checks that the open tensor has all its bytes.
func (w *Writer) complete() error {
	if w.err != nil {
		return w.err
	}
	if w.file == nil {
		return fmt.Errorf("gguf: writing %s: the writer is closed", w.path)
	}
	if w.open == nil {
		return nil
	}
	t := w.open.t
	if have := w.pos - t.Offset; have != t.Size {
		return fmt.Errorf("gguf: writing %s: tensor %q got %d of its %d bytes", w.path, t.Name, have, t.Size)
	}
	return nil
}

type tensorWriter struct {
	w *Writer
	t *Tensor
}

func (tw *tensorWriter) Write(p []byte) (int, error) {
	w, t := tw.w, tw.t
	if w.err != nil {
		return 0, w.err
	}
	if w.open != tw || w.file == nil {
		return 0, fmt.Errorf("gguf: writing %s: tensor %q is no longer open", w.path, t.Name)
	}
	if left := t.Offset + t.Size - w.pos; int64(len(p)) > left {
		return 0, fmt.Errorf("gguf: writing %s: tensor %q has room for %d bytes more, not for %d", w.path, t.Name, left, len(p))
	}
	n, err := countingWriter{w}.Write(p)
	if err != nil {
		return n, w.failed(err)
	}
	return n, nil
}

// Finish checks that every tensor was written, brings the bytes to the disk and gives the file its name. After an
// error the target is as it was before Create.
func (w *Writer) Finish() error {
	if err := w.complete(); err != nil {
		return err
	}
	if w.next < len(w.tensors) {
		return fmt.Errorf("gguf: writing %s: tensor %q and %d after it have no data", w.path, w.tensors[w.next].Name, len(w.tensors)-w.next-1)
	}
	// ggml's own writer pads the last tensor too, and its readers may map whole padded blocks.
	if end, ok := checked.AlignUp(w.pos, w.align); ok && w.next > 0 {
		if err := w.padTo(end); err != nil {
			return w.failed(err)
		}
	}
	info, err := w.file.Commit()
	w.file = nil
	if err != nil {
		return w.failed(err)
	}
	if w.digest != nil && info != nil {
		w.identify(info)
	}
	return nil
}

// identify fills written in if the file that has the name now is the one that info was told of: another program may
// have put its own there, and on some file systems a file has another number after every opening.
func (w *Writer) identify(info fs.FileInfo) {
	named, err := os.Lstat(w.path)
	if err == nil && os.SameFile(info, named) && named.Size() == w.pos && named.ModTime().Equal(info.ModTime()) {
		*w.written = Written{hex.EncodeToString(w.digest.Sum(nil)), named}
	}
}

// Close gives up a file that Finish did not finish and removes what was written of it. After Finish it does
// nothing, so it can be deferred.
func (w *Writer) Close() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Discard()
	w.file = nil
	return err
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// appendValue appends type and value as the file holds them. With emit false it only checks the Go type.
func appendValue(b []byte, v any, emit bool) ([]byte, error) {
	le := binary.LittleEndian
	switch v := v.(type) {
	case uint8:
		return append(le.AppendUint32(b, uint32(Uint8)), v), nil
	case int8:
		return append(le.AppendUint32(b, uint32(Int8)), uint8(v)), nil
	case uint16:
		return le.AppendUint16(le.AppendUint32(b, uint32(Uint16)), v), nil
	case int16:
		return le.AppendUint16(le.AppendUint32(b, uint32(Int16)), uint16(v)), nil
	case uint32:
		return le.AppendUint32(le.AppendUint32(b, uint32(Uint32)), v), nil
	case int32:
		return le.AppendUint32(le.AppendUint32(b, uint32(Int32)), uint32(v)), nil
	case uint64:
		return le.AppendUint64(le.AppendUint32(b, uint32(Uint64)), v), nil
	case int64:
		return le.AppendUint64(le.AppendUint32(b, uint32(Int64)), uint64(v)), nil
	case float32:
		return le.AppendUint32(le.AppendUint32(b, uint32(Float32)), math.Float32bits(v)), nil
	case float64:
		return le.AppendUint64(le.AppendUint32(b, uint32(Float64)), math.Float64bits(v)), nil
	case bool:
		return append(le.AppendUint32(b, uint32(Bool)), boolByte(v)), nil
	case string:
		return appendString(le.AppendUint32(b, uint32(String)), v), nil
	case []string:
		return appendArray(b, v, String, emit, appendString), nil
	case []uint8:
		return appendArray(b, v, Uint8, emit, func(b []byte, x uint8) []byte { return append(b, x) }), nil
	case []int8:
		return appendArray(b, v, Int8, emit, func(b []byte, x int8) []byte { return append(b, uint8(x)) }), nil
	case []uint16:
		return appendArray(b, v, Uint16, emit, le.AppendUint16), nil
	case []int16:
		return appendArray(b, v, Int16, emit, func(b []byte, x int16) []byte { return le.AppendUint16(b, uint16(x)) }), nil
	case []uint32:
		return appendArray(b, v, Uint32, emit, le.AppendUint32), nil
	case []int32:
		return appendArray(b, v, Int32, emit, func(b []byte, x int32) []byte { return le.AppendUint32(b, uint32(x)) }), nil
	case []uint64:
		return appendArray(b, v, Uint64, emit, le.AppendUint64), nil
	case []int64:
		return appendArray(b, v, Int64, emit, func(b []byte, x int64) []byte { return le.AppendUint64(b, uint64(x)) }), nil
	case []float32:
		return appendArray(b, v, Float32, emit, func(b []byte, x float32) []byte { return le.AppendUint32(b, math.Float32bits(x)) }), nil
	case []float64:
		return appendArray(b, v, Float64, emit, func(b []byte, x float64) []byte { return le.AppendUint64(b, math.Float64bits(x)) }), nil
	case []bool:
		return appendArray(b, v, Bool, emit, func(b []byte, x bool) []byte { return append(b, boolByte(x)) }), nil
	}
	return b, fmt.Errorf("a metadata value cannot be a %T", v)
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendArray[T any](b []byte, v []T, elem ValueType, emit bool, add func([]byte, T) []byte) []byte {
	if !emit {
		return b
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(Array))
	b = binary.LittleEndian.AppendUint32(b, uint32(elem))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(v)))
	for _, x := range v {
		b = add(b, x)
	}
	return b
}
