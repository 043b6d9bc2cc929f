package sources

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/synth"
	"llmscale/internal/paths"
	"llmscale/runner/config"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// model writes a model of a few kilobytes that grows with its vocabulary.
func model(t *testing.T, path string, vocab int64) string {
	t.Helper()
	s, err := synth.Lookup("tiny-gpt2")
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(path), 0o777))
	must(t, synth.Write(path, s.WithVocab(vocab), synth.Options{Type: "f32", Seed: 1}))
	return path
}

func file(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o777))
	must(t, os.WriteFile(path, []byte(content), 0o666))
}

func link(t *testing.T, target, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o777))
	must(t, os.Symlink(target, path))
}

// embedder writes a model that no answer comes out of.
func embedder(t *testing.T, path string) {
	t.Helper()
	made := gguftest.Alter(t, model(t, filepath.Join(t.TempDir(), "m.gguf"), 300), func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
		v["gpt2.attention.causal"] = false
		return nil
	})
	data, err := os.ReadFile(made)
	must(t, err)
	file(t, path, string(data))
}

func names(f Found) (out []string) {
	for _, m := range f.Models {
		out = append(out, m.Name)
	}
	return out
}

// has checks that the models have these names, and that each line of what was left out holds one of the reasons.
func has(t *testing.T, f Found, want []string, reasons ...string) {
	t.Helper()
	if !slices.Equal(names(f), want) {
		t.Errorf("found %q, want %q", names(f), want)
	}
	if len(f.LeftOut) != len(reasons) {
		t.Errorf("left out %q, want %q", f.LeftOut, reasons)
		return
	}
	for _, reason := range reasons {
		if !slices.ContainsFunc(f.LeftOut, func(l LeftOut) bool { return strings.Contains(l.String(), reason) }) {
			t.Errorf("left out %q; want %q", f.LeftOut, reason)
		}
	}
	for _, m := range f.Models {
		if _, err := config.Parse("c.yaml", []byte(fmt.Sprintf("scenarios: [{name: p, prompt: x}]\nbackends: [{name: b, dtype: f16}]\nmodels: [{name: %q, source: %q}]\n", m.Name, m.Source))); err != nil {
			t.Errorf("no model of a config: %v", err)
		}
	}
}

// TestFiles: a file counts once, by whatever names it was given, and so do the parts of one model.
func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	model(t, "b.gguf", 400)
	model(t, "a.gguf", 300)
	link(t, "a.gguf", "link.gguf")
	must(t, os.Link("a.gguf", "hard.gguf"))
	must(t, os.Mkdir("parts", 0o777))
	parts := gguftest.SplitEvenly(t, model(t, filepath.Join(t.TempDir(), "p.gguf"), 500), "parts", 3)
	slices.Reverse(parts) // any part names all
	found, err := Named(slices.Concat([]string{"b.gguf", "a.gguf", "./a.gguf", "link.gguf", "hard.gguf", "gguf:b.gguf"}, parts))
	must(t, err)
	has(t, found, []string{"a", "b", "p"})
	here, err := os.Getwd()
	must(t, err)
	for i, want := range []string{"a.gguf", "b.gguf", "parts/p-00001-of-00003.gguf"} {
		if m := found.Models[i]; !strings.HasSuffix(m.Source, "/"+want) || !filepath.IsAbs(m.Source) || !m.Chosen || m.Made || m.Bytes == 0 || !strings.EqualFold(m.Type, "f32") {
			t.Errorf("%s: %+v (in %s)", want, m, here)
		}
	}
}

// TestChosen: a file that is named itself is chosen, whether or not its folder is named too.
func TestChosen(t *testing.T) {
	t.Chdir(t.TempDir())
	model(t, "m/a.gguf", 300)
	model(t, "m/b.gguf", 400)
	must(t, os.Link("m/b.gguf", "hard.gguf"))
	for _, args := range [][]string{{"m", "m/b.gguf"}, {"m/b.gguf", "m"}, {"m", "hard.gguf"}} {
		found, err := Named(args)
		must(t, err)
		if len(found.Models) != 2 || found.Models[0].Chosen || !found.Models[1].Chosen {
			t.Errorf("%v: %+v", args, found.Models)
		}
	}
}

