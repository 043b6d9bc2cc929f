package gguf

import (
	"fmt"
	"strings"

	"llmscale/internal/checked"
)

// Type is the number by which a GGUF file names the storage type of a tensor (ggml's enum ggml_type).
type Type uint32

// The storage types of ggml as of llama.cpp 0c1e57098; the last three are unknown to Ollama's (ec98e2002). Numbers 31-33 and 36-38 were repacked layouts that files
// no longer hold, 5 was q4_3.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q8_1   Type = 9
	Q2_K   Type = 10
	Q3_K   Type = 11
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	Q8_K   Type = 15
	IQ2XXS Type = 16
	IQ2XS  Type = 17
	IQ3XXS Type = 18
	IQ1S   Type = 19
	IQ4NL  Type = 20
	IQ3S   Type = 21
	IQ2S   Type = 22
	IQ4XS  Type = 23
	I8     Type = 24
	I16    Type = 25
	I32    Type = 26
	I64    Type = 27
	F64    Type = 28
	IQ1M   Type = 29
	BF16   Type = 30
	TQ1_0  Type = 34
	TQ2_0  Type = 35
	MXFP4  Type = 39
	NVFP4  Type = 40
	Q1_0   Type = 41
	Q2_0   Type = 42

	// MXFP4Ollama is how the first gpt-oss files in Ollama's library mark MXFP4: under number 4, which in ggml is
	// the removed q4_2, with the two nibbles of a byte in the order of the published safetensors. Ollama's own
	// engine reorders them while loading; llama.cpp refuses such a file. Sizes equal those of MXFP4.
	MXFP4Ollama Type = 4
)

// TypeInfo says how a type stores its elements: always whole blocks along a tensor's first dimension.
type TypeInfo struct {
	Type       Type
	Name       string // as ggml prints it, for instance "q4_K"
	BlockSize  int64  // elements in one block
	BlockBytes int64  // bytes that one block takes in the file
}

// Block bytes are written as the sum of the block's parts (scales, mins, high bits, quants) in the order of
// ggml-common.h, so that each can be checked against it by eye. "half" is a 2-byte float.
const (
	half   = 2
	superK = 256 // elements in a super-block of the K- and I-quants
)

var typeTable = [...]TypeInfo{
	{F32, "f32", 1, 4},
	{F16, "f16", 1, 2},
	{Q4_0, "q4_0", 32, half + 16},
	{Q4_1, "q4_1", 32, 2*half + 16},
	{MXFP4Ollama, "mxfp4_ollama", 32, 1 + 16},
	{Q5_0, "q5_0", 32, half + 4 + 16},
	{Q5_1, "q5_1", 32, 2*half + 4 + 16},
	{Q8_0, "q8_0", 32, half + 32},
	{Q8_1, "q8_1", 32, 2*half + 32},
	{Q2_K, "q2_K", superK, superK/16 + superK/4 + 2*half},
	{Q3_K, "q3_K", superK, superK/8 + superK/4 + 12 + half},
	{Q4_K, "q4_K", superK, 2*half + 12 + superK/2},
	{Q5_K, "q5_K", superK, 2*half + 12 + superK/8 + superK/2},
	{Q6_K, "q6_K", superK, superK/2 + superK/4 + superK/16 + half},
	{Q8_K, "q8_K", superK, 4 + superK + superK/16*2},
	{IQ2XXS, "iq2_xxs", superK, half + superK/8*2},
	{IQ2XS, "iq2_xs", superK, half + superK/8*2 + superK/32},
	{IQ3XXS, "iq3_xxs", superK, half + 3*superK/8},
	{IQ1S, "iq1_s", superK, half + superK/8 + superK/32*2},
	{IQ4NL, "iq4_nl", 32, half + 16},
	{IQ3S, "iq3_s", superK, half + superK/4 + superK/32 + superK/8 + superK/64},
	{IQ2S, "iq2_s", superK, half + superK/4 + superK/32 + superK/32},
	{IQ4XS, "iq4_xs", superK, half + 2 + superK/64 + superK/2},
	{I8, "i8", 1, 1},
	{I16, "i16", 1, 2},
	{I32, "i32", 1, 4},
	{I64, "i64", 1, 8},
	{F64, "f64", 1, 8},
	{IQ1M, "iq1_m", superK, superK/8 + superK/16 + superK/32},
	{BF16, "bf16", 1, 2},
	{TQ1_0, "tq1_0", superK, (superK-4*superK/64)/5 + superK/64 + half},
	{TQ2_0, "tq2_0", superK, superK/4 + half},
	{MXFP4, "mxfp4", 32, 1 + 16},
	{NVFP4, "nvfp4", 64, 64/16 + 32},
	{Q1_0, "q1_0", 128, half + 128/8},
	{Q2_0, "q2_0", 64, half + 64/4},
}

