// SPDX-License-Identifier: MIT

package synth

import (
	"bytes"
	"io"

	"llmscale/gguf"
)

// preview is the file that Write would make, without weights.
func preview(p Preset, opt Options) (*gguf.File, error) {
	typ, err := parseType(opt.Type)
	if err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	entries, ts := contents(p, typ, opt.Seed)
	return gguf.Preview(entries, specs(ts))
}

// Size returns the bytes of the file that Write makes, and 0 if it would refuse the preset or the type.
func Size(p Preset, typ string) int64 {
	f, err := preview(p, Options{Type: typ})
	if err != nil {
		return 0
	}
	return f.Size
}

// Describe returns what gguf.Describe says of the file that Write makes, without making it.
func Describe(p Preset, opt Options) (gguf.Description, error) {
	f, err := preview(p, opt)
	if err != nil {
		return gguf.Description{}, err
	}
	return gguf.Describe(f)
}

// Matches tells whether the file at path is what Write would make of the same arguments: its size and every byte
// before the weights are compared, and those name preset, seed and the version of the generator. The weights
// themselves are not read.
func Matches(path string, p Preset, opt Options) bool {
	want, err := preview(p, opt)
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
