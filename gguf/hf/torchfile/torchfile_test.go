package torchfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"llmscale/gguf/hf/hftest"
)

func readBytes(b []byte) (*File, error) { return Read(bytes.NewReader(b), int64(len(b))) }

// sample has each of the element types, a tensor of no dimension, an empty one, and one that shares its storage.
func sample() []hftest.Tensor {
	return []hftest.Tensor{
		{Name: "w", DType: "F32", Shape: []int64{2, 3}, Data: []float32{1, 2, 3, 4, 5, 6}},
		{Name: "tied", DType: "F32", Shape: []int64{2, 3}, Same: "w"},
		{Name: "view", DType: "F32", Shape: []int64{3, 2}, Stride: []int64{1, 3}, Same: "w"},
		{Name: "h", DType: "F16", Shape: []int64{1, 2}, Data: []float32{0.5, -1}, Stride: []int64{7, 1}}, // of 1 element the stride says nothing
		{Name: "b", DType: "BF16", Shape: []int64{}, Data: []float32{-2}},
		{Name: "d", DType: "F64", Shape: []int64{1}, Data: []float32{0.25}},
		{Name: "mask", DType: "BOOL", Shape: []int64{1, 1, 2, 2}, Raw: []byte{1, 0, 1, 1}},
		{Name: "ids", DType: "I64", Shape: []int64{0, 4}, Raw: []byte{}},
	}
}

func TestRead(t *testing.T) {
	file := hftest.Torch(sample())
	f, err := readBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		Tensor
		data []byte
	}{
		{Tensor{Name: "w", DType: "F32", Shape: []int64{2, 3}, Stride: []int64{3, 1}, Elements: 6, Contiguous: true}, floats(1, 2, 3, 4, 5, 6)},
		{Tensor{Name: "tied", DType: "F32", Shape: []int64{2, 3}, Stride: []int64{3, 1}, Elements: 6, Contiguous: true}, floats(1, 2, 3, 4, 5, 6)},
		{Tensor{Name: "view", DType: "F32", Shape: []int64{3, 2}, Stride: []int64{1, 3}, Elements: 6}, nil},
		{Tensor{Name: "h", DType: "F16", Shape: []int64{1, 2}, Stride: []int64{7, 1}, Elements: 2, Contiguous: true}, []byte{0, 0x38, 0, 0xbc}},
		{Tensor{Name: "b", DType: "BF16", Shape: []int64{}, Stride: []int64{}, Elements: 1, Contiguous: true}, []byte{0, 0xc0}},
		{Tensor{Name: "d", DType: "F64", Shape: []int64{1}, Stride: []int64{1}, Elements: 1, Contiguous: true}, []byte{0, 0, 0, 0, 0, 0, 0xd0, 0x3f}},
		{Tensor{Name: "mask", DType: "BOOL", Shape: []int64{1, 1, 2, 2}, Stride: []int64{4, 4, 2, 1}, Elements: 4, Contiguous: true}, []byte{1, 0, 1, 1}},
		{Tensor{Name: "ids", DType: "I64", Shape: []int64{0, 4}, Stride: []int64{4, 1}, Contiguous: true}, []byte{}},
	}
	if len(f.Tensors) != len(want) {
		t.Fatalf("%d tensors, want %d", len(f.Tensors), len(want))
	}
	for i, w := range want {
		x := f.Tensors[i]
		r, err := f.Data(&x)
		if !w.Contiguous {
			if err == nil || !strings.Contains(err.Error(), `"view"`) || !strings.Contains(err.Error(), "contiguous") {
				t.Errorf("%s: %v", x.Name, err)
			}
		} else if err != nil {
			t.Errorf("%s: %v", x.Name, err)
		} else if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, w.data) {
			t.Errorf("%s: data %v, %v; want %v", x.Name, got, err, w.data)
		}
		x.Offset, x.Size = 0, 0
		if !reflect.DeepEqual(x, w.Tensor) {
			t.Errorf("got  %+v\nwant %+v", x, w.Tensor)
		}
	}
	if f.Tensors[0].Offset != f.Tensors[1].Offset {
		t.Error("the tied tensor lies elsewhere")
	}
}

func floats(v ...float32) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, v)
	return b.Bytes()
}

// with puts a pickle into an archive with one storage, "0", of 16 bytes.
func with(pickle string) []byte {
	return hftest.Zip(hftest.Entry{Name: "m/data.pkl", Data: []byte(pickle)}, hftest.Entry{Name: "m/data/0", Data: make([]byte, 16)})
}

