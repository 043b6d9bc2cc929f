package gguf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/ledger"
)

// toy writes a model of nine tensors, the data of each filled with its number.
func toy(t *testing.T, path string, more ...gguf.Entry) {
	t.Helper()
	entries := append([]gguf.Entry{{Key: "general.architecture", Value: "llama"}, {Key: "general.alignment", Value: uint32(64)}, {Key: "llama.block_count", Value: uint32(2)},
		{Key: "llama.embedding_length", Value: uint32(32)}, {Key: "llama.attention.head_count", Value: uint32(2)}, {Key: "llama.context_length", Value: uint32(64)}}, more...)
	specs := []gguf.Spec{{Name: "token_embd.weight", Type: gguf.Q8_0, Dims: []int64{32, 10}}, {Name: "output_norm.weight", Type: gguf.F32, Dims: []int64{32}}}
	for i := range 2 {
		specs = append(specs, gguf.Spec{Name: fmt.Sprintf("blk.%d.attn_norm.weight", i), Type: gguf.F32, Dims: []int64{32}},
			gguf.Spec{Name: fmt.Sprintf("blk.%d.attn_q.weight", i), Type: gguf.F16, Dims: []int64{32, 32}},
			gguf.Spec{Name: fmt.Sprintf("blk.%d.ffn_up.weight", i), Type: gguf.Q4_0, Dims: []int64{32, 48}})
	}
	specs = append(specs, gguf.Spec{Name: "output.weight", Type: gguf.Q8_0, Dims: []int64{32, 10}})
	w, err := gguf.Create(path, entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, s := range specs {
		out, err := w.Tensor(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		rows := int64(1)
		if len(s.Dims) > 1 {
			rows = s.Dims[1]
		}
		n, err := s.Type.RowBytes(s.Dims[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(bytes.Repeat([]byte{byte(i + 1)}, int(n*rows))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOpenAnyPart(t *testing.T) {
	for name, counts := range map[string][]int{
		"two":                          {4, 5},
		"three":                        {2, 4, 3},
		"a part for each tensor":       {1, 1, 1, 1, 1, 1, 1, 1, 1},
		"metadata alone in the first":  {0, 6, 3},
		"a part without tensors":       {5, 0, 4},
		"all tensors in the last part": {0, 0, 0, 9},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "toy model.gguf")
			toy(t, path)
			whole := open(t, path)
			d, err := ledger.Describe(whole)
			if err != nil {
				t.Fatal(err)
			}
			paths := gguftest.Split(t, path, dir, counts...)
			var sum int64
			for _, p := range paths {
				st, err := os.Stat(p)
				if err != nil {
					t.Fatal(err)
				}
				sum += st.Size()
			}
			var headers [][]byte
			for _, p := range paths {
				f := open(t, p)
				if !slices.Equal(f.Paths(), paths) || f.Path != paths[0] || len(f.Parts()) != len(paths) {
					t.Errorf("%s: the parts are %v, want %v", p, f.Paths(), paths)
				}
				if f.Size != sum || len(f.Tensors) != len(whole.Tensors) {
					t.Errorf("%s: %d bytes and %d tensors, want %d and %d", p, f.Size, len(f.Tensors), sum, len(whole.Tensors))
				}
				part, left := 0, counts[0]
				for i := range f.Tensors {
					for left == 0 {
						part++
						left = counts[part]
					}
					left--
					x, y := &f.Tensors[i], &whole.Tensors[i]
					a, errA := io.ReadAll(f.Data(x))
					b, errB := io.ReadAll(whole.Data(y))
					if errA != nil || errB != nil || x.Name != y.Name || x.Part != part || !bytes.Equal(a, b) {
						t.Errorf("%s: tensor %d is %s of part %d, want %s of %d with the same data; %v, %v", p, i, x.Name, x.Part, y.Name, part, errA, errB)
					}
					if found, ok := f.Tensor(x.Name); !ok || found != x {
						t.Errorf("tensor %s is not found", x.Name)
					}
				}
				got, err := ledger.Describe(f)
				if err != nil || got.FileBytes != sum {
					t.Fatal(got.FileBytes, err)
				}
				if got.WeightBytes != d.WeightBytes || got.ParamsTotal != d.ParamsTotal || got.BytesReadPerToken != d.BytesReadPerToken || got.NLayer != d.NLayer {
					t.Errorf("%+v\nwant %+v", got, d)
				}
				h, err := io.ReadAll(f.Header())
				if err != nil {
					t.Fatal(err)
				}
				headers = append(headers, h)
				if err := f.Close(); err != nil || f.Close() != nil {
					t.Error(err)
				}
				if _, err := io.ReadAll(f.Data(&f.Tensors[8])); err == nil {
					t.Error("a part is still open after Close")
				}
			}
			for _, h := range headers[1:] {
				if !bytes.Equal(h, headers[0]) {
					t.Error("the headers depend on the part that was opened")
				}
			}
		})
	}
	if paths := func() []string {
		path := filepath.Join(t.TempDir(), "one.gguf")
		toy(t, path, gguf.Entry{Key: "split.count", Value: uint16(1)}, gguf.Entry{Key: "split.no", Value: uint16(0)}) // as a whole model may say of itself
		return open(t, path).Paths()
	}(); len(paths) != 1 || filepath.Base(paths[0]) != "one.gguf" {
		t.Errorf("a model in one file lies in %v", paths)
	}
}

// TestPartsThatDoNotFit spoils a model of three parts. Every error must name the file that is wrong and say what would
// be right, whichever part is opened.
func TestPartsThatDoNotFit(t *testing.T) {
	type parts struct {
		dir   string
		paths []string // of m, in 2 + 3 + 4 tensors
	}
	rename := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	// other makes the part no of another model of the toy's kind, split by counts, and puts it in the place of m's.
	other := func(t *testing.T, m parts, no int, counts []int, more ...gguf.Entry) {
		t.Helper()
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		toy(t, path, more...)
		rename(t, gguftest.Split(t, path, dir, counts...)[no], m.paths[no])
	}
	part := func(no, count any, more ...gguf.Entry) []gguf.Entry {
		entries := more
		if no != nil {
			entries = append(entries, gguf.Entry{Key: "split.no", Value: no})
		}
		return append(entries, gguf.Entry{Key: "split.count", Value: count})
	}
	write := func(t *testing.T, path string, entries []gguf.Entry, specs ...gguf.Spec) {
		t.Helper()
		w, err := gguf.Create(path, entries, specs)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, s := range specs {
			out, err := w.Tensor(s.Name)
			if err == nil {
				_, err = out.Write(make([]byte, 4*s.Dims[0]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	total := func(n any) gguf.Entry { return gguf.Entry{Key: "split.tensors.count", Value: n} }
	vector := func(name string) gguf.Spec { return gguf.Spec{Name: name, Type: gguf.F32, Dims: []int64{8}} }
	for name, c := range map[string]struct {
		spoil func(t *testing.T, m parts)
		open  int // the part that is opened
		bad   int // the part that the error begins with
		want  []string
	}{
		"the last is missing":             {func(t *testing.T, m parts) { os.Remove(m.paths[2]) }, 0, 0, []string{"is part 1 of 3", "no ", "m-00003-of-00003.gguf; want all parts"}},
		"the first is missing":            {func(t *testing.T, m parts) { os.Remove(m.paths[0]) }, 2, 2, []string{"is part 3 of 3", "m-00001-of-00003.gguf; want"}},
		"two are missing":                 {func(t *testing.T, m parts) { os.Remove(m.paths[0]); os.Remove(m.paths[1]) }, 2, 2, []string{"m-00001-of-00003.gguf, ", "m-00002-of-00003.gguf; want"}},
		"a download that broke off":       {func(t *testing.T, m parts) { os.Truncate(m.paths[1], 900) }, 0, 1, []string{"the file ends at byte 900"}},
		"an empty part":                   {func(t *testing.T, m parts) { os.Truncate(m.paths[1], 0) }, 2, 1, []string{"is empty; want a GGUF file"}},
		"a folder in a part's place":      {func(t *testing.T, m parts) { os.Remove(m.paths[1]); os.Mkdir(m.paths[1], 0o777) }, 0, 1, []string{"is a folder; want a GGUF file"}},
		"a part of another count":         {func(t *testing.T, m parts) { other(t, m, 1, []int{2, 3, 2, 2}) }, 0, 1, []string{"one of 4", "of a model of 3", `want key "split.count" to be 3`}},
		"a whole model in a part's place": {func(t *testing.T, m parts) { toy(t, m.paths[1]) }, 0, 1, []string{"one of 1", `want key "split.count" to be 3`}},
		"a whole model for the first":     {func(t *testing.T, m parts) { toy(t, m.paths[0]) }, 1, 0, []string{"one of 1", `want key "split.count" to be 3`}},
		"the first twice": {func(t *testing.T, m parts) {
			b, _ := os.ReadFile(m.paths[0])
			os.WriteFile(m.paths[1], b, 0o666)
		}, 0, 1, []string{"is part 1 of 3, but stands in the place of part 2", `want key "split.no" to be 1`}},
		"two changed places": {func(t *testing.T, m parts) {
			rename(t, m.paths[1], m.paths[1]+"x")
			rename(t, m.paths[2], m.paths[1])
			rename(t, m.paths[1]+"x", m.paths[2])
		}, 0, 1, []string{"is part 3 of 3, but stands in the place of part 2"}},
		"a part under a name of its own": {func(t *testing.T, m parts) {
			rename(t, m.paths[1], filepath.Join(m.dir, "second.gguf"))
			m.paths[1] = filepath.Join(m.dir, "second.gguf")
		}, 1, 1, []string{"is part 2 of 3, which its name does not say", "want a name NAME-00002-of-00003.gguf"}},
		"a part under another's name": {func(t *testing.T, m parts) {
			rename(t, m.paths[1], m.paths[2])
			m.paths[1] = m.paths[2]
		}, 1, 1, []string{"is part 2 of 3", "want a name NAME-00002-of-00003.gguf"}},
		"a tensor in two parts": {func(t *testing.T, m parts) { other(t, m, 1, []int{1, 4, 4}) }, 0, 1, []string{`the data of tensor "output_norm.weight", which is in `, "m-00001-of-00003.gguf", "each tensor in one part"}},
		"too few tensors":       {func(t *testing.T, m parts) { other(t, m, 1, []int{2, 2, 5}) }, 2, 0, []string{`"split.tensors.count" is 9`, "have 8 tensors"}},
		"a part of a model of more tensors": {func(t *testing.T, m parts) {
			write(t, m.paths[1], part(uint16(1), uint16(3), total(int32(12))), vector("a"), vector("b"), vector("c"))
		}, 0, 1, []string{"of a model of 12 tensors", "one of 9"}},
		"a part of another architecture": {func(t *testing.T, m parts) {
			write(t, m.paths[1], part(uint16(1), uint16(3), gguf.Entry{Key: "general.architecture", Value: "qwen2"}), vector("a"), vector("b"), vector("c"))
		}, 2, 1, []string{`"qwen2"`, `"llama"`, "m-00001-of-00003.gguf"}},
		"no number":             {func(t *testing.T, m parts) { write(t, m.paths[1], part(nil, uint16(3))) }, 0, 1, []string{`"split.count" is 3`, `want a key "split.no"`}},
		"a number too large":    {func(t *testing.T, m parts) { write(t, m.paths[1], part(uint16(3), uint16(3))) }, 1, 1, []string{`"split.no" is 3 in a model of 3 parts`, "want 0 to 2"}},
		"a number of no uint16": {func(t *testing.T, m parts) { write(t, m.paths[1], part(uint32(1), uint16(3))) }, 0, 1, []string{`"split.no" is uint32`, "want uint16"}},
		"a count of no uint16":  {func(t *testing.T, m parts) { write(t, m.paths[1], part(uint16(1), int32(3))) }, 0, 1, []string{`"split.count" is int32`, "want uint16"}},
		"no count of tensors":   {func(t *testing.T, m parts) { write(t, m.paths[0], part(uint16(0), uint16(3))) }, 1, 0, []string{`no key "split.tensors.count"`}},
		"a text for it":         {func(t *testing.T, m parts) { write(t, m.paths[0], part(uint16(0), uint16(3), total("9"))) }, 1, 0, []string{`"split.tensors.count" is string`, "want int32"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := parts{dir: t.TempDir()}
			path := filepath.Join(t.TempDir(), "m.gguf")
			toy(t, path)
			m.paths = gguftest.Split(t, path, m.dir, 2, 3, 4)
			open(t, m.paths[1])
			c.spoil(t, m)
			f, err := gguf.Open(m.paths[c.open])
			if err == nil {
				f.Close()
				t.Fatal("no error")
			}
			if errors.Is(err, fs.ErrNotExist) {
				t.Error("the error says that the file that was asked for is not there")
			}
			for i, want := range append([]string{m.paths[c.bad]}, c.want...) {
				if !strings.Contains(err.Error(), want) || i == 0 && !strings.HasPrefix(err.Error(), "gguf: "+want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
	t.Run("many are missing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "m-00009-of-65535.gguf")
		write(t, path, part(uint16(8), uint16(65535)))
		if _, err := gguf.Open(path); err == nil || !strings.Contains(err.Error(), "m-00003-of-65535.gguf, 65531 more; want") || len(err.Error()) > 1000 {
			t.Error(err)
		}
	})
	t.Run("bytes without a name", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "m-00002-of-00003.gguf")
		write(t, path, part(uint16(1), uint16(3)))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gguf.Read(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "part 2 of 3") {
			t.Error(err)
		}
	})
}

// TestPartsThroughLinks opens parts that are links to files of other names, as in the cache of Hugging Face's tools.
func TestPartsThroughLinks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	toy(t, path)
	var links []string
	for i, p := range gguftest.Split(t, path, dir, 3, 3, 3) {
		blob, link := filepath.Join(dir, fmt.Sprintf("blob%d", i)), filepath.Join(dir, "snapshot-"+filepath.Base(p))
		if err := errors.Join(os.Rename(p, blob), os.Symlink(blob, link)); err != nil {
			t.Fatal(err)
		}
		links = append(links, link)
	}
	if f := open(t, links[1]); !slices.Equal(f.Paths(), links) {
		t.Errorf("the parts are %v, want %v", f.Paths(), links)
	}
}

func TestStem(t *testing.T) {
	for path, want := range map[string]string{
		"a/m.gguf": "a/m", "a/m-00002-of-00003.gguf": "a/m", "m-65535-of-65535.gguf": "m", "m.bin": "m.bin", "m": "m",
		"m-00004-of-00003.gguf": "m", "m-0002-of-0003.gguf": "m-0002-of-0003", "m-00002-of-00003.GGUF": "m-00002-of-00003.GGUF",
		"m-+0002-of-00003.gguf": "m-+0002-of-00003", "-00001-of-00002.gguf": "-00001-of-00002", "m-00001-of-00002-00001-of-00002.gguf": "m-00001-of-00002",
	} {
		if got := gguf.Stem(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
