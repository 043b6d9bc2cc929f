package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"llmscale/internal/checked"
)

// window is how many bytes the reader holds at once. Large enough that a vocabulary of 10 MB takes few calls,
// small enough to stay in the second-level cache while its lengths are walked.
const window = 256 << 10

// cursor walks a file front to back through one buffer. Its methods return 0 or "" after the first error, which
// it keeps: a step of the walk checks once, after its last field.
type cursor struct {
	path string
	r    io.ReaderAt
	size int64 // bytes in the file

	buf  []byte // what is held of the file
	base int64  // the file's offset of buf[0]
	pos  int    // next byte, as an index into buf; may lie behind its end after a skip

	what subject // what is being read, for errors
	err  error
}

// subject is put into words only for an error: made for each of the 2^18 tensors that a file may have, the words
// would take more memory than what is kept of them.
type subject struct {
	is    string // "the header"
	entry int64  // number of the entry; -1 where there is none or it has its name
	name  string // its key or tensor name, once that is known
}

func (s subject) String() string {
	switch {
	case s.entry >= 0:
		return fmt.Sprintf("%s %d", s.is, s.entry)
	case s.name != "":
		return s.is + " " + shown(s.name)
	}
	return s.is
}

func (c *cursor) offset() int64 { return c.base + int64(c.pos) }
func (c *cursor) left() int64   { return c.size - c.offset() }

func (c *cursor) fail(offset int64, want, format string, args ...any) {
	if c.err == nil {
		c.err = &FormatError{c.path, offset, fmt.Sprintf(format, args...), want}
	}
}

// need makes the next n bytes available in buf and returns them without moving on; nil after an error.
func (c *cursor) need(n int) []byte {
	if c.err != nil {
		return nil
	}
	if len(c.buf)-c.pos >= n {
		return c.buf[c.pos : c.pos+n]
	}
	if int64(n) > c.left() {
		c.fail(c.offset(), "", "the file ends at byte %d inside %s, which needs %d bytes more", c.size, c.what, int64(n)-c.left())
		return nil
	}
	c.base += int64(c.pos)
	c.pos = 0
	size := min(max(int64(n), window), c.size-c.base)
	if int64(cap(c.buf)) < size {
		c.buf = make([]byte, size)
	}
	c.buf = c.buf[:size]
	if got, err := c.r.ReadAt(c.buf, c.base); got < len(c.buf) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		c.err = fmt.Errorf("gguf: %s: reading %d bytes at byte %d: %w", c.path, size, c.base, err)
		return nil
	}
	return c.buf[:n]
}

func (c *cursor) u32() uint32 {
	b := c.need(4)
	if b == nil {
		return 0
	}
	c.pos += 4
	return binary.LittleEndian.Uint32(b)
}

func (c *cursor) u64() uint64 {
	b := c.need(8)
	if b == nil {
		return 0
	}
	c.pos += 8
	return binary.LittleEndian.Uint64(b)
}

// text reads a string of at most limit bytes.
func (c *cursor) text(limit int) string {
	at := c.offset()
	n := c.u64()
	switch {
	case c.err != nil:
	case n > uint64(limit):
		c.fail(at, fmt.Sprintf("at most %d", limit), "%s is %d bytes long", c.what, n)
	case n > uint64(c.left()):
		c.fail(at, "", "%s is %d bytes long, but the file ends after %d (at byte %d)", c.what, n, c.left(), c.size)
	}
	if c.err != nil {
		return ""
	}
	b := c.need(int(n))
	c.pos += len(b)
	return string(b)
}

// skip moves over n bytes of the file. The field that says so stands at byte at.
func (c *cursor) skip(at int64, n uint64) {
	if c.err != nil {
		return
	}
	if left := c.left(); n > uint64(left) {
		c.fail(at, "", "%s takes %d bytes, but the file ends after %d (at byte %d)", c.what, n, left, c.size)
		return
	}
	if uint64(len(c.buf)-c.pos) >= n {
		c.pos += int(n)
		return
	}
	c.base += int64(c.pos) + int64(n)
	c.buf, c.pos = c.buf[:0], 0
}

