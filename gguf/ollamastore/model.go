package ollamastore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Layer is one part of a model, stored as a file ("blob") of its own.
type Layer struct {
	Kind      string `json:"kind"`       // what follows "application/vnd.ollama.image." in the media type, else the media type
	MediaType string `json:"media_type"` // as in the manifest
	Digest    string `json:"digest"`     // "sha256:" and 64 hexadecimal digits
	Size      int64  `json:"size_bytes"`
	Tensor    string `json:"tensor,omitempty"` // the name of a part of kind "tensor"
}

// Model is a model of the store whose weights are one GGUF file.
type Model struct {
	Name     string   `json:"name"`            // as Ollama shows it, for instance "gemma3:270m"
	Store    string   `json:"store"`           // the store's folder
	Manifest string   `json:"manifest"`        // path of the manifest
	Path     string   `json:"path"`            // of the GGUF file
	Digest   string   `json:"digest"`          // of the GGUF file as the manifest states it; the file is not hashed
	Size     int64    `json:"size_bytes"`      // of the GGUF file
	Layers   []Layer  `json:"layers"`          // all parts in the manifest's order, then the config
	Notes    []string `json:"notes,omitempty"` // what Ollama serves beside the file

	// As the config states them; each may be empty.
	Family        string `json:"family"`         // for instance "gemma3"
	ParameterSize string `json:"parameter_size"` // for instance "268.10M"
	Quantization  string `json:"quantization"`   // for instance "Q8_0"
}

// What a manifest of Ollama's calls its parts, behind this prefix.
const (
	mediaPrefix = "application/vnd.ollama.image."

	kindModel     = "model"
	kindAdapter   = "adapter"
	kindProjector = "projector"
	kindTensor    = "tensor"
	kindConfig    = "config"
)

// manifest and config hold the fields of Ollama's files that matter here
// (https://github.com/ollama/ollama/blob/v0.24.0/manifest/manifest.go#L16 and types/model/config.go#L4).
type manifest struct {
	Config manifestLayer   `json:"config"`
	Layers []manifestLayer `json:"layers"`
}

type manifestLayer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	Name      string `json:"name"`
}

type config struct {
	ModelFormat string `json:"model_format"`
	ModelFamily string `json:"model_family"`
	ModelType   string `json:"model_type"`
	FileType    string `json:"file_type"`
	RemoteHost  string `json:"remote_host"`
	RemoteModel string `json:"remote_model"`
	Draft       any    `json:"draft"`
}

// maxJSON bounds what is read of a manifest or a config. A model of one tensor per part has thousands of parts of
// some 200 bytes each.
const maxJSON = 16 << 20

// Resolve finds the model called name and the GGUF file that holds its weights, and checks that the file is what the
// manifest says: by its place, its size and its first bytes. It does not read the weights.
func (s *Store) Resolve(name string) (Model, error) {
	n, err := s.find(name)
	if err != nil {
		return Model{}, err
	}
	m := Model{Name: n.DisplayShortest(), Store: s.root, Manifest: s.manifest(n)}
	if err := s.fill(&m); err != nil {
		return Model{}, fmt.Errorf("ollamastore: %s: %w", m.Name, err)
	}
	return m, nil
}

