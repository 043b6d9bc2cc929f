// SPDX-License-Identifier: MIT

package gguf

import (
	"bytes"
	"io"
)

// DescribeSpecs describes the file that Create would start from the same entries and specs, without writing it.
func DescribeSpecs(entries []Entry, specs []Spec) (Description, error) {
	size, err := FileSize(entries, specs)
	if err != nil {
		return Description{}, err
	}
	w := &Writer{}
	if w.tensors, w.align, err = plan(entries, specs); err != nil {
		return Description{}, err
	}
	var tables bytes.Buffer
	if _, err := w.tables(&tables, entries); err != nil {
		return Description{}, err
	}
	f, err := Read(prefix(tables.Bytes()), size)
	if err != nil {
		return Description{}, err
	}
	return Describe(f)
}

// prefix reads as a file that begins with these bytes and goes on in zeros.
type prefix []byte

func (p prefix) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, io.EOF
	}
	n := 0
	if off < int64(len(p)) {
		n = copy(b, p[off:])
	}
	clear(b[n:])
	return len(b), nil
}
