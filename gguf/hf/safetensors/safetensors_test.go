package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// file puts a header in front of data.
func file(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func readBytes(b []byte) (*File, error) { return Read(bytes.NewReader(b), int64(len(b))) }

const two = `{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[2,10]},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}  `

func TestRead(t *testing.T) {
	f, err := readBytes(file(two, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
	if err != nil {
		t.Fatal(err)
	}
	start := int64(8 + len(two))
	want := []Tensor{
		{"b", "F32", []int64{1, 2}, 2, start + 2, 8},
		{"a", "BF16", []int64{}, 1, start, 2},
	}
	if !reflect.DeepEqual(f.Tensors, want) {
		t.Errorf("got  %+v\nwant %+v", f.Tensors, want)
	}
	got, err := io.ReadAll(f.Data(&f.Tensors[0]))
	if err != nil || !bytes.Equal(got, []byte{3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("data %v, %v", got, err)
	}
}

// TestDtypes reads one tensor of 8 elements in every type of the format.
func TestDtypes(t *testing.T) {
	for name, bits := range dtypeBits {
		size := bits // of 8 elements
		header := fmt.Sprintf(`{"x":{"shape":[2,4],"dtype":%q,"data_offsets":[0,%d]}}`, name, size)
		f, err := readBytes(file(header, make([]byte, size)...))
		if err != nil || f.Tensors[0].Size != size || f.Tensors[0].DType != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, header := range []string{`{}`, `{"__metadata__":{"a":{"b":["c"]}}}`, `{"x":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]}}`} {
		if _, err := readBytes(file(header)); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	entry := func(fields string) []byte { return file(`{"x":{` + fields + `}}`) }
	eight := make([]byte, 8)
	for name, c := range map[string]struct {
		data []byte
		part string
	}{
		"empty":               {nil, "0 bytes; want at least 8"},
		"short":               {[]byte("1234567"), "7 bytes"},
		"git lfs":             {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"), "git lfs pull"},
		"length":              {binary.LittleEndian.AppendUint64(nil, 1<<63), "at most the 0 that follow"},
		"header too long":     {append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), make([]byte, maxHeader+1)...), "at most 1572864"},
		"zip":                 {append([]byte("PK\x03\x04"), make([]byte, 20)...), "is said to have"},
		"empty header":        {file(""), "ends in the middle"},
		"cut header":          {file(`{"x":{"dtype":"F32"`), "ends in the middle"},
		"no object":           {file(`[]`), `[ stands there; want "{"`},
		"no JSON":             {file(`{"x":{dtype:1}}`), "no JSON"},
		"rubbish behind":      {file(`{} 1`), "1 follows the header's object"},
		"name twice":          {file(`{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{}}`), `"x" is there twice`},
		"metadata too deep":   {file(`{"__metadata__":` + strings.Repeat("[", 9) + `}`), "nested more than 8"},
		"entry no object":     {file(`{"x":5}`), `tensor "x": 5 stands there`},
		"field twice":         {entry(`"dtype":"U8","dtype":"U8"`), "dtype is there twice"},
		"unknown field":       {entry(`"type":"U8"`), `unknown field "type"`},
		"missing field":       {entry(`"dtype":"U8","shape":[1]`), "a field is missing"},
		"dtype no string":     {entry(`"dtype":7`), "dtype is 7; want a string"},
		"dtype unknown":       {entry(`"dtype":"Q9","shape":[1],"data_offsets":[0,1]`), `dtype "Q9"`},
		"shape no array":      {entry(`"shape":{}`), `want "["`},
		"negative dimension":  {entry(`"shape":[-1]`), "shape has -1"},
		"fraction":            {entry(`"shape":[1.5]`), "shape has 1.5"},
		"dimension a string":  {entry(`"shape":["1"]`), `shape has "1"`},
		"nested shape":        {entry(`"shape":[[1]]`), "shape has ["},
		"dimension too large": {entry(`"shape":[9223372036854775808]`), "2^63-1"},
		"many dimensions":     {entry(`"shape":[1,1,1,1,1,1,1,1,1]`), "at most 8"},
		"product overflows":   {entry(`"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,0]`), "2^56"},
		"offsets reversed":    {file(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, eight...), "data_offsets are [8 0]"},
		"one offset":          {entry(`"dtype":"U8","shape":[1],"data_offsets":[1]`), "data_offsets are [1]"},
		"offsets and shape":   {file(`{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, eight...), "3 elements of F32 take 12 bytes"},
		"half a byte":         {file(`{"x":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 0), "3 elements of F4 take 2 bytes"},
		"truncated":           {file(`{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, eight...), "is the file whole?"},
		"far away":            {file(`{"x":{"dtype":"F32","shape":[],"data_offsets":[9223372036854775800,9223372036854775804]}}`, eight...), "begin at 9223372036854775800"},
		"hole":                {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight...), "want 0, where those before it end"},
		"overlap":             {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, eight...), `tensor "y"`},
		"bytes left over":     {file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, eight...), "4 bytes belong to no tensor"},
	} {
		f, err := readBytes(c.data)
		var fe *FormatError
		if !errors.As(err, &fe) || f != nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v, want %q in it", name, err, c.part)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %v", name, err)
		}
	}
	if _, err := Read(bytes.NewReader(nil), -1); err == nil {
		t.Error("a negative size is accepted")
	}
	if _, err := Read(bytes.NewReader(nil), 100); !errors.Is(err, io.EOF) {
		t.Errorf("a reader that ends early gives %v", err)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, file(two, make([]byte, 10)...), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil || len(f.Tensors) != 2 || f.Path != path {
		t.Fatal(f, err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if _, err := Open(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Error(err)
	}
	if _, err := Open(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemory gives headers of the largest size that is accepted, full of what takes most memory: reading them must
// stay below 64 MiB above the input.
func TestMemory(t *testing.T) {
	fill := func(begin string, unit func(i int) string) []byte {
		var b strings.Builder
		b.WriteString(begin)
		for i := 0; b.Len() < maxHeader-200; i++ {
			b.WriteString(unit(i))
		}
		return file(b.String())
	}
	for name, data := range map[string][]byte{
		"tensors": fill("{", func(i int) string {
			return fmt.Sprintf(`"%x":{"dtype":"U8","shape":[0,1,1,1,1,1,1,1],"data_offsets":[0,0]},`, i)
		}),
		"metadata":    fill(`{"__metadata__":{`, func(int) string { return `"":"",` }),
		"long string": fill(`{"`, func(int) string { return strings.Repeat("a", 100) }),
		"nested":      fill(`{"__metadata__":`, func(int) string { return "[" }),
		"long shape":  fill(`{"x":{"shape":[`, func(int) string { return "1," }),
	} {
		n := allocated(func() { _, _ = readBytes(data) })
		t.Logf("%s: %.1f MiB for an input of %.1f MiB", name, float64(n)/(1<<20), float64(len(data))/(1<<20))
		if limit := uint64(len(data)) + 64<<20; n > limit {
			t.Errorf("%s: %d bytes for an input of %d", name, n, len(data))
		}
	}
}

// FuzzSafetensors asks that any bytes give an error or a File of which every tensor lies inside it, without a panic
// and without memory beyond a small multiple of the input.
func FuzzSafetensors(f *testing.F) {
	f.Add(file(two, make([]byte, 10)...))
	f.Add(file(`{"x":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]},"y":{"dtype":"I64","shape":[0],"data_offsets":[3,3]}}`, 1, 2, 3))
	f.Add(file(`{"x":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,18446744073709551615]}}`))
	f.Add(file(`{"__metadata__":{"a":[[[[[[1]]]]]]}}`))
	f.Add(binary.LittleEndian.AppendUint64(nil, 1<<40))
	f.Fuzz(func(t *testing.T, b []byte) {
		var file *File
		var err error
		// Other goroutines of the fuzzer allocate too, so that the bound has slack.
		if n := allocated(func() { file, err = readBytes(b) }); n > 1<<20+64*uint64(len(b)) {
			t.Fatalf("%d bytes of input took %d bytes of memory", len(b), n)
		}
		if err != nil {
			if file != nil || err.Error() == "" {
				t.Fatalf("%v and %v", file, err)
			}
			return
		}
		sum := int64(0)
		for i := range file.Tensors {
			x := &file.Tensors[i]
			if x.Offset < 8 || x.Size < 0 || x.Offset > file.Size-x.Size {
				t.Fatalf("tensor %q lies at %d+%d in a file of %d", x.Name, x.Offset, x.Size, file.Size)
			}
			if n, err := io.Copy(io.Discard, file.Data(x)); n != x.Size || err != nil {
				t.Fatalf("tensor %q: %d of %d bytes, %v", x.Name, n, x.Size, err)
			}
			sum += x.Size
		}
		if sum > file.Size-8 {
			t.Fatalf("%d bytes of tensors in a file of %d", sum, file.Size)
		}
	})
}
