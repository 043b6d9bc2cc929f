package runner

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/hf/hftest"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/worker"
)

// Weight types have one table, in gguf/synth; the config's copy is for a package
// that knows no models.
func TestDTypesAreThoseOfSynth(t *testing.T) {
	if !slices.Equal(config.DTypes, synth.Types()) {
		t.Errorf("the config has %v, gguf/synth writes %v", config.DTypes, synth.Types())
	}
}

// resolve plans the models, given as YAML, under a backend for each dtype.
func resolve(t *testing.T, o Overrides, models string) (*plan.Plan, *modelfile.Folder, error) {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "c.yaml"), []byte(`
scenarios: [{name: s, prompt_tokens: 4}, {name: long, prompt_tokens: 4, gen_tokens: 300}]
gen_tokens: 8
backends: [{name: f32, dtype: f32}, {name: own}]
models: [`+models+"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	ms := &modelfile.Folder{Dir: t.TempDir()}
	t.Cleanup(func() { ms.Close() })
	if err := o.Apply(cfg, ms); err != nil {
		return nil, nil, err
	}
	p, err := newPlan(cfg, ms, &worker.Programs{})
	return p, ms, err
}

func modelNames(p *plan.Plan) []string {
	var out []string
	for _, j := range p.Jobs {
		out = append(out, j.Model.Name)
	}
	slices.Sort(out)
	return out
}

