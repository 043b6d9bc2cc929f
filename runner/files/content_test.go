package files

import (
	"cmp"
	"io"
	"path/filepath"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/synth"
)

// BenchmarkHash: what a model costs that is hashed after it was written, while it is, in a later run, and that a later
// run knows.
func BenchmarkHash(b *testing.B) {
	shape, err := synth.Lookup("gpt2-50m")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "m.gguf")
	write := func(w *gguf.Written) error {
		return synth.Write(path, shape, synth.Options{Type: "f16", Written: w})
	}
	if err := write(nil); err != nil {
		b.Fatal(err)
	}
	known, err := Hash([]string{path}, nil)
	if err != nil {
		b.Fatal(err)
	}
	hash := func() error { _, err := Hash([]string{path}, nil); return err }
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"later", hash},
		{"known", func() error { return known.CopyTo(io.Discard, "", nil) }},
		{"after writing", func() error { return cmp.Or(write(nil), hash()) }},
		{"while writing", func() error { return write(&gguf.Written{}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(known.Files[0].Size)
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
