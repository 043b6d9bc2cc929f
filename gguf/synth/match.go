package synth

import (
	"bytes"
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

// Matches tells whether the file at path is what Write would make of the same arguments: its size and every byte
// before the weights are compared, and those name shape, seed and the version of the generator. The weights
// themselves are not read.
func Matches(path string, m Model, opt Options) bool {
	want, err := Preview(m, opt)
	if err != nil {
		return false
	}
	f, err := gguf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if f.Size != want.Size || f.DataOffset != want.DataOffset {
		return false
	}
	a, b := f.Header(), want.Header()
	bufA, bufB := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			return false
		}
		if errA != nil || errB != nil {
			return (errA == io.EOF || errA == io.ErrUnexpectedEOF) && errA == errB
		}
	}
}
