package ledger

import (
	"runtime"

	"golang.org/x/sys/cpu"

	"llmscale/gguf"
)

// A CPU with AMX has a buffer of its own in llama.cpp, which comes before the repacked one: it takes copies of more types,
// f16 among them, of the matrices that are multiplied alone (not an expert's). The rules are those of
// https://github.com/ggml-org/llama.cpp/blob/0c1e57098/ggml/src/ggml-cpu/amx/amx.cpp and mmq.cpp.

// HasAMX tells whether a llama.cpp that was built for this machine's CPU uses AMX.
func HasAMX() bool {
	return runtime.GOARCH == "amd64" && runtime.GOOS == "linux" && cpu.X86.HasAMXInt8 && cpu.X86.HasAVX512VNNI
}

const (
	amxRows        = 32   // a matrix of another number of rows than a multiple is not taken
	amxOldElements = 2048 // nor, in Ollama's version, one of another number of elements in a row
)

// amxTypes has of each type what a row's elements must be a multiple of, and what a block takes beside its own bytes.
var amxTypes = map[gguf.Type]struct{ elements, more int64 }{
	gguf.F16: {16, 0}, gguf.Q4_0: {32, 0}, gguf.Q4_1: {32, 0}, gguf.Q8_0: {32, 4}, gguf.Q4_K: {256, 4}, gguf.Q5_K: {256, 4}, gguf.Q6_K: {256, 0}, gguf.IQ4XS: {256, 2},
}

// amxBytes are those of the copy for AMX; 0: there is none.
func (t *placement) amxBytes(r Rules) int64 {
	of, ok := amxTypes[t.typ]
	if !ok || t.experts || !t.matrix && !t.head || t.rows < 2 || t.rows%amxRows != 0 || t.columns%of.elements != 0 || r == Ollama && t.columns%amxOldElements != 0 {
		return 0
	}
	return t.size + t.rows*(t.columns/of.elements)*of.more
}
