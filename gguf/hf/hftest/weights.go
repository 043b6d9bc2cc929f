// Package hftest makes GPT-2 folders in the layout of Hugging Face, with random weights and a small vocabulary, for
// tests. What it writes is made from the formats' definitions alone and shares no code with the readers.
package hftest

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Tensor is a tensor to write. Exactly one of Data and Raw is set.
type Tensor struct {
	Name  string
	DType string // as safetensors spells it: F32, F16, BF16 or F64 for Data, any for Raw
	Shape []int64

	Data []float32 // what DType must be able to hold exactly: nothing is rounded
	Raw  []byte    // little endian

	// Same names an earlier tensor of the file whose storage this one shares, as torch.save has it for a tied
	// head. Only Torch heeds it.
	Same string

	// Stride, if not nil, is written instead of that of a contiguous tensor. Only Torch heeds it.
	Stride []int64
}

// bytes returns the tensor's data as a file holds it.
func (t *Tensor) bytes() []byte {
	if t.Raw != nil {
		return t.Raw
	}
	var b []byte
	for _, v := range t.Data {
		bits := math.Float32bits(v)
		switch t.DType {
		case "F32":
			b = binary.LittleEndian.AppendUint32(b, bits)
		case "F64":
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(v)))
		case "BF16":
			if bits&0xffff != 0 {
				panic(fmt.Sprintf("hftest: %s: %g is no bfloat16", t.Name, v))
			}
			b = binary.LittleEndian.AppendUint16(b, uint16(bits>>16))
		case "F16":
			b = binary.LittleEndian.AppendUint16(b, half(t.Name, v))
		default:
			panic("hftest: " + t.Name + ": no floats in " + t.DType)
		}
	}
	return b
}

// half returns the bits of a number that is zero or a normal float16.
func half(name string, v float32) uint16 {
	frac, exp := math.Frexp(math.Abs(float64(v)))
	m := math.Ldexp(frac, 11) // 1024 to 2047 and nothing behind the point
	if v == 0 {
		return 0
	}
	if m != math.Trunc(m) || exp < -13 || exp > 16 {
		panic(fmt.Sprintf("hftest: %s: %g is no float16", name, v))
	}
	h := uint16(exp+14)<<10 + uint16(m) - 1024
	if v < 0 {
		h |= 0x8000
	}
	return h
}

// Safetensors returns a file of the tensors.
func Safetensors(ts []Tensor) []byte {
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for i := range ts {
		t := &ts[i]
		begin := len(data)
		data = append(data, t.bytes()...)
		header[t.Name] = map[string]any{"dtype": t.DType, "shape": notNil(t.Shape), "data_offsets": []int{begin, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), data...)
}

func notNil(v []int64) []int64 {
	if v == nil {
		return []int64{}
	}
	return v
}

// Entry is one entry of a zip archive.
type Entry struct {
	Name     string
	Data     []byte
	Compress bool
}

// Zip returns an archive of the entries.
func Zip(entries ...Entry) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, e := range entries {
		method := zip.Store
		if e.Compress {
			method = zip.Deflate
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.Name, Method: method})
		if err == nil {
			_, err = w.Write(e.Data)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

var torchTypes = map[string]string{
	"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage", "F64": "DoubleStorage",
	"I64": "LongStorage", "I32": "IntStorage", "U8": "ByteStorage", "BOOL": "BoolStorage",
}

var widths = map[string]int64{"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}

// Torch returns what torch.save makes of a state dict of the tensors, a zip archive with a pickle of protocol 2.
func Torch(ts []Tensor) []byte {
	entries := []Entry{{Name: "archive/data.pkl", Data: Pickle(ts)}, {Name: "archive/byteorder", Data: []byte("little")}}
	for i := range ts {
		if ts[i].Same == "" {
			entries = append(entries, Entry{Name: fmt.Sprintf("archive/data/%d", i), Data: ts[i].bytes()})
		}
	}
	return Zip(append(entries, Entry{Name: "archive/version", Data: []byte("3\n")})...)
}

// Pickle returns the pickle of Torch's archive. Storage i is that of tensor i.
func Pickle(ts []Tensor) []byte {
	b := []byte("\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(")
	keys := map[string]int{}
	for i := range ts {
		t := &ts[i]
		key, ok := keys[t.Same]
		if !ok {
			key = i
		}
		keys[t.Name] = key
		n, stride := int64(1), make([]int64, len(t.Shape))
		for d := len(t.Shape) - 1; d >= 0; d-- {
			stride[d] = n
			n *= t.Shape[d]
		}
		if t.Stride != nil {
			stride = t.Stride
		}
		elements := int64(len(ts[key].bytes())) / widths[ts[key].DType]
		b = text(b, t.Name)
		b = append(b, "ctorch._utils\n_rebuild_tensor_v2\n(("...)
		b = text(b, "storage")
		b = append(b, "ctorch\n"+torchTypes[t.DType]+"\n"...)
		b = text(b, fmt.Sprint(key))
		b = text(b, "cpu")
		b = number(b, elements)
		b = append(b, "tQK\x00"...)
		b = numbers(b, t.Shape)
		b = numbers(b, stride)
		b = append(b, "\x89h\x00)RtR"...)
	}
	return append(b, "u}X\x09\x00\x00\x00_metadatah\x00)Rsb."...)
}

func text(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, 'X'), uint32(len(s)))
	return append(b, s...)
}

// number appends the shortest of BININT1, BININT2, BININT and LONG1, as Python does.
func number(b []byte, n int64) []byte {
	switch {
	case n >= 0 && n < 1<<8:
		return append(b, 'K', byte(n))
	case n >= 0 && n < 1<<16:
		return binary.LittleEndian.AppendUint16(append(b, 'M'), uint16(n))
	case n >= -1<<31 && n < 1<<31:
		return binary.LittleEndian.AppendUint32(append(b, 'J'), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0x8a, 8), uint64(n))
}

// numbers appends a tuple.
func numbers(b []byte, v []int64) []byte {
	if len(v) == 0 {
		return append(b, ')')
	}
	b = append(b, '(')
	for _, n := range v {
		b = number(b, n)
	}
	return append(b, 't')
}