// skipStrings moves over count strings by their lengths alone.
func (c *cursor) skipStrings(count int64) {
	n := count
	for n > 0 && c.err == nil {
		// The loop over what the buffer holds is the one that a large vocabulary spends its time in.
		buf, pos := c.buf, c.pos
		for n > 0 && len(buf)-pos >= 8 {
			size := binary.LittleEndian.Uint64(buf[pos:])
			if size > uint64(len(buf)-pos-8) {
				break
			}
			pos += 8 + int(size)
			n--
		}
		c.pos = pos
		if n == 0 {
			return
		}
		at := c.offset()
		size := c.u64()
		if left := c.left(); c.err == nil && size > uint64(left) {
			c.fail(at, "", "string %d of %s takes %d bytes, but the file ends after %d (at byte %d)", count-n, c.what, size, left, c.size)
		}
		c.skip(at, size)
		n--
	}
}

func read(path string, r io.ReaderAt, size int64) (*File, error) {
	if size < 0 || size > maxFile {
		return nil, &FormatError{path, 0, fmt.Sprintf("a file of %d bytes", size), "0 to 2^60"}
	}
	c := &cursor{path: path, r: r, size: size}
	f := &File{Path: path, Size: size, own: size, r: r}

	nTensors, nKeys := c.header(f)
	room := c.room(nKeys, leastKV)
	f.KVs, f.keys = make([]KV, 0, room), make(map[string]int, room)
	for i := uint64(0); i < nKeys && c.err == nil; i++ {
		c.keyValue(f, i)
		c.after(f)
	}
	c.alignment(f)
	room = c.room(nTensors, leastTensor)
	f.Tensors, f.tensors = make([]Tensor, 0, room), make(map[string]int, room)
	places := make([]int64, 0, room) // offsets of the table's offset fields, for errors
	for i := uint64(0); i < nTensors && c.err == nil; i++ {
		places = append(places, c.tensor(f, i))
		c.after(f)
	}
	c.padding(f)
	c.layout(f, places)
	if c.err != nil {
		return nil, c.err
	}
	return f, nil
}

// Bytes that an entry takes in the file at least: length of the name, its one byte, type and value of a key;
// length, byte, number of dimensions, one of them, type and offset of a tensor.
const (
	leastKV     = 8 + 1 + 4 + 1
	leastTensor = 8 + 1 + 4 + 8 + 4 + 8
)

// room is how many of n promised entries the rest of the file can hold: what they take in memory is bounded by what
// they take there.
func (c *cursor) room(n uint64, least int64) int {
	if c.err != nil {
		return 0
	}
	return int(min(n, uint64(c.left()/least)))
}

func (c *cursor) header(f *File) (nTensors, nKeys uint64) {
	c.what = subject{"the header", -1, ""}
	magic := c.need(4)
	if magic != nil && string(magic) != "GGUF" {
		c.fail(0, `"GGUF"`, "the file begins with %q: this is no GGUF file", magic)
		return
	}
	c.pos += len(magic)
	f.Version = c.u32()
	nTensors = c.u64()
	nKeys = c.u64()
	switch {
	case c.err != nil:
	case f.Version != 0 && f.Version&0xffff == 0:
		c.fail(4, "a little-endian file", "the version number is byte-swapped: a big-endian GGUF file")
	case f.Version != 2 && f.Version != 3:
		c.fail(4, "2 or 3", "GGUF version %d", f.Version)
	case nTensors > maxTensors:
		c.fail(8, fmt.Sprintf("at most %d", maxTensors), "the header promises %d tensors", nTensors)
	case nKeys > maxKeys:
		c.fail(16, fmt.Sprintf("at most %d", maxKeys), "the header promises %d metadata entries", nKeys)
	}
	return nTensors, nKeys
}

// after adds to an error what was read last. A wrong type, length or count of one entry is often noticed only in
// the next, where the walk has lost its step.
func (c *cursor) after(f *File) {
	e, ok := c.err.(*FormatError)
	switch {
	case !ok:
	case len(f.Tensors) > 0:
		e.What += fmt.Sprintf(" (after tensor %q)", f.Tensors[len(f.Tensors)-1].Name)
	case len(f.KVs) > 0:
		e.What += " (after key " + shown(f.KVs[len(f.KVs)-1].Key) + ")"
	}
}

// shown quotes a key for an error, the beginning of it where it is longer than any that is meant to be read.
func shown(key string) string {
	const most = 200
	if len(key) > most {
		return strconv.Quote(key[:most]) + "..."
	}
	return strconv.Quote(key)
}