func (s *Store) fill(m *Model) error {
	var man manifest
	if err := readJSON(m.Manifest, &man); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if err := m.addLayers(man); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Manifest, err)
	}
	var conf config
	if man.Config.Digest != "" {
		path, err := s.blob(m.Layers[len(m.Layers)-1])
		if err == nil {
			err = readJSON(path, &conf)
		}
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	m.Family, m.ParameterSize, m.Quantization = conf.ModelFamily, conf.ModelType, conf.FileType

	weights, err := m.weights(conf)
	if err != nil {
		return err
	}
	m.Digest, m.Size = weights.Digest, weights.Size
	if m.Path, err = s.blob(weights); err == nil {
		err = checkMagic(m.Path)
	}
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

func (m *Model) addLayers(man manifest) error {
	all := man.Layers
	if man.Config.Digest != "" {
		all = append(all[:len(all):len(all)], man.Config)
	}
	if len(man.Layers) == 0 && man.Config.Digest == "" {
		return errors.New(`it has neither "layers" nor a "config"; want the manifest of a model: fetch it again`)
	}
	for i, l := range all {
		what := fmt.Sprintf("layers[%d]", i)
		kind := strings.TrimPrefix(l.MediaType, mediaPrefix)
		if i == len(man.Layers) {
			what, kind = "config", kindConfig
		}
		if !digestForm.MatchString(l.Digest) {
			return fmt.Errorf("%s: its digest is %.80q; want sha256: and 64 hexadecimal digits", what, l.Digest)
		}
		if l.Size < 0 {
			return fmt.Errorf("%s: its size is %d bytes; want 0 or more", what, l.Size)
		}
		m.Layers = append(m.Layers, Layer{Kind: kind, MediaType: l.MediaType, Digest: strings.Replace(l.Digest, "-", ":", 1), Size: l.Size, Tensor: l.Name})
	}
	return nil
}

// digestForm is the form of digest that Ollama accepts; anything else could name a file outside the store.
var digestForm = regexp.MustCompile(`^sha256[:-][0-9a-fA-F]{64}$`)

// weights returns the one part that holds the weights.
func (m *Model) weights(conf config) (Layer, error) {
	var weights Layer
	count := map[string]int{}
	for _, l := range m.Layers {
		count[l.Kind]++
		if l.Kind == kindModel {
			weights = l
		}
	}
	switch {
	case conf.RemoteHost != "":
		return Layer{}, fmt.Errorf("it runs on %s as %s: there are no weights here; want a model that was pulled", conf.RemoteHost, conf.RemoteModel)
	case count[kindTensor] > 0:
		return Layer{}, fmt.Errorf("its weights are %d single tensors (safetensors), which llama.cpp cannot load; want a model of one GGUF file", count[kindTensor])
	case count[kindModel] == 0:
		return Layer{}, fmt.Errorf("it has no part of kind model, but %s; want one GGUF file", m.inventory())
	case count[kindModel] > 1:
		return Layer{}, fmt.Errorf("its weights are %d files, and only one can be loaded; it has %s; want one GGUF file", count[kindModel], m.inventory())
	case conf.ModelFormat != "" && conf.ModelFormat != "gguf":
		return Layer{}, fmt.Errorf("its weights are in the format %q, which llama.cpp cannot load; want gguf", conf.ModelFormat)
	case count[kindAdapter] > 0:
		return Layer{}, fmt.Errorf("it has %s: Ollama adds the adapter (LoRA) to the weights, and llmscale does not; want a model without adapter, or one into which it was merged", m.inventory())
	}
	if count[kindProjector] > 0 {
		m.Notes = append(m.Notes, "the projector (images, sound) is a file of its own and is not loaded: text alone is measured")
	}
	if conf.Draft != nil {
		m.Notes = append(m.Notes, "Ollama may use this model's draft model for speculative decoding; llmscale does not")
	}
	return weights, nil
}

// inventory lists the parts for an error: "model (1234 bytes), adapter (56 bytes), license (7 bytes)".
func (m *Model) inventory() string {
	const most = 12
	var parts []string
	for i, l := range m.Layers {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(m.Layers)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%d bytes)", l.Kind, l.Size))
	}
	return strings.Join(parts, ", ")
}

// blob returns the path of a part's file, after checking that it is there and as long as the manifest says.
func (s *Store) blob(l Layer) (string, error) {
	path := filepath.Join(s.root, "blobs", strings.Replace(l.Digest, ":", "-", 1))
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the store has no file %s; fetch the model again", path)
	case err != nil:
		return "", readable(err)
	case !st.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", path)
	case st.Size() != l.Size:
		return "", fmt.Errorf("%s has %d bytes, the manifest says %d; fetch the model again", path, st.Size(), l.Size)
	}
	return path, nil
}

func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return readable(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err != nil {
		return readable(err)
	}
	if len(data) > maxJSON {
		return fmt.Errorf("%s is larger than %d bytes; want a JSON object", path, maxJSON)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s is not the JSON that Ollama writes: %w", path, err)
	}
	return nil
}

// checkMagic refuses a file that does not start as GGUF, for instance of the formats before it.
func checkMagic(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return readable(err)
	}
	defer f.Close()
	magic := []byte("GGUF")
	got := make([]byte, len(magic))
	n, err := io.ReadFull(f, got)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return readable(err)
	}
	if !bytes.Equal(got, magic) {
		return fmt.Errorf("%s starts with %q; want %q, the mark of a GGUF file", path, got[:n], magic)
	}
	return nil
}
