package gguf

import (
	"bytes"
	"fmt"

	"llmscale/internal/checked"
)

// Preview returns the File that Open would give after Create, the tensors' data and Finish, without writing
// anything: a model can be described and measured before it is made. Its tensor data read as zeros.
func Preview(entries []Entry, specs []Spec) (*File, error) {
	tensors, align, err := plan(entries, specs)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	var head bytes.Buffer
	head.Grow(int(tablesBytes(entries, tensors)) + bytes.MinRead)
	w := &Writer{tensors: tensors, align: align}
	if err := w.tables(&head, entries); err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	return Read(sparse(head.Bytes()), wholeBytes(int64(head.Len()), tensors, align))
}

// Size returns the size of the file that Preview previews, in bytes, without making its header.
func Size(entries []Entry, specs []Spec) (int64, error) {
	tensors, align, err := plan(entries, specs)
	if err != nil {
		return 0, fmt.Errorf("gguf: %w", err)
	}
	return wholeBytes(tablesBytes(entries, tensors), tensors, align), nil
}

// wholeBytes is the size of a file of which the header, with metadata and tensor table, takes head bytes.
func wholeBytes(head int64, tensors []Tensor, align int64) int64 {
	size, _ := checked.AlignUp(head, align)
	if n := len(tensors); n > 0 {
		end, _ := checked.AlignUp(tensors[n-1].Size, align)
		size += tensors[n-1].Offset + end
	}
	return size
}

// tablesBytes is how many bytes Writer.tables writes.
func tablesBytes(entries []Entry, tensors []Tensor) int64 {
	n := int64(4 + 4 + 8 + 8)
	for _, e := range entries {
		n += 8 + int64(len(e.Key)) + valueBytes(e.Value)
	}
	for _, t := range tensors {
		n += 8 + int64(len(t.Name)) + 4 + 8*int64(len(t.Dims)) + 4 + 8
	}
	return n
}

// valueBytes is the length of what appendValue appends.
func valueBytes(v any) int64 {
	const array = 4 + 4 + 8 // type, type of the elements, their number
	switch v := v.(type) {  // what a vocabulary is made of
	case []string:
		n := int64(array)
		for _, s := range v {
			n += 8 + int64(len(s))
		}
		return n
	case []int32:
		return array + 4*int64(len(v))
	}
	b, _ := appendValue(nil, v, true)
	return int64(len(b))
}

// sparse is the beginning of a file of which the rest is zeros that take no memory.
type sparse []byte

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(s)) {
		n = copy(p, s[off:])
	}
	clear(p[n:])
	return len(p), nil
}