func (c *cursor) keyValue(f *File, i uint64) {
	at := c.offset()
	c.what = subject{"the name of metadata entry", int64(i), ""}
	key := c.text(maxKeyBytes)
	if c.err != nil {
		return
	}
	c.what = subject{"the value of key", -1, key}
	// ggml looks keys up as C strings: there, "general.alignment\x00b" would be the alignment.
	if key == "" || strings.IndexByte(key, 0) >= 0 {
		c.fail(at, "one or more bytes, none of them zero", "metadata entry %d is called %s", i, shown(key))
	}
	if _, dup := f.keys[key]; dup {
		c.fail(at, "each key once", "key %s stands here for the second time", shown(key))
	}
	kv := KV{Key: key, Count: 1}
	at = c.offset()
	kv.Type = ValueType(c.u32())
	c.known(kv.Type, at)
	if kv.Type == Array {
		c.array(&kv)
	} else if kv.Type == String {
		at := c.offset()
		n := c.u64()
		kv.Offset = c.offset()
		c.skip(at, n)
		kv.Count = int64(n)
		kv.Size = int64(n)
	} else if c.err == nil {
		kv.Offset = c.offset()
		kv.Size = kv.Type.size()
		if b := c.need(int(kv.Size)); b != nil {
			kv.bits = loadUint(b, len(b))
			c.pos += len(b)
		}
	}
	if c.err != nil {
		return
	}
	f.keys[key] = len(f.KVs)
	f.KVs = append(f.KVs, kv)
}

func (c *cursor) known(t ValueType, at int64) {
	if c.err == nil && int(t) >= len(valueTypes) {
		c.fail(at, "0 to 12", "%s has type number %d", c.what, uint32(t))
	}
}

func (c *cursor) array(kv *KV) {
	at := c.offset()
	kv.Elem = ValueType(c.u32())
	c.known(kv.Elem, at)
	if c.err == nil && kv.Elem == Array {
		// The format would allow it; ggml and llama.cpp refuse it, so no model has it, and refusing bounds depth.
		c.fail(at, "an array of numbers, bools or strings", "%s is an array of arrays", c.what)
	}
	at = c.offset()
	n := c.u64()
	kv.Offset = c.offset()
	if c.err != nil {
		return
	}
	least := kv.Elem.size()
	if kv.Elem == String {
		least = 8 // the length of each
	}
	if n > uint64(c.left()/least) {
		c.fail(at, "", "%s is an array of %d %s, but only %d bytes of the file are left", c.what, n, kv.Elem, c.left())
		return
	}
	kv.Count = int64(n)
	if kv.Elem == String {
		c.skipStrings(kv.Count)
		kv.Size = c.offset() - kv.Offset
		return
	}
	kv.Size = kv.Count * least
	c.skip(at, uint64(kv.Size))
}

func (c *cursor) alignment(f *File) {
	f.Alignment = defaultAlignment
	kv, ok := f.KV("general.alignment")
	if !ok || c.err != nil {
		return
	}
	// ggml aborts on any other type, so a file that has one is no use to anybody.
	if kv.Type != Uint32 {
		c.fail(kv.Offset, "uint32", "general.alignment is %s", kv.Type)
		return
	}
	f.Alignment = int64(kv.bits)
	if f.Alignment == 0 || f.Alignment&(f.Alignment-1) != 0 {
		c.fail(kv.Offset, "a power of two", "general.alignment is %d", f.Alignment)
	}
}