// TestFolder: a folder stands for its own files, or where it has none for those below it.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	model(t, filepath.Join(dir, "owner", "repo", "deep.gguf"), 300)
	model(t, filepath.Join(dir, ".hidden", "hidden.gguf"), 310)
	link(t, dir, filepath.Join(dir, "owner", "around"))
	found, err := Named([]string{dir})
	must(t, err)
	has(t, found, []string{"deep"})

	model(t, filepath.Join(dir, "UPPER.GGUF"), 320)
	model(t, filepath.Join(dir, "two words $HOME \x1b[2J é.gguf"), 330)
	gguftest.SplitEvenly(t, model(t, filepath.Join(t.TempDir(), "p.gguf"), 500), dir, 2)
	must(t, os.Remove(gguftest.SplitEvenly(t, model(t, filepath.Join(t.TempDir(), "half.gguf"), 500), dir, 2)[0]))
	file(t, filepath.Join(dir, "text.gguf"), "no model")
	file(t, filepath.Join(dir, "notes.txt"), "")
	file(t, filepath.Join(dir, "bytes\xff.gguf"), "x")
	link(t, "nowhere", filepath.Join(dir, "broken.gguf"))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe.gguf"), 0o666))
	must(t, os.Mkdir(filepath.Join(dir, "folder.gguf"), 0o777))
	embedder(t, filepath.Join(dir, "embeds.gguf"))
	found, err = Named([]string{dir})
	must(t, err)
	has(t, found, []string{"UPPER.GGUF", "two-words-HOME-2J", "p"},
		"half-00002-of-00002.gguf is part 2 of 2", "text.gguf", "not UTF-8", "broken.gguf is a link to nowhere", "embeds.gguf cannot be measured: its attention is not causal")
	if !strings.Contains(found.Models[1].Source, "$$HOME") {
		t.Errorf("%q would be taken for a variable", found.Models[1].Source)
	}
	for _, line := range found.List() {
		if strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
}

func TestUnreadableFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("nothing is unreadable for root")
	}
	dir := t.TempDir()
	model(t, filepath.Join(dir, "sub", "a.gguf"), 300)
	model(t, filepath.Join(dir, "shut", "b.gguf"), 300)
	must(t, os.Chmod(filepath.Join(dir, "shut"), 0))
	defer os.Chmod(filepath.Join(dir, "shut"), 0o777)
	found, err := Named([]string{dir})
	must(t, err)
	has(t, found, []string{"a"}, "no right to")
}

// TestWalkIsBounded: a walk ends, however much there is.
func TestWalkIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		file(t, filepath.Join(dir, fmt.Sprintf("d%02d", i), "m.gguf"), "")
	}
	w := walker{room: 20, seen: map[string]bool{}}
	w.folder(dir, 5)
	if w.room != 0 || len(w.found) > 20 {
		t.Errorf("%d found, room for %d", len(w.found), w.room)
	}
	deep := dir
	for range 12 {
		deep = filepath.Join(deep, "x")
	}
	file(t, filepath.Join(deep, "m.gguf"), "")
	if found, left := walk(dir, 3); len(found) != 30 || len(left) != 0 {
		t.Errorf("%q, %q", found, left)
	}
}

// store writes an Ollama store with one model.
func store(t *testing.T, dir, name, path, digest string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	file(t, filepath.Join(dir, "blobs", "sha256-"+digest), string(data))
	file(t, filepath.Join(dir, "manifests", "registry.ollama.ai", "library", name), fmt.Sprintf(
		`{"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:%s", "size": %d}]}`, digest, len(data)))
}

