// SPDX-License-Identifier: MIT

package archs

import (
	"fmt"

	"llmscale/gguf"
)

// Comparison is what a description says beside what llama.cpp tells.
type Comparison struct {
	Refused     string   // why no token is decoded; figures that come after a load are then not told
	Differences []string // in sentences; none if all figures that llama.cpp tells are equal
}

// Compare describes the model and compares every figure that llama.cpp tells of it.
func Compare(m *Model, a Account) (Comparison, error) {
	c := Comparison{Refused: a.Refused}
	f, err := m.Preview()
	if err != nil {
		return c, err
	}
	d, err := gguf.Describe(f)
	if err != nil {
		return c, err
	}
	same := func(what string, described, told int64) {
		if described != told {
			c.Differences = append(c.Differences, fmt.Sprintf("%s: described %d, llama.cpp tells %d (%+d)", what, described, told, described-told))
		}
	}
	if a.Params > 0 {
		tables := int64(0) // llama.cpp counts them as parameters
		for i := range f.Tensors {
			if t := &f.Tensors[i]; gguf.IsRopeTable(t.Name) {
				tables += t.Elements
			}
		}
		same("parameters", d.ParamsTotal+tables, a.Params)
		same("bytes of weights", d.WeightBytes, a.SizeBytes)
		same("layers", d.NLayer, a.NLayer)
		same("width", d.NEmbd, a.NEmbd)
		same("vocabulary", d.NVocab, a.NVocab)
		same("trained context", d.NCtxTrain, a.NCtxTrain)
	}
	if c.Refused != "" {
		return c, nil
	}
	same("bytes read per token", d.BytesReadPerToken, a.ReadBytes)
	mem, err := d.Memory(gguf.MemoryOptions{Context: Context, UBatch: 64, Repack: []gguf.Type{}})
	if err != nil {
		return c, err
	}
	same("cache", mem.KV, a.CacheBytes)
	same("mapped weights", mem.Weights, a.WeightBytes)
	return c, nil
}