// tensor reads one entry of the tensor table. Its Offset stays relative to the data section until layout.
func (c *cursor) tensor(f *File, i uint64) (place int64) {
	at := c.offset()
	c.what = subject{"the name of tensor", int64(i), ""}
	t := Tensor{Name: c.text(maxTensorName)}
	if c.err != nil {
		return
	}
	if t.Name == "" || strings.IndexByte(t.Name, 0) >= 0 {
		c.fail(at, "one or more bytes, none of them zero", "tensor %d is called %q", i, t.Name)
	}
	if _, dup := f.tensors[t.Name]; dup {
		c.fail(at, "each name once", "tensor %q stands here for the second time", t.Name)
	}
	c.what = subject{"the entry of tensor", -1, t.Name}
	at = c.offset()
	n := c.u32()
	if c.err == nil && (n < 1 || n > maxDims) {
		c.fail(at, fmt.Sprintf("1 to %d", maxDims), "tensor %q has %d dimensions", t.Name, n)
	}
	if c.err != nil {
		return
	}
	t.Dims = make([]int64, n)
	for j := range t.Dims {
		at := c.offset()
		d := c.u64()
		if c.err == nil && (d < 1 || d > math.MaxInt64) {
			c.fail(at, "1 to 2^63-1", "tensor %q: dimension %d is %d", t.Name, j, d)
		}
		t.Dims[j] = int64(d)
	}
	typeAt := c.offset()
	t.Type = Type(c.u32())
	place = c.offset()
	rel := c.u64()
	if c.err != nil {
		return
	}
	if _, ok := t.Type.Info(); !ok {
		c.fail(typeAt, "a number that ggml uses", "tensor %q has type number %d", t.Name, uint32(t.Type))
		return
	}
	var err error
	if t.Elements, t.Size, err = shapeSize(t.Type, t.Dims); err != nil {
		c.fail(at, "", "tensor %q: %v", t.Name, err)
	}
	// What lies past the file's end is for layout to say, which knows whether it is this tensor that is wrong or the
	// end. Here it only must not overflow.
	if rel > maxOffset {
		c.fail(place, fmt.Sprintf("at most %d", int64(maxOffset)), "tensor %q: its data starts %d bytes into the data section", t.Name, rel)
	}
	if rel%uint64(f.Alignment) != 0 {
		c.fail(place, fmt.Sprintf("a multiple of general.alignment, %d", f.Alignment), "tensor %q: its data starts at %d of the data section", t.Name, rel)
	}
	if c.err != nil {
		return
	}
	t.Offset = int64(rel)
	f.tensors[t.Name] = len(f.Tensors)
	f.Tensors = append(f.Tensors, t)
	return place
}

// padding checks that nothing but zeros stands between the tensor table and the data. The format wants them zero;
// that they are is the only sign that the header's count of tensors does not stop short of the table's end, which
// would move the data of all.
func (c *cursor) padding(f *File) {
	c.what = subject{"the padding before the tensor data", -1, ""}
	start, ok := checked.AlignUp(c.offset(), f.Alignment)
	if !ok || c.err != nil {
		return
	}
	// A hostile alignment may be 2 GiB; a table that goes on begins at once.
	for i, b := range c.need(int(min(start-c.offset(), c.left(), window))) {
		if b != 0 {
			c.fail(c.offset()+int64(i), "zero", "%s holds %#02x: does the table have more tensors than the %d of the header?", c.what, b, len(f.Tensors))
			c.after(f)
			return
		}
	}
}

// layout turns the tensors' offsets into offsets from the start of the file, and checks that the data lies inside
// the file and that no two tensors share bytes. Gaps and any order are allowed.
func (c *cursor) layout(f *File, places []int64) {
	if c.err != nil {
		return
	}
	start, ok := checked.AlignUp(c.offset(), f.Alignment)
	if !ok {
		c.fail(c.offset(), "", "the start of the tensor data does not fit into 63 bits")
		return
	}
	f.DataOffset = start
	order := make([]int, len(f.Tensors))
	for i := range f.Tensors {
		t := &f.Tensors[i]
		order[i] = i
		// The offset is at most 2^61 and start at most 2^60 (the file's size) and 2^32 (the alignment): no overflow.
		t.Offset += start
		if t.Offset > f.Size || t.Size > f.Size-t.Offset {
			c.fail(places[i], "", "tensor %q: its %d bytes of data start at byte %d, but the file ends at byte %d (is it cut short?)", t.Name, t.Size, t.Offset, f.Size)
			return
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return int(min(1, max(-1, f.Tensors[a].Offset-f.Tensors[b].Offset)))
	})
	for i := 1; i < len(order); i++ {
		a, b := &f.Tensors[order[i-1]], &f.Tensors[order[i]]
		if a.Offset+a.Size > b.Offset {
			c.fail(places[order[i]], "", "the data of tensors %q (bytes %d to %d) and %q (from byte %d) overlap", a.Name, a.Offset, a.Offset+a.Size, b.Name, b.Offset)
			return
		}
	}
}
