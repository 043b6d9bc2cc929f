package synth

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

// matches tells whether the file at path is what Write would make.
func matches(path string, m Model, opt Options) bool {
	f, err := Preview(m, opt)
	if err != nil {
		return false
	}
	h, err := HeadOf(f)
	return err == nil && h.Matches(path)
}

func TestDescribeAndMatches(t *testing.T) {
	p, err := Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Type: "f16", Seed: 1 << 63} // a seed that no int64 holds
	path := filepath.Join(t.TempDir(), "m.gguf")
	if matches(path, p, opt) {
		t.Error("Matches a file that is not there")
	}
	if err := Write(path, p, opt); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	written, err := ledger.Describe(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	planned, err := Describe(p, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(planned, written) {
		t.Errorf("Describe says\n%+v, the file\n%+v", planned, written)
	}
	other, err := Lookup("gpt2-5m")
	if err != nil {
		t.Fatal(err)
	}
	renamed := p
	renamed.Name = "tiny-gpt3" // of the same size and length of name
	for _, c := range []struct {
		name string
		p    Shape
		opt  Options
		want bool
	}{
		{"the same", p, opt, true},
		{"another type", p, Options{Type: "f32", Seed: opt.Seed}, false},
		{"another seed", p, Options{Type: "f16", Seed: 2}, false},
		{"another preset", other, opt, false},
		{"another name", renamed, opt, false},
		{"a type that there is not", p, Options{Type: "q9"}, false},
	} {
		if got := matches(path, c.p, c.opt); got != c.want {
			t.Errorf("%s: Matches = %v", c.name, got)
		}
	}
	if err := os.Truncate(path, planned.FileBytes-1); err != nil {
		t.Fatal(err)
	}
	if matches(path, p, opt) {
		t.Error("Matches a truncated file")
	}
}

// TestFileBytes: the size without the header is the size with it, for every shape, whichever was asked for before.
func TestFileBytes(t *testing.T) {
	lists := [][]Shape{Presets(), Shapes()}
	rungs, err := Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	lists = append(lists, rungs)
	for _, list := range lists {
		for _, s := range list {
			for _, typ := range []string{"f16", "q4_0"} {
				opt := Options{Type: typ, Seed: 3}
				f, err := Preview(s, opt)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := FileBytes(s, opt); err != nil || got != f.Size {
					t.Errorf("%s in %s: FileBytes says %d, %v; the file has %d bytes", s.Source(), typ, got, err, f.Size)
				}
			}
		}
	}
	if _, err := FileBytes(rungs[0], Options{Type: "q9"}); err == nil {
		t.Error("a size of a type that there is not")
	}
}

// BenchmarkFileSize compares the ways to find a size: by the header's bytes, and by their number alone.
func BenchmarkFileSize(b *testing.B) {
	s, err := Lookup("shape:gemma3-270m")
	if err != nil {
		b.Fatal(err)
	}
	for name, size := range map[string]func() error{
		"header": func() error { _, err := Describe(s, Options{}); return err },
		"number": func() error { _, err := FileBytes(s, Options{}); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := size(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
