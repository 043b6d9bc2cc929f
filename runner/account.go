package runner

import (
	"llmscale/gguf"
	"llmscale/runner/protocol"
)

// expect is what the plan says of a file.
func expect(f *gguf.File, d *gguf.Description) protocol.Expect {
	return protocol.Expect{
		Architecture: d.Architecture, Params: d.ParamsTotal, RopeParams: f.RopeElements(), Bytes: d.WeightBytes, Tensors: len(f.Tensors), Unused: d.Unloaded(),
		Layers: d.NLayer, NCtxTrain: d.NCtxTrain, NVocab: d.NVocab, Memory: d.MemoryKind(),
	}
}
