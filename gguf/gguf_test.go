package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// raw builds GGUF bytes field by field, right or wrong, without the Writer.
type raw []byte

func (b raw) u32(v uint32) raw { return binary.LittleEndian.AppendUint32(b, v) }
func (b raw) u64(v uint64) raw { return binary.LittleEndian.AppendUint64(b, v) }
func (b raw) str(s string) raw { return append(b.u64(uint64(len(s))), s...) }
func (b raw) pad(n int) raw    { return append(b, make([]byte, n)...) }

func header(version uint32, tensors, keys uint64) raw {
	return raw("GGUF").u32(version).u64(tensors).u64(keys)
}

func (b raw) tensor(name string, typ Type, offset uint64, dims ...uint64) raw {
	b = b.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		b = b.u64(d)
	}
	return b.u32(uint32(typ)).u64(offset)
}

// align pads as the data section wants it.
func (b raw) align(n int) raw { return b.pad((n - len(b)%n) % n) }

func readRaw(b raw) (*File, error) { return Read(bytes.NewReader(b), int64(len(b))) }

func TestHostileFiles(t *testing.T) {
	key := func(name string, typ ValueType) raw { return header(3, 0, 1).str(name).u32(uint32(typ)) }
	one := func(typ Type, dims ...uint64) raw { return header(3, 1, 0).tensor("w", typ, 0, dims...) }
	for _, c := range []struct {
		name   string
		file   raw
		offset int64  // that the error must give
		part   string // of its message
	}{
		{"empty", raw{}, 0, "needs 4 bytes more"},
		{"no gguf", raw("PK\x03\x04 and so on, long enough"), 0, "no GGUF file"},
		{"magic only", raw("GGUF"), 4, "inside the header"},
		{"short header", header(3, 0, 0)[:20], 16, "inside the header"},
		{"version 1", header(1, 0, 0), 4, "version 1; want 2 or 3"},
		{"version 4", header(4, 0, 0), 4, "version 4"},
		{"big endian", header(3<<24, 0, 0), 4, "big-endian"},
		{"2^63 tensors", header(3, 1<<63, 0), 8, "promises 9223372036854775808 tensors"},
		{"2^40 keys", header(3, 0, 1<<40), 16, "promises 1099511627776 metadata"},
		{"fewer keys than promised", header(3, 0, 3), 24, "name of metadata entry 0"},
		{"long key", header(3, 0, 1).u64(1 << 16).pad(1 << 17), 24, "name of metadata entry 0 is 65536 bytes long; want at most 65535"},
		{"key beyond the file", header(3, 0, 1).u64(60000), 24, "60000 bytes long, but the file ends after 0"},
		{"empty key", header(3, 0, 1).str("").u32(0).pad(1), 24, `metadata entry 0 is called ""`},
		{"zero in key", header(3, 0, 1).str("general.alignment\x00b").u32(uint32(Uint32)).u32(32), 24, `called "general.alignment\x00b"`},
		{"long key in the error", header(3, 0, 1).str(strings.Repeat("k", 65535)).u32(13).pad(8), 24 + 8 + 65535, strings.Repeat("k", 200) + `"... has type`},
		{"duplicate key", header(3, 0, 2).str("a").u32(uint32(Uint8)).pad(1).str("a").u32(uint32(Uint8)).pad(1), 38, `key "a" stands here for the second time`},
		{"unknown value type", key("a", 13), 33, `key "a" has type number 13`},
		{"value cut", key("a", Uint64).pad(3), 37, "5 bytes more"},
		{"string beyond the file", key("a", String).u64(math.MaxUint64), 37, "takes 18446744073709551615 bytes"},
		{"string of 2^63", key("a", String).u64(1 << 63).pad(100), 37, "file ends after 100"},
		{"nested array", key("a", Array).u32(uint32(Array)).u64(1).pad(64), 37, "array of arrays"},
		{"unknown element type", key("a", Array).u32(99).u64(1).pad(64), 37, "type number 99"},
		{"array count overflows", key("a", Array).u32(uint32(Uint64)).u64(1 << 61).pad(64), 41, "array of 2305843009213693952 uint64, but only 64 bytes"},
		{"string array count", key("a", Array).u32(uint32(String)).u64(1 << 60).pad(64), 41, "only 64 bytes"},
		{"string in array too long", key("tokens", Array).u32(uint32(String)).u64(2).str("ok").u64(1 << 62).pad(8), 64, `string 1 of the value of key "tokens"`},
		{"string array cut", key("tokens", Array).u32(uint32(String)).u64(2).str("long enough for two lengths"), 89, "needs 8 bytes"},
		{"alignment 0", key("general.alignment", Uint32).u32(0), 53, "want a power of two"},
		{"alignment 24", key("general.alignment", Uint32).u32(24), 53, "general.alignment is 24"},
		{"alignment of wrong type", key("general.alignment", Uint64).u64(32), 53, "want uint32"},
		{"fewer tensors than promised", header(3, 1<<18, 0), 24, "name of tensor 0"},
		{"long tensor name", header(3, 1, 0).str(strings.Repeat("n", 64)), 24, "at most 63"},
		{"empty tensor name", header(3, 1, 0).tensor("", F32, 0, 1), 24, `called ""`},
		{"zero in tensor name", header(3, 1, 0).tensor("a\x00b", F32, 0, 1), 24, `called "a\x00b"`},
		{"duplicate tensor", header(3, 2, 0).tensor("w", F32, 0, 8).tensor("w", F32, 32, 8), 57, `tensor "w" stands here for the second`},
		{"no dimensions", one(F32), 33, "0 dimensions"},
		{"five dimensions", one(F32, 1, 1, 1, 1, 1), 33, "5 dimensions; want 1 to 4"},
		{"2^32-1 dimensions", header(3, 1, 0).str("w").u32(math.MaxUint32).pad(100), 33, "4294967295 dimensions"},
		{"dimension 0", one(F32, 4, 0), 45, "dimension 1 is 0"},
		{"negative dimension", one(F32, 1<<63), 37, "dimension 0 is 9223372036854775808"},
		{"shape overflows", one(F32, 1<<31, 1<<31, 1<<31), 33, "does not fit"},
		{"row overflows", one(F32, 1<<62), 33, "does not fit"},
		{"removed type", one(31, 32), 45, "type number 31"},
		{"unknown type", one(1000, 32), 45, "type number 1000"},
		{"half a block", one(Q8_0, 48), 33, "no multiple of the 32"},
		{"data missing", one(F32, 8), 49, "32 bytes of data start at byte 64, but the file ends at byte 57"},
		{"data cut", one(F32, 8).align(32).pad(31), 49, "ends at byte 95 (is it cut short?)"},
		{"misaligned data", header(3, 1, 0).tensor("w", F32, 4, 8).align(32).pad(64), 49, "want a multiple of general.alignment, 32"},
		{"data offset wraps", header(3, 1, 0).tensor("w", F32, 1<<64-32, 8).align(32).pad(64), 49, "data section"},
		{"table longer than promised", header(3, 1, 0).tensor("v", F32, 0, 8).tensor("w", F32, 32, 8).align(32).pad(64), 57, `more tensors than the 1 of the header? (after tensor "v")`},
		{"overlap", header(3, 2, 0).tensor("b", F32, 32, 8).tensor("a", F32, 0, 16).align(32).pad(96), 49, "overlap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readRaw(c.file)
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("error %v, want a *FormatError", err)
			}
			if fe.Offset != c.offset || !strings.Contains(err.Error(), c.part) {
				t.Errorf("got  %v\nwant at byte %d: ...%s...", err, c.offset, c.part)
			}
		})
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	writeSample(t, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := readRaw(b)
	if err != nil {
		t.Fatal(err)
	}
	last := f.Tensors[len(f.Tensors)-1]
	for n := range last.Offset + last.Size {
		var fe *FormatError
		if _, err := readRaw(b[:n]); !errors.As(err, &fe) || fe.Offset > n {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

var sampleEntries = []Entry{
	{"general.architecture", "toy"}, {"u8", uint8(200)}, {"i8", int8(-3)}, {"u16", uint16(60000)}, {"i16", int16(-300)},
	{"u32", uint32(4e9)}, {"i32", int32(-7)}, {"u64", uint64(math.MaxUint64)}, {"i64", int64(math.MinInt64)},
	{"f32", float32(1.5)}, {"f64", math.Pi}, {"yes", true}, {"no", false}, {"text", "grüße\x00"},
	{"a.u8", []uint8{1, 255}}, {"a.i8", []int8{-1, 2}}, {"a.u16", []uint16{1, 65535}}, {"a.i16", []int16{-1}},
	{"a.u32", []uint32{1, 1 << 31}}, {"a.i32", []int32{-5, 5}}, {"a.u64", []uint64{3}}, {"a.i64", []int64{-3}},
	{"a.f32", []float32{0.25, -1}}, {"a.f64", []float64{1e300}}, {"a.bool", []bool{true, false}},
	{"a.text", []string{"", "one", "two words"}}, {"a.empty", []string{}},
}

var sampleSpecs = []Spec{
	{"first", F32, []int64{3}}, {"second", Q8_0, []int64{64, 2}}, {"third", F16, []int64{2, 2, 2, 2}}, {"last", I8, []int64{5}},
}

// dataByte is what writeSample puts at each place of a tensor.
func dataByte(tensor, i int) byte { return byte(37*tensor + i) }

func writeSample(t *testing.T, path string, more ...Entry) {
	t.Helper()
	w, err := Create(path, append(append([]Entry(nil), sampleEntries...), more...), sampleSpecs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, s := range sampleSpecs {
		_, size, _ := shapeSize(s.Type, s.Dims)
		out, err := w.Tensor(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		for j := range int(size) {
			if _, err := out.Write([]byte{dataByte(i, j)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, align := range []uint32{32, 1, 64, 4096} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		writeSample(t, path, Entry{"general.alignment", align})
		preview, err := Preview(append(append([]Entry(nil), sampleEntries...), Entry{"general.alignment", align}), sampleSpecs)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Version != 3 || f.Alignment != int64(align) || f.DataOffset%int64(align) != 0 {
			t.Errorf("version %d, alignment %d, data at %d", f.Version, f.Alignment, f.DataOffset)
		}
		if f.Size != preview.Size || f.DataOffset != preview.DataOffset || !reflect.DeepEqual(f.Tensors, preview.Tensors) || !reflect.DeepEqual(f.KVs, preview.KVs) {
			t.Errorf("Preview says %d bytes, %+v; the file has %d, %+v", preview.Size, preview.Tensors, f.Size, f.Tensors)
		}
		want, _ := io.ReadAll(preview.Header())
		if got, err := io.ReadAll(f.Header()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the previewed header differs: %v", err)
		}
		for i, e := range sampleEntries {
			kv := &f.KVs[i]
			v, err := f.Value(kv)
			if err != nil || kv.Key != e.Key || !reflect.DeepEqual(v, e.Value) {
				t.Errorf("%s: %#v, %v; want %#v", kv.Key, v, err, e.Value)
			}
		}
		for i, s := range sampleSpecs {
			x, ok := f.Tensor(s.Name)
			if !ok || x.Type != s.Type || !reflect.DeepEqual(x.Dims, s.Dims) {
				t.Fatalf("%s: %+v", s.Name, x)
			}
			b, err := io.ReadAll(f.Data(x))
			if err != nil || int64(len(b)) != x.Size {
				t.Fatalf("%s: %d bytes, %v", s.Name, len(b), err)
			}
			for j := range b {
				if b[j] != dataByte(i, j) {
					t.Fatalf("%s: byte %d is %d", s.Name, j, b[j])
				}
			}
		}
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestGetters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	writeSample(t, path)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, err := f.Int("i16"); v != -300 || err != nil {
		t.Error(v, err)
	}
	if v, err := f.Float("u64"); v != math.MaxUint64 || err != nil {
		t.Error(v, err)
	}
	if v, err := f.Ints("a.i32"); !reflect.DeepEqual(v, []int64{-5, 5}) || err != nil {
		t.Error(v, err)
	}
	if v, err := f.Ints("u8"); !reflect.DeepEqual(v, []int64{200}) || err != nil {
		t.Error(v, err)
	}
	if v, err := f.Floats("a.f32"); !reflect.DeepEqual(v, []float64{0.25, -1}) || err != nil {
		t.Error(v, err)
	}
	if v, err := f.Bool("yes"); !v || err != nil {
		t.Error(v, err)
	}
	if _, err := f.Int("none"); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"Int of a string":         second(f.Int("text")),
		"Int of 2^64-1":           second(f.Int("u64")),
		"Float of a bool":         second(f.Float("yes")),
		"Bool of a number":        second(f.Bool("u8")),
		"Text of a number":        second(f.Text("u8")),
		"Strings of one string":   second(f.Strings("text")),
		"Strings of numbers":      second(f.Strings("a.u8")),
		"Ints of strings":         second(f.Ints("a.text")),
		"Floats of bools":         second(f.Floats("a.bool")),
		"Ints with one too large": second(f.Ints("u64")),
	} {
		var fe *FormatError
		if !errors.As(err, &fe) || fe.Want == "" || fe.Path != path {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.Close()
	if _, err := f.Text("text"); err == nil {
		t.Error("reading after Close works")
	}
}

func second[T any](_ T, err error) error { return err }

func TestVersion2(t *testing.T) {
	b := header(2, 1, 1).str("general.architecture").u32(uint32(String)).str("llama").tensor("w", F32, 0, 8).align(32).pad(32)
	f, err := readRaw(b)
	if err != nil || f.Version != 2 {
		t.Fatal(f, err)
	}
	if s, err := f.Text("general.architecture"); s != "llama" || err != nil {
		t.Error(s, err)
	}
}

func TestStringArraysAcrossWindows(t *testing.T) {
	// Strings shorter and longer than the reader's window, so that lengths and bytes fall on its edges.
	var want []string
	for i := range 300 {
		want = append(want, strings.Repeat("x", i*i%5000))
	}
	want = append(want, strings.Repeat("y", 3*window+5), "", strings.Repeat("z", window-9), "end")
	b := header(3, 0, 2).str("a").u32(uint32(Array)).u32(uint32(String)).u64(uint64(len(want)))
	for _, s := range want {
		b = b.str(s)
	}
	b = b.str("b").u32(uint32(Uint8)).pad(1)
	f, err := readRaw(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Strings("a"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("strings came back wrong: %v", err)
	}
	if _, err := f.Int("b"); err != nil {
		t.Error(err)
	}
}

func TestWriterMistakes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		entries []Entry
		specs   []Spec
		part    string
	}{
		"value type":     {[]Entry{{"k", 1}}, nil, "cannot be a int"},
		"nil":            {[]Entry{{"k", nil}}, nil, `key "k"`},
		"duplicate key":  {[]Entry{{"k", "a"}, {"k", "b"}}, nil, "there twice"},
		"empty key":      {[]Entry{{"", "a"}}, nil, "0 bytes"},
		"alignment":      {[]Entry{{"general.alignment", uint32(3)}}, nil, "power of two"},
		"alignment type": {[]Entry{{"general.alignment", int32(32)}}, nil, "want a uint32"},
		"duplicate name": {nil, []Spec{{"w", F32, []int64{1}}, {"w", F32, []int64{1}}}, "no other tensor has"},
		"shape":          {nil, []Spec{{"w", Q4_K, []int64{100}}}, `tensor "w"`},
		"size":           {nil, []Spec{{"v", I8, []int64{1 << 60}}, {"w", I8, []int64{1 << 61}}}, "larger than 2^61"},
	} {
		if w, err := Create(path, c.entries, c.specs); err == nil || !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
			if w != nil {
				w.Close()
			}
		}
	}

	w, err := Create(path, nil, []Spec{{"a", I8, []int64{4}}, {"b", I8, []int64{4}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Tensor("b"); err == nil {
		t.Error("tensors out of order are accepted")
	}
	a, err := w.Tensor("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(make([]byte, 5)); err == nil {
		t.Error("too much data is accepted")
	}
	if _, err := a.Write(make([]byte, 3)); err != nil {
		t.Error(err)
	}
	if _, err := w.Tensor("b"); err == nil || !strings.Contains(err.Error(), "3 of its 4 bytes") {
		t.Error(err)
	}
	a.Write(make([]byte, 1))
	if err := w.Finish(); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Error(err)
	}
	b, err := w.Tensor("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(nil); err == nil {
		t.Error("a tensor can be written after the next was opened")
	}
	b.Write(make([]byte, 2))
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if err := w.Finish(); err == nil {
		t.Error("Finish after Close works")
	}
	left, _ := os.ReadDir(dir)
	if old, _ := os.ReadFile(path); string(old) != "old" || len(left) != 1 {
		t.Errorf("the target holds %q and the folder %v", old, left)
	}
	if _, err := Create(filepath.Join(dir, "none", "m.gguf"), nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestOpenRefusesFolders(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestReadErrorsArePassedOn(t *testing.T) {
	broken := errors.New("bad sector")
	if _, err := Read(failing{broken}, 1000); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := Read(bytes.NewReader(nil), 1000); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if _, err := Read(bytes.NewReader(nil), -1); err == nil {
		t.Error("a negative size is accepted")
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }
