package synth

import (
	"crypto/sha256"
	"io"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

// Preview is the file that Write would make, with weights that read as zeros.
func Preview(m Model, opt Options) (*gguf.File, error) {
	entries, ts, err := m.contents(opt)
	if err != nil {
		return nil, err
	}
	return gguf.Preview(entries, specs(ts))
}

// Describe returns what ledger.Describe says of the file that Write makes, without making it; its FileBytes is the
// file's size.
func Describe(m Model, opt Options) (ledger.Description, error) {
	f, err := Preview(m, opt)
	if err != nil {
		return ledger.Description{}, err
	}
	return ledger.Describe(f)
}

// FileBytes returns the size of the file that Write makes.
func FileBytes(m Model, opt Options) (int64, error) {
	entries, ts, err := m.contents(opt)
	if err != nil {
		return 0, err
	}
	return gguf.Size(entries, specs(ts))
}

// Head is how a file that was made before is known without reading its weights: by its size and every byte before them,
// which name shape, seed and the version of the generator.
type Head struct {
	size, offset int64
	sum          [sha256.Size]byte
}

// HeadOf is a file's, or that of one which is only previewed.
func HeadOf(f *gguf.File) (Head, error) {
	h := sha256.New()
	if _, err := io.Copy(h, f.Header()); err != nil {
		return Head{}, err
	}
	return Head{f.Size, f.DataOffset, [sha256.Size]byte(h.Sum(nil))}, nil
}

// Matches tells whether the file at path has this head.
func (h Head) Matches(path string) bool {
	f, err := gguf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	got, err := HeadOf(f)
	return err == nil && got == h
}
