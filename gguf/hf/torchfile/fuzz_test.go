package torchfile

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"llmscale/gguf/hf/hftest"
)

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// check asks that every tensor lies inside the file.
func check(t *testing.T, f *File) {
	for i := range f.Tensors {
		x := &f.Tensors[i]
		if x.Offset < 0 || x.Elements < 0 || x.Offset > f.Size {
			t.Fatalf("%+v in a file of %d", x, f.Size)
		}
		r, err := f.Data(x)
		if (err == nil) != x.Contiguous {
			t.Fatalf("%+v: %v", x, err)
		}
		if err != nil {
			continue
		}
		if n, err := io.Copy(io.Discard, r); n != x.Size || err != nil {
			t.Fatalf("%+v: %d bytes, %v", x, n, err)
		}
	}
}

// FuzzTorchFile asks that any bytes give an error or a File of which every tensor lies inside it, without a panic
// and without memory beyond a small multiple of the input.
func FuzzTorchFile(f *testing.F) {
	f.Add(hftest.Torch(sample()))
	f.Add(with("\x80\x02}X\x01\x00\x00\x00w" + tensor4 + "s."))
	f.Add(hftest.Zip(hftest.Entry{Name: "a/data.pkl", Data: []byte("}."), Compress: true}, hftest.Entry{Name: "a/byteorder", Data: []byte("big")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var file *File
		var err error
		// Other goroutines of the fuzzer allocate too, so that the bound has slack.
		if n := allocated(func() { file, err = readBytes(b) }); n > 1<<20+100*uint64(len(b)) {
			t.Fatalf("%d bytes of input took %d bytes of memory", len(b), n)
		}
		if err != nil {
			if file != nil || err.Error() == "" {
				t.Fatalf("%v and %v", file, err)
			}
			return
		}
		check(t, file)
	})
}

// FuzzPickle gives any bytes to the interpreter, in an archive that has storages.
func FuzzPickle(f *testing.F) {
	for _, s := range []string{
		string(hftest.Pickle(sample())), "\x80\x02}X\x01\x00\x00\x00w" + tensor4 + "s.", "\x80\x02}(K\x01]q\x01(G\x00\x00\x00\x00\x00\x00\x00\x00Neh\x01au.",
		"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01w\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94(" + float4 + "K\x00M\x04\x00\x85\x8a\x01\x01\x85\x89}tRs.",
		"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.", "\x80\x02}(X\x01\x00\x00\x00wctorch._utils\n_rebuild_parameter\n(" + tensor4 + "\x88ccollections\nOrderedDict\n)RtRu.",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		a := &archive{prefix: "a/", size: 64, r: bytes.NewReader(make([]byte, 64)), places: map[string]place{"a/data/0": {0, 16}, "a/data/3": {16, 4}, "a/data/6": {60, 4}}}
		m := &machine{archive: a, code: code, memo: map[uint32]any{}}
		var ts []Tensor
		var err error
		n := allocated(func() {
			var top any
			if top, err = m.run(); err == nil {
				ts, err = m.stateDict(top)
			}
		})
		if n > 1<<20+200*uint64(len(code)) {
			t.Fatalf("%d bytes of pickle took %d bytes of memory", len(code), n)
		}
		if err == nil {
			check(t, &File{Size: a.size, r: a.r, Tensors: ts})
		} else if err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

// TestMemory gives the interpreter and the archive what makes them allocate most, at the largest size that they
// accept: it must stay below 64 MiB above the input.
func TestMemory(t *testing.T) {
	fill := func(begin, unit string) []byte {
		return with("\x80\x02" + begin + strings.Repeat(unit, (maxPickle-2-len(begin))/len(unit)))
	}
	for name, data := range map[string][]byte{
		"empty dicts":   fill("", "}"),
		"dicts in dict": fill("}", "("+strings.Repeat("}", 60_000)+"u"),
		"memo":          fill("\x88", "\x94"),
		"marks":         fill("", "("),
		"nested tuples": fill("N", "\x85"),
		"long tuples":   fill("", "("+strings.Repeat("N", 60_000)+"t"),
		"strings":       fill("", "X\x00\x00\x00\x00"),
		"long string":   fill("", "X\x00\xf0\x3f\x00"+strings.Repeat("a", 0x3ff000)),
		"tensors":       fill("}(", "X\x01\x00\x00\x00w"+tensor4),
		"recalled":      fill("}q\x00", "("+strings.Repeat("h\x00", 30_000)+"u"),
		"small archive": manyEntries(20_000),
		"large archive": manyEntries(30_000),
	} {
		n := allocated(func() { _, _ = readBytes(data) })
		t.Logf("%s: %.1f MiB for an input of %.1f MiB", name, float64(n)/(1<<20), float64(len(data))/(1<<20))
		if limit := uint64(len(data)) + 64<<20; n > limit {
			t.Errorf("%s: %d bytes for an input of %d", name, n, len(data))
		}
	}
}
