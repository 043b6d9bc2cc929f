// Package inspect reads a model's file, or one of an Ollama store, and prints what package ledger says of it.
package inspect

import (
	"fmt"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/ollamastore"
	"llmscale/gguf/synth"
)

// Model is what inspect says of a model, and its JSON.
type Model struct {
	File          string             `json:"file"`  // the first, where the model lies in several
	Parts         []Part             `json:"parts"` // all files, in order
	Version       uint32             `json:"gguf_version"`
	Ollama        *ollamastore.Model `json:"ollama,omitempty"`
	Random        string             `json:"random_weights,omitempty"` // of what, where the file says that its weights are random
	Refusal       string             `json:"refusal,omitempty"`        // why it cannot be measured
	Description   ledger.Description `json:"description"`
	BitsPerWeight float64            `json:"bits_per_weight"` // of the file's bytes, over all parameters
	Label         *ledger.Label      `json:"label"`           // null: nothing calls the file by a quantization
	Components    []ledger.Component `json:"components"`
	KVPerToken    int64              `json:"kv_bytes_per_token"`
	Memory        ledger.Memory      `json:"memory"`
	Tensors       []gguf.Tensor      `json:"tensors,omitempty"`

	kvType string
}

// Part is one file of a model.
type Part struct {
	File    string `json:"file"`
	Bytes   int64  `json:"file_bytes"`
	Tensors int    `json:"n_tensor"`
}

// Open reads the header of the file at a path, or of the model that "ollama:NAME" names, for a load with the options.
// tensors keeps the list of tensors too.
func Open(arg string, opt ledger.MemoryOptions, tensors bool) (*Model, error) {
	in := &Model{kvType: opt.TypeK}
	path := arg
	if name, ok := strings.CutPrefix(arg, "ollama:"); ok {
		store, err := ollamastore.Default()
		if err != nil {
			return nil, err
		}
		m, err := store.Resolve(name)
		if err != nil {
			return nil, err
		}
		path, in.Ollama = m.Path, &m
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in.File, in.Version, in.Random = f.Path, f.Version, synth.Origin(f)
	for _, p := range f.Parts() {
		in.Parts = append(in.Parts, Part{File: p.Path, Bytes: p.Size})
	}
	for i := range f.Tensors {
		in.Parts[f.Tensors[i].Part].Tensors++
	}
	if in.Label, err = ledger.LabelOf(f); err != nil {
		return nil, err
	}
	d, err := ledger.Describe(f)
	if err != nil {
		return nil, err
	}
	in.Description, in.Components, in.Refusal = d, d.Components(), d.DecodeRefusal()
	in.BitsPerWeight = d.BitsPerWeight()
	if in.Memory, err = d.Memory(opt); err != nil {
		return nil, fmt.Errorf("%s: %w", in.File, err)
	}
	if in.KVPerToken, err = d.KVBytesPerToken(opt.TypeK, opt.TypeV, opt.Rules); err != nil {
		return nil, fmt.Errorf("%s: %w", in.File, err)
	}
	if tensors {
		in.Tensors = f.Tensors
	}
	return in, nil
}