func TestLadderBecomesItsRungs(t *testing.T) {
	max := int64(100_000_000)
	const ladder = "{name: l, source: 'ladder:llama', backends: [f32]}, {name: x, source: gguf:x, backends: [own]}"
	p, _, err := resolve(t, Overrides{MaxParams: &max, Models: []string{"l-5m", "l-62m"}}, strings.Replace(ladder, "gguf:x", "like:"+smallFile(t), 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := modelNames(p); !slices.Equal(got, []string{"l-5m", "l-62m"}) {
		t.Errorf("%v", got)
	}
	// A sequence of the longest scenario must fit: 4 prompt tokens and 300 generated.
	if p.Jobs[0].Load.NCtx != 512 {
		t.Errorf("context of %d tokens", p.Jobs[0].Load.NCtx)
	}
	if _, _, err := resolve(t, Overrides{}, "{name: l, source: 'ladder:llama', backends: [f32]}, {name: l-5m, source: 'synth:gpt2', backends: [f32]}, {name: o, source: 'like:"+smallFile(t)+"'}"); err == nil || !strings.Contains(err.Error(), `second model "l-5m"`) {
		t.Errorf("%v", err)
	}
	if _, _, err := resolve(t, Overrides{}, "{name: l, source: 'ladder:mamba', backends: [f32]}, {name: o, source: 'like:"+smallFile(t)+"'}"); err == nil || !strings.Contains(err.Error(), "there is llama") {
		t.Errorf("%v", err)
	}
}

// smallFile is a GGUF file of somebody's own.
func smallFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.gguf")
	shape, err := synth.Lookup("tiny-gpt2")
	if err == nil {
		err = synth.Write(path, shape, synth.Options{Type: "f16", Seed: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSourcesBecomeFiles resolves and makes a model of each kind that needs no
// GPU and no server: the file must be what was described, and a second
// preparation must leave it alone.
func TestSourcesBecomeFiles(t *testing.T) {
	f := hftest.New(hftest.Shape{Context: 512})
	folder := f.Write(t, "folder")
	own := smallFile(t)
	t.Setenv("OLLAMA_MODELS", ollamaStore(t, own))

	p, ms, err := resolve(t, Overrides{}, strings.Join([]string{
		"{name: synth, source: 'synth:tiny-gpt2'}", "{name: rung, source: 'ladder:llama/5m', vocab: 300}",
		"{name: shape, source: 'shape:gemma3-270m', vocab: 300, backends: [f32]}",
		"{name: twin, source: 'like:" + own + "', backends: [own]}", "{name: hf, source: 'hf:" + folder + "'}",
		"{name: ollama, source: 'ollama:mine:latest', backends: [own]}", "{name: file, source: '" + own + "', backends: [own]}"}, ","))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Prepare(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	written := map[string]int64{}
	for _, j := range p.Jobs {
		m := j.Model
		file, err := gguf.Open(m.File)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ledger.Describe(file)
		file.Close()
		if err != nil || d.ParamsTotal != m.Desc.ParamsTotal || d.FileBytes != m.Desc.FileBytes || len(m.SHA256) != 64 {
			t.Errorf("%s: %+v was planned, the file has %+v (%v)", m.Name, m.Desc, d, err)
		}
		if want := map[string]int64{"synth": 1024, "twin": 1024, "ollama": 1024, "file": 1024, "hf": 512}[m.Name]; m.Positions != want {
			t.Errorf("%s: %d positions, want %d", m.Name, m.Positions, want)
		}
		if random := m.Random(); random != slices.Contains([]string{"synth", "rung", "shape", "twin"}, m.Name) {
			t.Errorf("%s: random weights: %v", m.Name, random)
		}
		st, err := os.Stat(m.File)
		if err != nil {
			t.Fatal(err)
		}
		written[m.File] = st.ModTime().UnixNano()
	}
	if len(written) != 7 {
		t.Errorf("%d files: %v", len(written), written)
	}
	if err := p.Prepare(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	for path, at := range written {
		if st, err := os.Stat(path); err != nil || st.ModTime().UnixNano() != at {
			t.Errorf("%s was made a second time (%v)", path, err)
		}
	}

	// Another content is another file: nothing stale is measured.
	f.Tensors[0].Data[0]++
	folder = f.Write(t, "folder")
	again, _, err := resolve(t, Overrides{}, "{name: hf, source: 'hf:"+folder+"'}, {name: o, source: '"+own+"'}")
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range again.Jobs {
		if _, there := written[filepath.Join(ms.Dir, filepath.Base(j.Model.File))]; j.Model.Name == "hf" && there {
			t.Error("a changed folder has the file of the old one")
		}
	}
}

// ollamaStore puts a file into a store as mine:latest.
func ollamaStore(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	put := func(name string, data []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	put("blobs/sha256-"+sum, data)
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "layers": []any{
		map[string]any{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + sum, "size": len(data)}}})
	if err != nil {
		t.Fatal(err)
	}
	put("manifests/registry.ollama.ai/library/mine/latest", manifest)
	return root
}

func TestSourcesThatAreNotThere(t *testing.T) {
	t.Setenv("OLLAMA_MODELS", ollamaStore(t, smallFile(t)))
	other := "{name: o, source: '" + smallFile(t) + "'}, {name: s, source: 'synth:tiny-gpt2'}, "
	for source, want := range map[string]string{
		"ollama:mien":        "mine:latest",
		"shape:llama3.1-8":   `did you mean "llama3.1-8b"`,
		"shape:gpt2":         `did you mean "synth:gpt2"`,
		"ladder:llama/6m":    "there are llama/5m",
		"hf:/absent":         "/absent",
		"like:/absent.gguf":  "/absent.gguf",
		"synth:gpt2-xxl":     "gpt2-xl",
		"/absent/model.gguf": "/absent/model.gguf",
	} {
		_, _, err := resolve(t, Overrides{}, other+"{name: m, source: '"+source+"'}")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "m") {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}

// TestModelInParts names each part of a model in turn: all stand for the whole, of which llama.cpp is given the first.
func TestModelInParts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	shape, err := synth.Lookup("tiny-gpt2")
	if err == nil {
		err = synth.Write(path, shape, synth.Options{Type: "f16", Seed: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	paths := gguftest.SplitEvenly(t, path, dir, 3)
	var ms modelfile.Folder
	resolve := func(path string) modelfile.Model {
		t.Helper()
		m, err := ms.Resolve(config.Model{Name: "m", Source: path, Kind: config.KindGGUF, Path: path}, config.Backend{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	whole := resolve(path)
	if whole.File != path {
		t.Errorf("the file is %s, want %s", whole.File, path)
	}
	for _, p := range paths {
		m := resolve(p)
		if m.File != paths[0] || m.Desc.ParamsTotal != whole.Desc.ParamsTotal || m.Desc.WeightBytes != whole.Desc.WeightBytes || m.Positions != whole.Positions {
			t.Errorf("%s: %s, %+v", p, m.File, m.Desc)
		}
	}
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := ms.Resolve(config.Model{Name: "m", Source: paths[0], Kind: config.KindGGUF, Path: paths[0]}, config.Backend{}); err == nil || !strings.Contains(err.Error(), "there is no "+paths[1]+"; want all parts") {
		t.Error(err)
	}
}
