package ollamastore

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// folder is an Ollama store that a test fills.
type folder struct {
	testing.TB
	root string
}

func newFolder(t testing.TB) folder {
	f := folder{t, t.TempDir()}
	f.mkdir("manifests")
	f.mkdir("blobs")
	return f
}

func (f folder) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f folder) mkdir(name string) { f.must(os.MkdirAll(filepath.Join(f.root, name), 0o777)) }

func (f folder) write(name, content string) {
	path := filepath.Join(f.root, name)
	f.must(os.MkdirAll(filepath.Dir(path), 0o777))
	f.must(os.WriteFile(path, []byte(content), 0o666))
}

// blob stores content and returns the part that names it.
func (f folder) blob(kind, content string) manifestLayer {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
	f.write("blobs/"+strings.Replace(digest, ":", "-", 1), content)
	return manifestLayer{MediaType: mediaPrefix + kind, Digest: digest, Size: int64(len(content))}
}

func (f folder) manifest(path string, config manifestLayer, layers ...manifestLayer) {
	data, err := json.Marshal(map[string]any{"schemaVersion": 2, "config": config, "layers": layers})
	f.must(err)
	f.write("manifests/"+path, string(data))
}

const (
	tiny       = "GGUF and what follows"
	tinyConfig = `{"model_format":"gguf","model_family":"gpt2","model_type":"124.44M","file_type":"F16","rootfs":{"type":"layers"}}`
)

// model puts an ordinary model at the manifest path.
func (f folder) model(path string) (weights manifestLayer) {
	weights = f.blob("model", tiny)
	f.manifest(path, f.config(tinyConfig), weights, f.blob("template", "{{ .Prompt }}"), f.blob("params", `{"stop":["x"]}`), f.blob("license", "free"))
	return weights
}

func (f folder) config(content string) manifestLayer {
	c := f.blob("config", content)
	c.MediaType = "application/vnd.docker.container.image.v1+json"
	return c
}

const gpt2 = "registry.ollama.ai/library/gpt2/latest"

