package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// ValueType is the number by which a GGUF file names the type of a metadata value.
type ValueType uint32

// The metadata types.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

var valueTypes = [...]struct {
	name string
	size int64 // bytes of one value; 0 where it varies
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2},
	Uint32: {"uint32", 4}, Int32: {"int32", 4}, Float32: {"float32", 4}, Bool: {"bool", 1},
	String: {"string", 0}, Array: {"array", 0}, Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float64: {"float64", 8},
}

// String returns the type's name, for instance "uint32".
func (t ValueType) String() string {
	if int(t) < len(valueTypes) {
		return valueTypes[t].name
	}
	return fmt.Sprintf("value type %d", uint32(t))
}

func (t ValueType) size() int64 { return valueTypes[t].size }

// KV is one metadata entry: its name and where its value lies.
type KV struct {
	Key    string
	Type   ValueType
	Elem   ValueType // type of the elements; meaningful if Type is Array
	Count  int64     // elements of an array, bytes of a string, otherwise 1
	Offset int64     // bytes from the start of the file to the value's first element or byte
	Size   int64     // bytes of the value; in an array of strings the length fields are included

	bits uint64 // the raw value where Type is a number or a bool
}

// IsArray tells whether the value is an array.
func (kv *KV) IsArray() bool { return kv.Type == Array }

// KV finds a metadata entry by its key.
func (f *File) KV(key string) (*KV, bool) {
	i, ok := f.keys[key]
	if !ok {
		return nil, false
	}
	return &f.KVs[i], true
}

func (f *File) lookup(key string) (*KV, error) {
	kv, ok := f.KV(key)
	if !ok {
		return nil, fmt.Errorf("gguf: %skey %q: %w", f.prefix(), key, ErrNoKey)
	}
	return kv, nil
}

func (f *File) prefix() string {
	if f.Path == "" {
		return ""
	}
	return f.Path + ": "
}

func (f *File) wrongType(kv *KV, want string) error {
	have := kv.Type.String()
	if kv.IsArray() {
		have = "array of " + kv.Elem.String()
	}
	return &FormatError{f.Path, kv.Offset, fmt.Sprintf("key %q is %s", kv.Key, have), want}
}

// Int returns an integer of any width. A uint64 above the largest int64 is an error, as is any other type.
func (f *File) Int(key string) (int64, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return 0, err
	}
	v, ok := intValue(kv.Type, kv.bits)
	if !ok {
		return 0, f.wrongType(kv, "an integer below 2^63")
	}
	return v, nil
}

// IntWithin is Int of a key that must lie between two bounds; allowed names them for people.
func (f *File) IntWithin(key string, least, most int64, allowed string) (int64, error) {
	n, err := f.Int(key)
	if err == nil && (n < least || n > most) {
		kv, _ := f.KV(key)
		err = &FormatError{f.Path, kv.Offset, fmt.Sprintf("key %q is %d", key, n), allowed}
	}
	return n, err
}

// Float returns a number of any type as a float64.
func (f *File) Float(key string) (float64, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return 0, err
	}
	v, ok := floatValue(kv.Type, kv.bits)
	if !ok {
		return 0, f.wrongType(kv, "a number")
	}
	return v, nil
}

// Bool returns a bool; any byte but 0 counts as true, as in ggml.
func (f *File) Bool(key string) (bool, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return false, err
	}
	if kv.Type != Bool {
		return false, f.wrongType(kv, "bool")
	}
	return kv.bits != 0, nil
}

// Text returns a string value. Its bytes are what the file holds; they need not be UTF-8.
func (f *File) Text(key string) (string, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return "", err
	}
	if kv.Type != String {
		return "", f.wrongType(kv, "string")
	}
	b, err := f.bytes(kv)
	return string(b), err
}

// Strings decodes an array of strings. The strings share one allocation of the array's size in the file.
func (f *File) Strings(key string) ([]string, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return nil, err
	}
	if !kv.IsArray() || kv.Elem != String {
		return nil, f.wrongType(kv, "array of string")
	}
	b, err := f.bytes(kv)
	if err != nil {
		return nil, err
	}
	var sb strings.Builder // copies once and hands the copy over as a string
	sb.Write(b)
	all := sb.String()
	out := make([]string, kv.Count)
	pos := uint64(0)
	for i := range out {
		// The walk in read proved these bounds; a file changed since then must still not panic.
		if uint64(len(b))-pos < 8 {
			return nil, f.changed(kv)
		}
		n := binary.LittleEndian.Uint64(b[pos:])
		pos += 8
		if n > uint64(len(b))-pos {
			return nil, f.changed(kv)
		}
		out[i] = all[pos : pos+n]
		pos += n
	}
	return out, nil
}

func (f *File) changed(kv *KV) error {
	return &FormatError{f.Path, kv.Offset, fmt.Sprintf("key %q: its strings are not those that were there on opening", kv.Key), "a file that nobody writes to"}
}

// Ints decodes an array of integers of any width. A single integer gives a slice of one.
func (f *File) Ints(key string) ([]int64, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return nil, err
	}
	return decode(f, kv, "array of integers", intValue)
}

