//go:build native

package native

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// archSource is what the source of the llama.cpp that was built in says of architectures.
type archSource struct {
	names   []string            // of the architectures
	tensors map[string][]string // by architecture, the names of its tensors, with %d for the layer
}

var (
	archName   = regexp.MustCompile(`\{ *(LLM_ARCH_\w+), *"([^"]+)" *\}`)
	tensorName = regexp.MustCompile(`\{ *(LLM_TENSOR_\w+), *"([^"]+)" *\}`)
	caseArch   = regexp.MustCompile(`case (LLM_ARCH_\w+):`)
	useTensor  = regexp.MustCompile(`\b(LLM_TENSOR_\w+),`)
)

// readArchSource parses src/llama-arch.cpp.
func readArchSource(t testing.TB) *archSource {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(llamaSource(t), "src/llama-arch.cpp"))
	if err != nil {
		t.Fatal(err)
	}
	s := &archSource{tensors: map[string][]string{}}
	arch, tensor := map[string]string{}, map[string]string{}
	for _, f := range archName.FindAllStringSubmatch(string(text), -1) {
		if arch[f[1]] == "" && f[2] != "(unknown)" {
			arch[f[1]] = f[2]
			s.names = append(s.names, f[2])
		}
	}
	for _, f := range tensorName.FindAllStringSubmatch(string(text), -1) {
		tensor[f[1]] = f[2]
	}
	if len(s.names) < 50 {
		t.Fatalf("llama-arch.cpp has another form: %d architectures", len(s.names))
	}
	_, body, _ := strings.Cut(string(text), "llm_get_tensor_names(llm_arch arch)") // not in newer versions
	var cases []string
	open := true // between the first case and the return
	for line := range strings.SplitSeq(body, "\n") {
		if f := caseArch.FindStringSubmatch(line); f != nil {
			if !open {
				cases, open = nil, true
			}
			cases = append(cases, arch[f[1]])
			continue
		}
		open = false
		if f := useTensor.FindStringSubmatch(line); f != nil {
			for _, a := range cases {
				s.tensors[a] = append(s.tensors[a], tensor[f[1]])
			}
		}
		if line == "}" {
			break
		}
	}
	return s
}

// llamaSource is the folder of the llama.cpp that was built in.
func llamaSource(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("LLAMA_CPP_DIR"); dir != "" {
		return dir
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ollama/ollama").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "llama/llama.cpp")
}