func TestResolve(t *testing.T) {
	f := newFolder(t)
	weights := f.model(gpt2)
	f.model("registry.ollama.ai/me/gpt2/f16")
	f.model("hf.co/Some/Model-GGUF/Q4_K_M")
	s, err := Open(f.root)
	f.must(err)
	for _, c := range []struct{ name, want string }{
		{"gpt2", "gpt2:latest"}, {"gpt2:latest", "gpt2:latest"}, {"GPT2", "gpt2:latest"}, {"library/gpt2", "gpt2:latest"},
		{"registry.ollama.ai/library/gpt2:latest", "gpt2:latest"}, {"https://registry.ollama.ai/library/gpt2", "gpt2:latest"},
		{"me/gpt2:f16", "me/gpt2:f16"}, {"hf.co/some/model-gguf:q4_k_m", "hf.co/Some/Model-GGUF:Q4_K_M"},
	} {
		m, err := s.Resolve(c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Name != c.want || m.Digest != weights.Digest || m.Size != int64(len(tiny)) || m.Family != "gpt2" || m.ParameterSize != "124.44M" || m.Quantization != "F16" || m.Notes != nil {
			t.Errorf("%s: %+v", c.name, m)
		}
		if data, err := os.ReadFile(m.Path); string(data) != tiny {
			t.Errorf("%s: %s holds %q, %v", c.name, m.Path, data, err)
		}
		var kinds []string
		for _, l := range m.Layers {
			kinds = append(kinds, l.Kind)
		}
		if !slices.Equal(kinds, []string{"model", "template", "params", "license", "config"}) {
			t.Errorf("%s: parts %v", c.name, kinds)
		}
	}
}

func TestResolveNotes(t *testing.T) {
	f := newFolder(t)
	f.manifest(gpt2, f.config(`{"model_format":"gguf","draft":{"architecture":"gpt2"}}`), f.blob("projector", "GGUF too"), f.blob("model", tiny))
	s, err := Open(f.root)
	f.must(err)
	m, err := s.Resolve("gpt2")
	if err != nil || len(m.Notes) != 2 || !strings.Contains(m.Notes[0], "projector") || !strings.Contains(m.Notes[1], "draft") || m.Family != "" {
		t.Errorf("%+v, %v", m, err)
	}
	// A manifest without a config is what very old versions wrote; Ollama still serves it.
	f.manifest(gpt2, manifestLayer{}, f.blob("model", tiny))
	if m, err := s.Resolve("gpt2"); err != nil || len(m.Layers) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestList(t *testing.T) {
	f := newFolder(t)
	s, err := Open(f.root)
	f.must(err)
	if names, err := s.List(); len(names) != 0 || err != nil {
		t.Errorf("an empty store lists %v, %v", names, err)
	}
	f.model("registry.ollama.ai/library/gpt2/latest")
	f.model("registry.ollama.ai/library/gpt2/f16")
	f.model("registry.ollama.ai/me/own/latest")
	f.write("manifests/registry.ollama.ai/library/gpt2/.DS_Store", "")       // no name
	f.write("manifests/registry.ollama.ai/library/README", "")               // not deep enough
	f.write("manifests/registry.ollama.ai/library/gpt2/folder/latest", "{}") // too deep
	f.write("elsewhere/ns/linked/latest", "{}")                              // reached through a link
	f.must(os.Symlink(filepath.Join(f.root, "elsewhere"), filepath.Join(f.root, "manifests/example.com")))
	f.must(os.Symlink("nowhere", filepath.Join(f.root, "manifests/example.org")))
	names, err := s.List()
	f.must(err)
	var got []string
	for _, n := range names {
		got = append(got, n.DisplayShortest())
	}
	if want := []string{"example.com/ns/linked:latest", "gpt2:f16", "gpt2:latest", "me/own:latest"}; !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

func TestWhichStore(t *testing.T) {
	home, service, other := newFolder(t), newFolder(t), newFolder(t)
	f := home
	models := filepath.Join(home.root, ".ollama", "models")
	for _, c := range []struct{ name, env, home, want, err string }{
		{"the variable", other.root, home.root, other.root, ""},
		{"the variable, quoted", ` "` + other.root + `" `, home.root, other.root, ""},
		{"a variable that points nowhere", "/nowhere", home.root, "", "/nowhere is no Ollama store"},
		{"home before it has a store", "", home.root, service.root, ""},
		{"no home", "", "", service.root, ""},
	} {
		s, err := first(c.env, c.home, service.root)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
		} else if err != nil || s.Root() != c.want {
			t.Errorf("%s: %v, %v, want %s", c.name, s, err, c.want)
		}
	}
	f.mkdir(".ollama/models/manifests")
	if s, err := first("", home.root, service.root); err != nil || s.Root() != models {
		t.Errorf("home's store: %v, %v", s, err)
	}
	t.Setenv("OLLAMA_MODELS", other.root)
	if s, err := Default(); err != nil || s.Root() != other.root {
		t.Errorf("Default with OLLAMA_MODELS: %v, %v", s, err)
	}
	if _, err := first("", filepath.Join(home.root, "a"), filepath.Join(home.root, "b")); err == nil || !strings.Contains(err.Error(), "a/.ollama/models nor at ") || !strings.Contains(err.Error(), "OLLAMA_MODELS") {
		t.Errorf("no store at all: %v", err)
	}
}

// TestBadStores breaks a store in one way each; the error must be one line that says what is wrong and where.
func TestBadStores(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		spoil func(f folder)
		model string // "": gpt2
		want  []string
	}{
		"no folder":           {func(f folder) { f.must(os.RemoveAll(f.root)) }, "", []string{"is no Ollama store", "OLLAMA_MODELS"}},
		"no manifests":        {func(f folder) { f.must(os.RemoveAll(filepath.Join(f.root, "manifests"))) }, "", []string{"is no Ollama store", "manifests"}},
		"manifests is a file": {func(f folder) { f.must(os.RemoveAll(filepath.Join(f.root, "manifests"))); f.write("manifests", "") }, "", []string{"manifests is no folder"}},
		"an empty store":      {func(f folder) { f.must(os.RemoveAll(filepath.Join(f.root, "manifests"))); f.mkdir("manifests") }, "", []string{"is empty", "ollama pull gpt2:latest"}},
		"another name":        {func(folder) {}, "llama3", []string{"no model llama3:latest in ", "; there are gpt2:latest"}},
		"a misspelt name":     {func(folder) {}, "gtp2", []string{"no model gtp2:latest", "did you mean gpt2:latest? There are gpt2:latest"}},
		"another tag":         {func(folder) {}, "gpt2:f16", []string{"no model gpt2:f16", "gpt2:latest"}},
		"many names": {func(f folder) {
			for i := range 30 {
				f.model(fmt.Sprintf("registry.ollama.ai/library/m/%d", i))
			}
		}, "other", []string{"and 11 more"}},
		"no name":              {func(folder) {}, ":latest", []string{`":latest" is no model name`}},
		"a path for a name":    {func(folder) {}, "../../etc/passwd:x", []string{"is no model name; want MODEL"}},
		"a digest for a name":  {func(folder) {}, "gpt2@sha256:" + hex, []string{"is no model name"}},
		"manifest is no JSON":  {func(f folder) { f.write("manifests/"+gpt2, "oops") }, "", []string{"gpt2:latest: manifest: ", "is not the JSON that Ollama writes"}},
		"manifest cut off":     {func(f folder) { f.write("manifests/"+gpt2, `{"layers":[`) }, "", []string{"unexpected end of JSON"}},
		"manifest of no parts": {func(f folder) { f.write("manifests/"+gpt2, `{}`) }, "", []string{`neither "layers" nor a "config"`}},
		"manifest is null":     {func(f folder) { f.write("manifests/"+gpt2, `null`) }, "", []string{`neither "layers" nor a "config"`}},
		"manifest is a folder": {func(f folder) {
			f.must(os.Remove(filepath.Join(f.root, "manifests", gpt2)))
			f.mkdir("manifests/" + gpt2)
		}, "", []string{"is a directory"}},
		"manifest is huge":       {func(f folder) { f.write("manifests/"+gpt2, strings.Repeat(" ", maxJSON+1)) }, "", []string{"is larger than"}},
		"layers of a wrong type": {func(f folder) { f.write("manifests/"+gpt2, `{"layers":3}`) }, "", []string{"is not the JSON", "layers"}},
		"a digest that climbs": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), manifestLayer{MediaType: mediaPrefix + "model", Digest: "sha256:../../../../etc/passwd"})
		}, "", []string{"layers[0]: its digest is ", "want sha256:"}},
		"a config digest that climbs": {func(f folder) {
			f.manifest(gpt2, manifestLayer{Digest: "../x"}, f.blob("model", tiny))
		}, "", []string{`config: its digest is "../x"`}},
		"a short digest": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), manifestLayer{MediaType: mediaPrefix + "model", Digest: "sha256:abc"})
		}, "", []string{`layers[0]: its digest is "sha256:abc"`}},
		"another hash": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), manifestLayer{MediaType: mediaPrefix + "model", Digest: "md5:" + hex})
		}, "", []string{"layers[0]: its digest"}},
		"a negative size": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), manifestLayer{MediaType: mediaPrefix + "model", Digest: "sha256:" + hex, Size: -1})
		}, "", []string{"layers[0]: its size is -1"}},
		"missing weights": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), manifestLayer{MediaType: mediaPrefix + "model", Digest: "sha256:" + hex, Size: 5})
		}, "", []string{"model: the store has no file", "sha256-" + hex, "fetch the model again"}},
		"missing config": {func(f folder) {
			f.manifest(gpt2, manifestLayer{Digest: "sha256:" + hex, Size: 5}, f.blob("model", tiny))
		}, "", []string{"config: the store has no file"}},
		"config is no JSON": {func(f folder) { f.manifest(gpt2, f.config("GGUF"), f.blob("model", tiny)) }, "", []string{"config: ", "is not the JSON"}},
		"weights cut off": {func(f folder) {
			l := f.blob("model", tiny)
			l.Size = 1 << 40
			f.manifest(gpt2, f.config(tinyConfig), l)
		}, "", []string{"has 21 bytes, the manifest says 1099511627776"}},
		"weights are a folder": {func(f folder) {
			f.mkdir("blobs/sha256-" + hex)
			f.manifest(gpt2, f.config(tinyConfig), manifestLayer{MediaType: mediaPrefix + "model", Digest: "sha256:" + hex})
		}, "", []string{"is no regular file"}},
		"weights are no GGUF": {func(f folder) { f.manifest(gpt2, f.config(tinyConfig), f.blob("model", "ggjt and more")) }, "", []string{`starts with "ggjt"; want "GGUF"`}},
		"weights are empty":   {func(f folder) { f.manifest(gpt2, f.config(tinyConfig), f.blob("model", "")) }, "", []string{`starts with ""`}},
		"no weights": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), f.blob("license", "free"), f.blob("system", "hi"))
		}, "", []string{"no part of kind model, but license (4 bytes), system (2 bytes), config"}},
		"two files of weights": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), f.blob("model", tiny), f.blob("model", tiny+"2"))
		}, "", []string{"weights are 2 files", "model (21 bytes), model (22 bytes)"}},
		"single tensors": {func(f folder) {
			f.manifest(gpt2, f.config(`{"model_format":"safetensors"}`), f.blob("tensor", "a"), f.blob("tensor", "b"))
		}, "", []string{"2 single tensors (safetensors)"}},
		"weights of a format": {func(f folder) { f.manifest(gpt2, f.config(`{"model_format":"ggml"}`), f.blob("model", tiny)) }, "", []string{`the format "ggml"`, "want gguf"}},
		"an adapter": {func(f folder) {
			f.manifest(gpt2, f.config(tinyConfig), f.blob("model", tiny), f.blob("adapter", "GGUF lora"))
		}, "", []string{"adapter (9 bytes)", "LoRA", "want a model without adapter"}},
		"a model that is remote": {func(f folder) {
			f.manifest(gpt2, f.config(`{"remote_host":"https://ollama.com","remote_model":"big:120b"}`))
		}, "", []string{"runs on https://ollama.com as big:120b"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.model(gpt2)
			c.spoil(f)
			if c.model == "" {
				c.model = "gpt2"
			}
			s, err := Open(f.root)
			if err == nil {
				var m Model
				if m, err = s.Resolve(c.model); err == nil {
					t.Fatalf("accepted: %+v", m)
				}
			}
			msg := err.Error()
			if !strings.HasPrefix(msg, "ollamastore: ") || strings.Contains(msg, "\n") {
				t.Errorf("not one line of this package's: %q", msg)
			}
			for _, part := range c.want {
				if !strings.Contains(msg, part) {
					t.Errorf("%q does not say %q", msg, part)
				}
			}
		})
	}
}

