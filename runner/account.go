package runner

import (
	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/runner/protocol"
)

// expect is what the plan says of a file.
func expect(f *gguf.File, d *ledger.Description) protocol.Expect {
	return protocol.Expect{
		Architecture: d.Architecture, Params: d.ParamsTotal, RopeParams: ledger.RopeElements(f), Bytes: d.WeightBytes, Tensors: len(f.Tensors), Unused: d.Unloaded(),
		Layers: d.NLayer, NCtxTrain: d.NCtxTrain, NVocab: d.NVocab, Memory: d.MemoryKind(),
	}
}