// Types lists every storage type that this package knows, in the order of their numbers.
func Types() []TypeInfo {
	return append([]TypeInfo(nil), typeTable[:]...)
}

// Info returns how t stores its elements; false if the number is none that ggml uses.
func (t Type) Info() (TypeInfo, bool) {
	for i := range typeTable {
		if typeTable[i].Type == t {
			return typeTable[i], true
		}
	}
	return TypeInfo{}, false
}

// String returns ggml's name of the type, or "type 77" for an unknown number.
func (t Type) String() string {
	if info, ok := t.Info(); ok {
		return info.Name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// MarshalText gives JSON ggml's name of the type.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes of a known type.
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = ParseType(string(b))
	return err
}

// ParseType finds a type by its name in any letter case ("f16", "Q4_K").
func ParseType(name string) (Type, error) {
	for i := range typeTable {
		if strings.EqualFold(typeTable[i].Name, name) {
			return typeTable[i].Type, nil
		}
	}
	names := make([]string, len(typeTable))
	for i := range typeTable {
		names[i] = typeTable[i].Name
	}
	return 0, fmt.Errorf("gguf: no tensor type %q; want one of %s", name, strings.Join(names, " "))
}

// RowBytes returns the bytes that n elements in one row take. It fails if n is negative or does not fill whole
// blocks, if the type is unknown, and if the size does not fit into an int64.
func (t Type) RowBytes(n int64) (int64, error) {
	info, ok := t.Info()
	if !ok {
		return 0, fmt.Errorf("unknown tensor type number %d", uint32(t))
	}
	if n < 0 || n%info.BlockSize != 0 {
		return 0, fmt.Errorf("a row of %d elements is no multiple of the %d elements in a block of %s", n, info.BlockSize, info.Name)
	}
	size, ok := checked.Mul(n/info.BlockSize, info.BlockBytes)
	if !ok {
		return 0, fmt.Errorf("a row of %d elements of %s does not fit into 63 bits", n, info.Name)
	}
	return size, nil
}

// shapeSize returns elements and bytes of a tensor. The message of its error names neither tensor nor offset:
// the reader and the writer add what they know.
func shapeSize(t Type, dims []int64) (elements, bytes int64, err error) {
	if len(dims) < 1 || len(dims) > maxDims {
		return 0, 0, fmt.Errorf("%d dimensions; want 1 to %d", len(dims), maxDims)
	}
	for i, d := range dims {
		if d < 1 {
			return 0, 0, fmt.Errorf("dimension %d is %d; want at least 1", i, d)
		}
	}
	if bytes, err = t.RowBytes(dims[0]); err != nil {
		return 0, 0, err
	}
	elements = dims[0]
	for _, d := range dims[1:] {
		var ok, okBytes bool
		elements, ok = checked.Mul(elements, d)
		bytes, okBytes = checked.Mul(bytes, d)
		if !ok || !okBytes {
			return 0, 0, fmt.Errorf("shape %v of %s does not fit into 63 bits", dims, t)
		}
	}
	return elements, bytes, nil
}
