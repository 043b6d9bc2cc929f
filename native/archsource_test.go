//go:build native

package native

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	if _, body, ok := strings.Cut(string(text), "llm_get_tensor_names(llm_arch arch)"); ok {
		s.listed(body, arch, tensor)
	} else {
		s.created(t, arch, tensor)
	}
	return s
}

// listed reads the tensors from a switch over the architectures, which older versions have.
func (s *archSource) listed(body string, arch, tensor map[string]string) {
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
}

var (
	newModel    = regexp.MustCompile(`case (LLM_ARCH_\w+):\s+return new (llama_model_\w+)\(`)
	inherits    = regexp.MustCompile(`struct (llama_model_\w+) : public (llama_model_\w+)`)
	loadTensors = regexp.MustCompile(`(?s)void (llama_model_\w+)::load_arch_tensors\(.*?\n}\n`)
	anyTensor   = regexp.MustCompile(`\bLLM_TENSOR_\w+`)
)

// created reads them from the function of each architecture's class that creates them.
func (s *archSource) created(t testing.TB, arch, tensor map[string]string) {
	t.Helper()
	src := filepath.Join(llamaSource(t), "src")
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	files, err := filepath.Glob(filepath.Join(src, "models/*.cpp"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no models in %s (%v)", src, err)
	}
	ofClass := map[string][]string{}
	for _, path := range files {
		for _, f := range loadTensors.FindAllStringSubmatch(read(path), -1) {
			names := []string{tensor["LLM_TENSOR_ATTN_QKV"], tensor["LLM_TENSOR_ATTN_Q"], tensor["LLM_TENSOR_ATTN_K"], tensor["LLM_TENSOR_ATTN_V"]} // by create_tensor_qkv
			for _, use := range anyTensor.FindAllString(f[0], -1) {
				if name := tensor[use]; name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			ofClass[f[1]] = names
		}
	}
	parent := map[string]string{}
	for _, f := range inherits.FindAllStringSubmatch(read(filepath.Join(src, "models/models.h")), -1) {
		parent[f[1]] = f[2]
	}
	for _, f := range newModel.FindAllStringSubmatch(read(filepath.Join(src, "llama-model.cpp")), -1) {
		class := f[2]
		for ofClass[class] == nil && parent[class] != "" {
			class = parent[class]
		}
		s.tensors[arch[f[1]]] = ofClass[class]
	}
}

// llamaSource is the folder of the llama.cpp that was built in.
func llamaSource(t testing.TB) string {
	t.Helper()
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	switch build.LlamaSource {
	case "package":
		return find("../scripts/llama-cpp")
	case "ollama":
		return filepath.Join(find("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ollama/ollama"), "llama/llama.cpp")
	}
	dir := os.Getenv("LLAMA_CPP_DIR")
	if dir == "" {
		t.Skip("this build is of a checkout: LLAMA_CPP_DIR says where it is")
	}
	return dir
}