// TestUnreadable takes the permission to read from each place in turn.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		// Root can read everything: on this thread alone, files are opened as nobody. The thread ends with the test.
		runtime.LockOSThread()
		const nobody = 65534
		if err := unix.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
	}
	for name, path := range map[string]string{"the store": ".", "the manifests": "manifests", "a manifest": "manifests/" + gpt2, "the files": "blobs"} {
		f := folder{t, filepath.Join(os.TempDir(), fmt.Sprintf("ollamastore-test-%d", os.Getpid()))} // not t.TempDir, which is root's
		f.mkdir("manifests")
		f.mkdir("blobs")
		t.Cleanup(func() { os.RemoveAll(f.root) })
		f.model(gpt2)
		path = filepath.Join(f.root, path)
		f.must(os.Chmod(path, 0))
		s, err := Open(f.root)
		if err == nil {
			_, err = s.Resolve("gpt2")
		}
		if err == nil || !strings.Contains(err.Error(), "make it readable") {
			t.Errorf("%s: %v", name, err)
		}
		f.must(os.Chmod(path, 0o777))
		f.must(os.RemoveAll(f.root))
	}
}

// FuzzResolve gives a manifest of any bytes: no panic, and never a file outside the store.
func FuzzResolve(f *testing.F) {
	dir := newFolder(f)
	dir.model(gpt2)
	data, err := os.ReadFile(filepath.Join(dir.root, "manifests", gpt2))
	dir.must(err)
	f.Add(data)
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../..","size":1}]}`))
	f.Add([]byte(`{"layers":[{}],"config":{"digest":"sha256-` + strings.Repeat("0", 64) + `"}}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		dir := dir
		dir.TB = t
		dir.write("manifests/"+gpt2, string(manifest))
		s, err := Open(dir.root)
		dir.must(err)
		if m, err := s.Resolve("gpt2"); err == nil && filepath.Dir(m.Path) != filepath.Join(dir.root, "blobs") {
			t.Errorf("%q leads to %s", manifest, m.Path)
		}
	})
}