// IntsOrBools is Ints that takes bools too, as 0 and 1.
func (f *File) IntsOrBools(key string) ([]int64, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return nil, err
	}
	return decode(f, kv, "integers or bools", func(t ValueType, u uint64) (int64, bool) {
		if t == Bool {
			return int64(u), true
		}
		return intValue(t, u)
	})
}

// Floats decodes an array of numbers of any type. A single number gives a slice of one.
func (f *File) Floats(key string) ([]float64, error) {
	kv, err := f.lookup(key)
	if err != nil {
		return nil, err
	}
	return decode(f, kv, "array of numbers", floatValue)
}

// Value decodes the entry into what Go calls its type: uint8 ... float64, bool, string, or a slice of those.
// Such values can be given to Create, so this copies metadata from one file to another unchanged.
func (f *File) Value(kv *KV) (any, error) {
	if !kv.IsArray() {
		switch kv.Type {
		case String:
			return f.Text(kv.Key)
		case Bool:
			return kv.bits != 0, nil
		}
		return scalar(kv.Type, kv.bits), nil
	}
	if kv.Elem == String {
		return f.Strings(kv.Key)
	}
	b, err := f.bytes(kv)
	if err != nil {
		return nil, err
	}
	switch kv.Elem {
	case Uint8:
		return b, nil
	case Int8:
		return sliceOf(b, 1, func(u uint64) int8 { return int8(u) }), nil
	case Uint16:
		return sliceOf(b, 2, func(u uint64) uint16 { return uint16(u) }), nil
	case Int16:
		return sliceOf(b, 2, func(u uint64) int16 { return int16(u) }), nil
	case Uint32:
		return sliceOf(b, 4, func(u uint64) uint32 { return uint32(u) }), nil
	case Int32:
		return sliceOf(b, 4, func(u uint64) int32 { return int32(u) }), nil
	case Uint64:
		return sliceOf(b, 8, func(u uint64) uint64 { return u }), nil
	case Int64:
		return sliceOf(b, 8, func(u uint64) int64 { return int64(u) }), nil
	case Float32:
		return sliceOf(b, 4, func(u uint64) float32 { return math.Float32frombits(uint32(u)) }), nil
	case Float64:
		return sliceOf(b, 8, math.Float64frombits), nil
	case Bool:
		return sliceOf(b, 1, func(u uint64) bool { return u != 0 }), nil
	}
	return nil, f.wrongType(kv, "a known element type")
}

func scalar(t ValueType, u uint64) any {
	switch t {
	case Uint8:
		return uint8(u)
	case Int8:
		return int8(u)
	case Uint16:
		return uint16(u)
	case Int16:
		return int16(u)
	case Uint32:
		return uint32(u)
	case Int32:
		return int32(u)
	case Int64:
		return int64(u)
	case Float32:
		return math.Float32frombits(uint32(u))
	case Float64:
		return math.Float64frombits(u)
	}
	return u
}

func sliceOf[T any](b []byte, size int, conv func(uint64) T) []T {
	out := make([]T, len(b)/size)
	for i := range out {
		out[i] = conv(loadUint(b[i*size:], size))
	}
	return out
}

func loadUint(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func decode[T any](f *File, kv *KV, want string, conv func(ValueType, uint64) (T, bool)) ([]T, error) {
	if !kv.IsArray() {
		v, ok := conv(kv.Type, kv.bits)
		if !ok {
			return nil, f.wrongType(kv, want)
		}
		return []T{v}, nil
	}
	if _, ok := conv(kv.Elem, 0); !ok {
		return nil, f.wrongType(kv, want)
	}
	b, err := f.bytes(kv)
	if err != nil {
		return nil, err
	}
	size := int(kv.Elem.size())
	out := make([]T, kv.Count)
	for i := range out {
		v, ok := conv(kv.Elem, loadUint(b[i*size:], size))
		if !ok {
			return nil, f.wrongType(kv, want+" that fit")
		}
		out[i] = v
	}
	return out, nil
}

func intValue(t ValueType, u uint64) (int64, bool) {
	switch t {
	case Uint8, Uint16, Uint32, Uint64:
		return int64(u), u <= math.MaxInt64
	case Int8:
		return int64(int8(u)), true
	case Int16:
		return int64(int16(u)), true
	case Int32:
		return int64(int32(u)), true
	case Int64:
		return int64(u), true
	}
	return 0, false
}

func floatValue(t ValueType, u uint64) (float64, bool) {
	switch t {
	case Float32:
		return float64(math.Float32frombits(uint32(u))), true
	case Float64:
		return math.Float64frombits(u), true
	case Uint64:
		return float64(u), true
	}
	v, ok := intValue(t, u)
	return float64(v), ok
}

// bytes reads the value's bytes. Their number was checked against the file's length on opening.
func (f *File) bytes(kv *KV) ([]byte, error) {
	b := make([]byte, kv.Size)
	if n, err := f.r.ReadAt(b, kv.Offset); n < len(b) {
		return nil, fmt.Errorf("gguf: %skey %q at byte %d: %w", f.prefix(), kv.Key, kv.Offset, err)
	}
	return b, nil
}