// TestUsual: each place is searched where the environment says that it is, and a file that several programs have counts once.
func TestUsual(t *testing.T) {
	home, here := t.TempDir(), t.TempDir()
	t.Chdir(here)
	for _, name := range []string{"XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "LLAMA_CACHE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("OLLAMA_MODELS", filepath.Join(home, "ollama"))
	must(t, os.MkdirAll(filepath.Join(home, "ollama", "manifests"), 0o777))
	if found := Usual(); len(found.Models)+len(found.LeftOut) > 0 || len(found.Places) != 6 {
		t.Fatalf("%+v", found)
	}
	digest := strings.Repeat("0a", 32)
	a := model(t, filepath.Join(t.TempDir(), "a"), 300)
	store(t, filepath.Join(home, "ollama"), "tiny/latest", a, digest)
	file(t, filepath.Join(home, "ollama", "manifests", "registry.ollama.ai", "library", "broken", "latest"), "{}")
	hub := filepath.Join(home, ".cache", "huggingface", "hub", "models--org--Some-Model-GGUF")
	for blobName, vocab := range map[string]int64{digest: 300, strings.Repeat("1b", 32): 400} {
		model(t, filepath.Join(hub, "blobs", blobName), vocab)
	}
	for _, rev := range []string{"r1", "r2"} { // two revisions with the same files
		link(t, "../../blobs/"+digest, filepath.Join(hub, "snapshots", rev, "a.gguf"))
		link(t, "../../../blobs/"+strings.Repeat("1b", 32), filepath.Join(hub, "snapshots", rev, "Q4", "model.gguf"))
	}
	link(t, "../../blobs/gone", filepath.Join(hub, "snapshots", "r2", "gone.gguf"))
	model(t, filepath.Join(home, ".lmstudio", "models", "org", "repo", "model.gguf"), 500)
	model(t, filepath.Join(home, ".cache", "llama.cpp", "org_repo_x.gguf"), 600)
	model(t, filepath.Join(here, "mine.gguf"), 700)
	model(t, filepath.Join(here, "models", "synthesised.gguf"), 800) // by this program, perhaps
	found := Usual()
	has(t, found, []string{"tiny:latest", "Some-Model-GGUF-model", "repo-model", "org_repo_x", "mine"}, "broken", "gone.gguf is a link to")
	var places []string
	for _, m := range found.Models {
		places = append(places, m.Place)
		if m.Chosen {
			t.Errorf("%s was not chosen", m.Name)
		}
	}
	if want := []string{"Ollama", "Hugging Face", "LM Studio", "llama.cpp", "this folder"}; !slices.Equal(places, want) {
		t.Errorf("%q, want %q", places, want)
	}
	found, err := Named([]string{"ollama:tiny", "ollama:"})
	must(t, err)
	has(t, found, []string{"tiny:latest"}, "broken")
	if found.Models[0].Source != "ollama:tiny:latest" {
		t.Errorf("%+v", found.Models[0])
	}
	t.Setenv("OLLAMA_MODELS", filepath.Join(home, "nowhere"))
	if found := Usual(); len(found.Models) != 5 || !slices.ContainsFunc(found.LeftOut, func(l LeftOut) bool { return strings.Contains(l.String(), "OLLAMA_MODELS") }) {
		t.Errorf("%q, %q", names(found), found.LeftOut)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/h"}, ". /h/.cache/huggingface/hub /h/.lmstudio/models /h/.cache/lm-studio/models /h/.cache/llama.cpp"},
		{map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/c", "HF_HOME": "~/hf"}, ". /h/hf/hub /h/.lmstudio/models /h/.cache/lm-studio/models /c/llama.cpp"},
		{map[string]string{"HOME": "/h", "HF_HOME": "/hf", "HF_HUB_CACHE": "/hub", "LLAMA_CACHE": "/l"}, ". /hub /h/.lmstudio/models /h/.cache/lm-studio/models /l"},
		{nil, "."},
	} {
		var dirs []string
		for _, p := range usual(func(name string) string { return c.env[name] }, ".") {
			dirs = append(dirs, p.dir)
		}
		if got := strings.Join(dirs, " "); got != c.want {
			t.Errorf("%v: %s, want %s", c.env, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 80)
	models := []Model{
		{base: "a", path: "/m/one/a.gguf"}, {base: "a", path: "/m/two/a-00001-of-00002.gguf"}, {base: "llama/5m"}, {base: "..-"}, {base: "模型"}, {base: long, path: "/a/" + long}, {base: long + "y", path: "/b/" + long},
		{base: "model", path: "/c/models--org--Nice/snapshots/1/model.gguf"},
	}
	setNames(models)
	var got []string
	for _, m := range models {
		got = append(got, m.Name)
	}
	if want := []string{"one-a", "two-a", "llama-5m", "model", "model-2", "a-" + long[:62], "b-" + long[:62], "Nice-model"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestSpecial: sources that are no files.
func TestSpecial(t *testing.T) {
	t.Chdir(t.TempDir())
	model(t, "own.gguf", 300)
	found, err := Named([]string{"ladder:llama", "ladder:llama/5m", "shape:llama3.2-1b", "synth:gpt2-5m", "like:own.gguf", "own.gguf"})
	must(t, err)
	if n := len(found.Models); n != 17 {
		t.Errorf("%d models: %q", n, names(found))
	}
	for _, m := range found.Models {
		if want := m.Name != "own" && m.Name != "own-twin"; m.Made != want || m.Params == 0 {
			t.Errorf("%+v", m)
		}
	}
	if i := slices.IndexFunc(found.Models, func(m Model) bool { return m.Name == "own-twin" }); i < 0 || !strings.HasPrefix(found.Models[i].Source, "like:/") {
		t.Errorf("%+v", found.Models)
	}
}

func TestBadArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("OLLAMA_MODELS", "store")
	store(t, "store", "gemma3/270m", model(t, "m", 300), strings.Repeat("0a", 32))
	must(t, os.Remove("m"))
	must(t, os.MkdirAll("empty", 0o777))
	file(t, "hf/config.json", "{}")
	file(t, "text.gguf", "hello, world")
	file(t, "bad/text.gguf", "hello, world")
	for arg, want := range map[string]string{
		"":                   "it is empty",
		"absent.gguf":        "there is no absent.gguf",
		"no/where":           "no/where",
		"absent":             "absent: there is no such file or folder; other sources have a kind",
		"text.gguf":          "this is no GGUF file",
		"empty":              "empty: this folder has no GGUF file",
		"bad":                "no model in it can be measured",
		"hf":                 "if it is a Hugging Face model, write hf:hf",
		"hf:empty":           "hf:empty: ",
		"sweep.yaml":         "did you mean --config sweep.yaml?",
		"gemma3:270m":        "did you mean ollama:gemma3:270m?",
		"ollama:gemma3:27m":  "did you mean gemma3:270m?",
		"shap:llama3.2-1b":   `did you mean shape:llama3.2-1b?`,
		"shape:llama3.2-1":   `did you mean "llama3.2-1b"?`,
		"ladder:llama/6m":    "llama/5m",
		"ladder:mamba":       "there is llama",
		"synth:gpt3":         `no preset "gpt3"`,
		"like:text.gguf":     "this is no GGUF file",
		"like:~/absent.gguf": "$HOME",
	} {
		_, err := Named([]string{arg})
		if err == nil || !strings.Contains(paths.Explain(err), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %q", arg, err, want)
		}
	}
	if _, err := Named([]string{"ollama:"}); err != nil {
		t.Error(err)
	}
	t.Setenv("OLLAMA_MODELS", "empty")
	if _, err := Named([]string{"ollama:"}); err == nil || !strings.Contains(err.Error(), "is no Ollama store") {
		t.Error(err)
	}
}

func TestComplete(t *testing.T) {
	for word, want := range map[string]string{"": "", "lad": "ladder:llama", "o": "ollama:", "shape:llama3.2-1": "shape:llama3.2-1b", "xyz": ""} {
		if got := strings.Join(Complete(word), " "); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
