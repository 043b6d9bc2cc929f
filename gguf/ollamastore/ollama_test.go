package ollamastore

import (
	"os"
	"strings"
	"testing"

	ollama "github.com/ollama/ollama/manifest"
	"github.com/ollama/ollama/types/model"
)

// TestStoreThatOllamaWrote has Ollama's own code write a store: layers, manifests and names by its rules.
func TestStoreThatOllamaWrote(t *testing.T) {
	t.Setenv("OLLAMA_MODELS", t.TempDir())
	layer := func(mediaType, content string) ollama.Layer {
		t.Helper()
		l, err := ollama.NewLayer(strings.NewReader(content), mediaType)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	weights, license := layer("application/vnd.ollama.image.model", tiny), layer("application/vnd.ollama.image.license", "free")
	config := layer("application/vnd.docker.container.image.v1+json", tinyConfig)
	for _, name := range []string{"gpt2", "hf.co/some/repo:Q4_K_M", "localhost:5000/x/y"} {
		if err := ollama.WriteManifest(model.ParseName(name), config, []ollama.Layer{weights, license}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	names, err := s.List()
	if err != nil || len(names) != 3 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, n := range names {
		m, err := s.Resolve(n.DisplayShortest())
		if err != nil {
			t.Error(err)
			continue
		}
		path, err := ollama.BlobsPath(weights.Digest)
		if data, _ := os.ReadFile(m.Path); err != nil || m.Path != path || string(data) != tiny || m.Family != "gpt2" || len(m.Layers) != 3 {
			t.Errorf("%s: %+v; Ollama has the file at %s, %v", n, m, path, err)
		}
	}
}
