package ledger

// Rules names the llama.cpp by whose rules memory is reckoned, where versions of it differ. Its zero value is the newest
// that is known, which is what this program links by default (scripts/llama.pin).
type Rules string

const (
	// Newest is llama.cpp 0c1e57098 of 2026, and what is said of any checkout.
	Newest Rules = ""

	// Ollama is llama.cpp ec98e2002 of December 2025 in the Go module github.com/ollama/ollama, which an Ollama server
	// runs and LLAMA=ollama links. It makes masks in f32 and copies them to f16, has one input less, does not keep the
	// last norm, does not repack mxfp4, caches values beside the compressed keys that hold them (MLA), and gives each sequence
	// of a hybrid model a cache of all sequences' length.
	Ollama Rules = "ollama"
)

// RulesOf returns the rules of a build by what it says of its sources (llama_source).
func RulesOf(source string) Rules {
	switch source {
	case "ollama", "module": // as it was called while that was the default
		return Ollama
	}
	return Newest
}