const (
	float4  = "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
	rebuild = "ctorch._utils\n_rebuild_tensor_v2\n"
	tensor4 = rebuild + "(" + float4 + "K\x00K\x04\x85K\x01\x85\x89}tR"
)

// TestPickles has state dicts as other versions of Python and PyTorch write them.
func TestPickles(t *testing.T) {
	for name, c := range map[string]struct {
		pickle string
		want   string // names and shapes
	}{
		"plain dict":      {"\x80\x02}X\x01\x00\x00\x00w" + tensor4 + "s.", "w[4]"},
		"no entries":      {"\x80\x02}.", ""},
		"parameter":       {"\x80\x02}(X\x01\x00\x00\x00w" + "ctorch._utils\n_rebuild_parameter\n(" + tensor4 + "\x88ccollections\nOrderedDict\n)RtRu.", "w[4]"},
		"nn.Parameter":    {"\x80\x02}(X\x01\x00\x00\x00w" + "ctorch.nn.parameter\nParameter\n" + tensor4 + "\x88\x86Ru.", "w[4]"},
		"protocol 4":      {"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01w\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94(" + float4 + "K\x00M\x04\x00\x85\x8a\x01\x01\x85\x89}tRs.", "w[4]"},
		"seven arguments": {"\x80\x02}X\x01\x00\x00\x00w" + rebuild + "(" + float4 + "K\x00K\x02K\x02\x86K\x02K\x01\x86\x89}}tRs.", "w[2 2]"},
		"part of storage": {"\x80\x02}X\x01\x00\x00\x00w" + rebuild + "(" + float4 + "K\x02K\x02\x85K\x01\x85\x89}NtRs.", "w[2]"},
		"expanded":        {"\x80\x02}X\x01\x00\x00\x00w" + rebuild + "(" + float4 + "K\x03K\x09\x85K\x00\x85\x89}tRs.", "w[9]"},
		"empty far off":   {"\x80\x02}X\x01\x00\x00\x00w" + rebuild + "(" + float4 + "K\x04K\x00\x85K\x01\x85\x89}tRs.", "w[0]"},
	} {
		f, err := readBytes(with(c.pickle))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for _, x := range f.Tensors {
			got += x.Name + fmt.Sprint(x.Shape)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	good := hftest.Torch(sample())
	dict := func(value string) []byte { return with("\x80\x02}X\x01\x00\x00\x00w" + value + "s.") }
	view := func(args string) []byte { return dict(rebuild + "(" + float4 + args + "\x89}tR") }
	deep := strings.Repeat("\x88", maxStack+1)
	for name, c := range map[string]struct {
		data []byte
		part string
	}{
		"empty":                {nil, "begins with"},
		"legacy format":        {append(bytes.Clone(legacyMagic), "\x80\x02M\xe9\x03."...), "before 1.6: load it with torch.load"},
		"git lfs":              {[]byte("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"},
		"bare pickle":          {[]byte("\x80\x04}."), "zip archive"},
		"cut archive":          {good[:len(good)-30], "is the file whole?"},
		"no pickle":            {hftest.Zip(hftest.Entry{Name: "m/readme"}), "no entry FOLDER/data.pkl"},
		"pickle without dir":   {hftest.Zip(hftest.Entry{Name: "data.pkl"}), "no entry FOLDER/data.pkl"},
		"two pickles":          {hftest.Zip(hftest.Entry{Name: "a/data.pkl"}, hftest.Entry{Name: "b/data.pkl"}), "two pickles"},
		"name twice":           {hftest.Zip(hftest.Entry{Name: "a/data.pkl"}, hftest.Entry{Name: "a/data.pkl"}), "two entries"},
		"TorchScript":          {hftest.Zip(hftest.Entry{Name: "a/data.pkl"}, hftest.Entry{Name: "a/constants.pkl"}), "TorchScript"},
		"big endian":           {hftest.Zip(hftest.Entry{Name: "a/data.pkl"}, hftest.Entry{Name: "a/byteorder", Data: []byte("big")}), `byte order is "big"`},
		"compressed pickle":    {hftest.Zip(hftest.Entry{Name: "a/data.pkl", Data: make([]byte, 1<<20), Compress: true}), "compressed"},
		"compressed storage":   {hftest.Zip(hftest.Entry{Name: "m/data.pkl", Data: []byte("\x80\x02}X\x01\x00\x00\x00w" + tensor4 + "s.")}, hftest.Entry{Name: "m/data/0", Data: make([]byte, 16), Compress: true}), "m/data/0: the entry is compressed"},
		"huge pickle":          {hftest.Zip(hftest.Entry{Name: "a/data.pkl", Data: make([]byte, maxPickle+1)}), "at most 4194304"},
		"huge directory":       {manyEntries(30_000), "directory is too large"},
		"missing storage":      {hftest.Zip(hftest.Entry{Name: "m/data.pkl", Data: []byte("\x80\x02}X\x01\x00\x00\x00w" + tensor4 + "s.")}), "m/data/0: the archive has no such entry"},
		"entry behind the end": {lastReplaced(good, entrySize(24), entrySize(1<<30)), "end behind the file"},

		"system call":        {dict("cposix\nsystem\nX\x02\x00\x00\x00id\x85R"), `"posix.system"`},
		"eval":               {dict("c__builtin__\neval\nX\x01\x00\x00\x001\x85R"), `"__builtin__.eval"`},
		"stack global":       {dict("\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R"), `"os.system"`},
		"numpy scalar":       {dict("cnumpy.core.multiarray\nscalar\n)R"), "numpy.core.multiarray.scalar"},
		"complex storage":    {dict("ctorch\nComplexFloatStorage\n"), "torch.ComplexFloatStorage"},
		"instance opcode":    {dict("(iposix\nsystem\n"), "opcode 0x69"},
		"object opcode":      {dict("(o"), "opcode 0x6f"},
		"new object opcode":  {dict("ccollections\nOrderedDict\n)\x81"), "opcode 0x81"},
		"extension registry": {dict("\x82\x01"), "opcode 0x82"},
		"pop opcode":         {dict("K\x010"), "opcode 0x30"},
		"persistent string":  {dict("Pabc\n"), "opcode 0x50"},
		"long global":        {dict("c" + strings.Repeat("a", 300) + "\nb\n"), "no end of line"},
		"global of numbers":  {dict("K\x01K\x02\x93"), "STACK_GLOBAL on the number 1"},

		"protocol 9":            {with("\x80\x09}."), "protocol 9"},
		"no stop":               {with("\x80\x02}"), "ends without STOP"},
		"empty stack":           {with("\x80\x02."), "needs 1 values"},
		"cut string":            {with("\x80\x02X\xff\xff\xff\xffab"), "needs 4294967295 bytes"},
		"cut number":            {with("\x80\x02J\x00\x00"), "BININT needs 4 bytes"},
		"long number":           {with("\x80\x02\x8a\x09123456789."), "a number of 9 bytes"},
		"tuple without mark":    {with("\x80\x02t."), "needs a mark"},
		"tuple over mark":       {with("\x80\x02K\x01(\x85."), "needs 1 values"},
		"recall":                {with("\x80\x02h\x05."), "recalls value 5"},
		"stack too deep":        {with("\x80\x02" + deep), "stack is too deep"},
		"too many marks":        {with("\x80\x02" + strings.Repeat("(", maxStack+1)), "too many marks"},
		"too many objects":      {with("\x80\x02N" + strings.Repeat("\x94", 400_000)), "too many objects"},
		"item into a tuple":     {with("\x80\x02)K\x01K\x02s."), "SETITEM on a tuple"},
		"odd items":             {with("\x80\x02}(K\x01u."), "SETITEMS on a dict of 0 with 1 values"},
		"append to a dict":      {with("\x80\x02}K\x01a."), "APPEND on a dict"},
		"build a tensor":        {dict(tensor4 + "}b"), "BUILD on a tensor"},
		"reduce of a string":    {dict("X\x01\x00\x00\x00a)R"), "REDUCE calls the string"},
		"dict with arguments":   {dict("ccollections\nOrderedDict\n]\x85R"), "with 1 arguments"},
		"parameter of nothing":  {dict("ctorch._utils\n_rebuild_parameter\n)R"), "with 0 arguments"},
		"storage called":        {dict("ctorch\nFloatStorage\n)R"), "torch.FloatStorage is called"},
		"persistent id":         {dict("K\x01Q"), "persistent id is the number 1"},
		"unfit persistent id":   {dict("(X\x07\x00\x00\x00storageK\x01K\x02K\x03K\x04tQ"), "a persistent id holds"},
		"storage of other size": {dict(strings.Replace(tensor4, "cpuK\x04", "cpuK\x05", 1)), "5 elements of F32, but its entry has 16 bytes"},
		"negative storage":      {dict(strings.Replace(tensor4, "cpuK\x04", "cpuJ\xff\xff\xff\xff", 1)), "-1 elements"},

		"few arguments":       {dict(rebuild + "(" + float4 + "tR"), "called with 1 arguments"},
		"shape of strings":    {view("K\x00X\x01\x00\x00\x00a\x85K\x01\x85"), "is called with"},
		"shape and strides":   {view("K\x00K\x02K\x02\x86K\x01\x85"), "is called with"},
		"shape too large":     {view("K\x00K\x05\x85K\x01\x85"), "does not fit into storage"},
		"offset too large":    {view("K\x01K\x04\x85K\x01\x85"), "does not fit into storage"},
		"empty but far":       {view("K\x05K\x00\x85K\x01\x85"), "does not fit into storage"},
		"negative offset":     {view("J\xff\xff\xff\xffK\x04\x85K\x01\x85"), "does not fit into storage"},
		"negative dimension":  {view("K\x00J\xff\xff\xff\xff\x85K\x01\x85"), "does not fit into storage"},
		"negative stride":     {view("K\x03K\x04\x85J\xff\xff\xff\xff\x85"), "does not fit into storage"},
		"stride too large":    {view("K\x00K\x02\x85K\x04\x85"), "does not fit into storage"},
		"stride overflows":    {view("K\x00K\x03\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"), "does not fit into storage"},
		"elements overflow":   {view("K\x00\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40K\x08\x86K\x00K\x00\x86"), "does not fit into storage"},
		"many dimensions":     {view("K\x00(" + strings.Repeat("K\x01", 9) + "t(" + strings.Repeat("K\x01", 9) + "t"), "at most 8 whole numbers"},
		"negative bit":        {dict(rebuild + "(" + float4 + "K\x00K\x04\x85K\x01\x85\x89}}X\x03\x00\x00\x00neg\x88stR"), "carries metadata"},
		"top is a tensor":     {with("\x80\x02" + tensor4 + "."), "the file holds a tensor"},
		"top is a list":       {with("\x80\x02]."), "the file holds a list"},
		"key is a number":     {with("\x80\x02}K\x01" + tensor4 + "s."), "a key of the file's dict is the number 1"},
		"a list among them":   {with("\x80\x02}X\x01\x00\x00\x00l]q\x01(G\x00\x00\x00\x00\x00\x00\x00\x00Neh\x01as."), "the file's dict is a list of 3"},
		"training checkpoint": {with("\x80\x02}X\x05\x00\x00\x00epochK\x07s."), `entry "epoch" of the file's dict is the number 7`},
		"nested state dict":   {dict("}"), "save the state dict alone"},
		"entry twice":         {with("\x80\x02}(X\x01\x00\x00\x00w" + tensor4 + "X\x01\x00\x00\x00w" + tensor4 + "u."), "it is there twice"},
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
	if _, err := Read(bytes.NewReader(nil), 100); err == nil {
		t.Error("a reader that ends early is accepted")
	}
}

// entrySize is how the archive's directory holds an entry's size, twice: compressed and not.
func entrySize(n uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, n)
	return append(b, b...)
}

// lastReplaced replaces the last occurrence, which is in the archive's directory.
func lastReplaced(b, old, by []byte) []byte {
	i := bytes.LastIndex(b, old)
	return slices.Concat(b[:i], by, b[i+len(old):])
}

func manyEntries(n int) []byte {
	entries := make([]hftest.Entry, n)
	for i := range entries {
		entries[i].Name = "a/data/" + strings.Repeat("x", 30) + strconv.Itoa(i)
	}
	return hftest.Zip(entries...)
}

// TestOffset points at the opcode that is at fault.
func TestOffset(t *testing.T) {
	_, err := readBytes(with("\x80\x02}X\x01\x00\x00\x00wcposix\nsystem\n"))
	var fe *FormatError
	if !errors.As(err, &fe) || fe.Offset != 9 || fe.Entry != "m/data.pkl" {
		t.Errorf("%+v", fe)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pytorch_model.bin")
	if err := os.WriteFile(path, hftest.Torch(sample()), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil || len(f.Tensors) != len(sample()) || f.Path != path {
		t.Fatal(f, err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(path, 200); err != nil {
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
