// Package modelfile finds, makes and hashes the files of a config's models.
package modelfile

import (
	"fmt"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/protocol"
)

// Model is a config's model as a file.
type Model struct {
	config.Model
	File   string // absolute path of the GGUF; of a model in several parts, of the first
	Label  string // the file's name, with folders where another file of the plan has that name too
	SHA256 string // of the file, of several parts one after another; "" until Prepare, and where the model is not tried
	Desc   ledger.Description

	Positions int64 // rows of a learned position table; 0: the model has none

	Files  []files.ID      // all that a load reads, as they were hashed; until Prepare as they were described, nil for files to be made
	Expect protocol.Expect // of the runtime that loads them

	maker maker // nil: the file is somebody's own
}

// Paths are those of all the model's files, of which the first may be one that is still to be made.
func (m *Model) Paths() []string {
	return append([]string{m.File}, files.Paths(m.Files[min(1, len(m.Files)):])...)
}

// expect is what the plan says of a file.
func expect(f *gguf.File, d *ledger.Description) protocol.Expect {
	return protocol.Expect{
		Architecture: d.Architecture, Params: d.ParamsTotal, RopeParams: ledger.RopeElements(f), Bytes: d.WeightBytes, Tensors: len(f.Tensors), Unused: d.Unloaded(),
		Layers: d.NLayer, NCtxTrain: d.NCtxTrain, NVocab: d.NVocab, Memory: d.MemoryKind(),
	}
}

// CheckLength refuses a sequence that is longer than the model's table of
// positions, beyond which llama.cpp would read past it and abort.
func (m *Model) CheckLength(depth, prompt, gen int) error {
	if m.Positions > 0 && int64(depth+prompt+gen) > m.Positions {
		before := ""
		if depth > 0 {
			before = fmt.Sprintf("a depth of %d tokens, ", depth)
		}
		return fmt.Errorf("model %s has %d positions: %sa prompt of %d tokens and %d decode steps do not fit", m.Name, m.Positions, before, prompt, gen)
	}
	return nil
}
