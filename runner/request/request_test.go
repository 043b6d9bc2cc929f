package request

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/synth"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/sources"
)

var (
	file = sources.Model{Name: "mine", Source: "/a b/$$mine.gguf", Arg: "mine.gguf", Chosen: true, Params: 268e6, Bytes: 300 << 20, Type: "q8_0"}
	made = sources.Model{Name: "llama-5m", Source: "ladder:llama/5m", Arg: "ladder:llama", Made: true, Params: 5e6}
)

func request(values string, models ...sources.Model) *Request {
	q := &Request{Args: []string{"sweep", "a\nb"}, Dir: "/work", Device: "cpu", Models: models, Values: map[string][]string{}}
	for _, pair := range strings.Fields(values) {
		key, v, _ := strings.Cut(pair, "=")
		q.Values[key] = strings.Split(v, ",")
	}
	return q
}

// TestText is the whole text of a request that has all that changes its form.
func TestText(t *testing.T) {
	q := request("prompt_tokens=1..512*2 gen_tokens=64 threads=1,2 dtype=q8_0,f16", file, made)
	q.Sweep = map[string]int64{"seed": 7}
	const want = `# Written by llmscale for this command line. ` + "`llmscale sweep --config`" + ` with this file does the same again.
#   llmscale sweep 'a; b'
run_name: sweep
gen_tokens: 64
seed: 7

scenarios:
  - name: prompt
    prompt_tokens: 1..512*2

backends:
  - name: cpu
    device: cpu
    threads: [1, 2]
  - name: cpu_q8_0
    dtype: q8_0
    device: cpu
    threads: [1, 2]
  - name: cpu_f16
    dtype: f16
    device: cpu
    threads: [1, 2]

models:
  - name: mine
    source: "/a b/$$mine.gguf" # 268 M parameters, q8_0, 300 MiB
    backends: [cpu]
  - name: llama-5m
    source: "ladder:llama/5m" # 5 M parameters
`
	if got := string(q.text()); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	cfg, err := q.Config()
	if err != nil {
		t.Fatal(err)
	}
	// The file pairs like the config, wherever it lies.
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, cfg.Text(), 0o666); err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var texts [2]string
	for i, c := range []*config.Config{cfg, again} {
		r := c.Resolved()
		r.File = ""
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(data)
	}
	if texts[0] != texts[1] || len(cfg.Pairs()) != 6 || len(cfg.Scenarios) != 10 {
		t.Errorf("%s\nread again\n%s", texts[0], texts[1])
	}
}

// TestNamesAreTexts: a model may be called by a word that YAML takes for something else.
func TestNamesAreTexts(t *testing.T) {
	for _, name := range []string{"123", "true", "null", "1e5", "0x1F", "no", "gemma3:270m", "a+b-c.d_e", "2026-11-30"} {
		m := file
		m.Name = name
		cfg, err := request("", m).Config()
		if err != nil || cfg.Models[0].Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestErrorsNameFlags: what a config refuses is refused with the flag or the argument, in one line.
func TestErrorsNameFlags(t *testing.T) {
	for values, want := range map[string]string{
		"prompt_tokens=0":                  "-p, --prompt-tokens: must be at least 1, not 0",
		"prompt_tokens=1,0":                "-p, --prompt-tokens: must be at least 1, not 0",
		"gen_tokens=-1":                    "-n, --gen-tokens: must be at least 1, not -1",
		"gen_tokens=0":                     "-n, --gen-tokens: must be at least 1, not 0",
		"threads=-1":                       "-t, --threads: must be at least 0, not -1",
		"threads=two":                      `-t, --threads: must be a whole number, not the text "two"`,
		"threads=null":                     "-t, --threads: must be a whole number, not nothing",
		"threads=1,1":                      "-t, --threads: 1 stands in this list already; remove it",
		"n_gpu_layers=5":                   "-ngl, --n-gpu-layers: must be 0 on device cpu",
		"device=cpu,cuda":                  "--device: must be cpu or cuda, not a list",
		"device=tpu":                       "--device: must be cpu or cuda",
		"batch_tokens=32 ubatch_tokens=64": "-ub, --ubatch-tokens: must be at most batch_tokens (32)",
		"kv_type=q4_0":                     "--kv-type: must be f16, f32 or q8_0",
		"flash_attn=maybe":                 "-fa, --flash-attn: must be auto, on or off",
		"dtype=q3_K":                       "--types, --dtype: must be f32",
		"mmap=\x1b[2J":                     "-mmp, --mmap: must be true or false",
		"prompt_tokens=1..8+3":             "-p, --prompt-tokens: \"1..8+3\" steps over its end",
	} {
		_, err := request(values, made, file).Config()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), Name) {
			t.Errorf("%s: %v; want %q", values, err, want)
		}
	}
	for field, want := range map[string]string{
		"backends[1]": "flags", "backends[1].threads[0]": "-t, --threads", "replicates": "--replicates", "backend cpu": "flags", "": "flags",
		"models[0].source": "ladder:llama", "models[1]": "mine.gguf", "models[7]": "flags",
	} {
		if got := request("", made, file).where(field); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
	q := request("", made)
	q.Sweep = map[string]int64{"repetitions": 0}
	if _, err := q.Config(); err == nil || err.Error() != "-r, --repetitions: must be at least 1, not 0" {
		t.Error(err)
	}
	if _, err := request("dtype=f16", file).Config(); err == nil || !strings.Contains(err.Error(), "--dtype f16: no model here has to be written") {
		t.Error(err)
	}
	if _, err := request("dtype=mxfp4", sources.Model{Name: "h", Source: "hf:/x", Arg: "hf:x", Made: true}).Config(); err == nil || !strings.Contains(err.Error(), "hf:x: model h runs under no backend") {
		t.Error(err)
	}
}

func TestValues(t *testing.T) {
	get := func(args ...string) (map[string][]string, error) {
		return Values(func(f Flag) ([]string, bool) {
			for _, a := range args {
				if name, v, _ := strings.Cut(a, "="); Find([]Flag{f}, name).Name != "" {
					return strings.Split(v, ","), true
				}
			}
			return nil, false
		})
	}
	got, err := get("t=1-8,16", "p=1-512*2", "mmp=0,1", "fa=1", "ctk=f16,q8_0", "ctv=f16,q8_0")
	data, _ := json.Marshal(got)
	if want := `{"flash_attn":["1"],"kv_type":["f16","q8_0"],"mmap":["false","true"],"prompt_tokens":["1..512*2"],"threads":["1..8","16"]}`; err != nil || string(data) != want {
		t.Errorf("%s, %v; want %s", data, err, want)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"t=1,"}, "-t, --threads is empty, or has an empty value"},
		{[]string{"ctk=q8_0"}, "one type for keys and values"},
		{[]string{"ctk=q8_0", "ctv=f16"}, "give -ctk and -ctv the same (q8_0 or f16)"},
		{[]string{"ctk=q8_0", "ctv=q8_0", "kv-type=f16"}, "keep one"},
	} {
		if _, err := get(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v; want %q", c.args, err, c.want)
		}
	}
}

// TestFlags: every key that takes a list of numbers or words has a flag, under names that no other has.
func TestFlags(t *testing.T) {
	seen := map[string]bool{"r": true, "h": true, "v": true}
	for _, f := range Flags() {
		for _, name := range []string{f.Name, f.Short} {
			if seen[name] && name != "" {
				t.Errorf("two flags %s", name)
			}
			seen[name] = true
		}
		if f.Usage == "" || strings.ContainsAny(f.Usage, "`[") {
			t.Errorf("%s: %s", f.Name, f.Usage)
		}
	}
	for _, name := range strings.Fields("p n d b ub t ngl fa ctk ctv mmp types device kv-type batch-size prio pace memory-limit-mib") {
		if !seen[name] {
			t.Errorf("no flag %s", name)
		}
	}
	if seen["program"] {
		t.Error("a path is no value of a list")
	}
}

// host plans for a machine of nominal rates.
func host(t *testing.T) Host {
	return Host{ModelsDir: t.TempDir(), Rates: plan.Nominal, Note: func(string) {}}
}

// TestChoose: of models that were found, those that do not fit and those that llama.cpp generates nothing with are left
// out; one that was named stays, for the plan to tell.
func TestChoose(t *testing.T) {
	h := host(t)
	large := sources.Model{Name: "large", Source: "ladder:llama/20b", Made: true}
	q := request("depth=16000000", made, large)
	left, err := q.Choose(t.Context(), h)
	if err == nil || !strings.Contains(err.Error(), "none of the models can be measured here") || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	large.Chosen = true
	q = request("depth=16000000", made, large)
	left, err = q.Choose(t.Context(), h)
	if err != nil || len(q.Models) != 1 || q.Models[0].Name != "large" || len(left) != 1 || !strings.Contains(left[0].String(), "llama-5m: it needs ") {
		t.Errorf("%v, %v, %+v", left, err, q.Models)
	}
	if _, err := request("threads=x", made).Choose(t.Context(), h); err == nil || !strings.Contains(err.Error(), "-t, --threads") {
		t.Error(err)
	}
	gone := file
	gone.Chosen, gone.Source = false, "/gone.gguf"
	q = request("", gone, made)
	if left, err = q.Choose(t.Context(), h); err != nil || len(left) != 1 || !strings.Contains(left[0].String(), "there is no") {
		t.Errorf("%v, %v", left, err)
	}
}

// TestQuick: the smallest models whose time fits are kept, and at least one.
func TestQuick(t *testing.T) {
	found, err := sources.Named([]string{"ladder:llama"})
	if err != nil {
		t.Fatal(err)
	}
	kept := func(rates plan.Rates, values string) int {
		t.Helper()
		q := request(values, found.Models...)
		q.Quick = true
		h := host(t)
		h.Rates = rates
		left, err := q.Choose(t.Context(), h)
		if err != nil || len(left)+len(q.Models) != len(found.Models) {
			t.Fatalf("%v, %v", left, err)
		}
		for i, m := range q.Models {
			if m.Name != found.Models[i].Name {
				t.Errorf("%s was kept instead of %s", m.Name, found.Models[i].Name)
			}
		}
		for _, l := range left {
			if !strings.Contains(l.String(), "--quick has no time for") && !strings.Contains(l.String(), "of memory, and") {
				t.Errorf("%s", l)
			}
		}
		cfg, err := q.Config()
		if err != nil || cfg.Replicates < 3 || cfg.Replicates > 5 || cfg.Repetitions != 2 || cfg.RemeasureBlocks != 0 {
			t.Fatalf("%+v, %v", cfg, err)
		}
		if s := cfg.Scenarios[0]; values == "" && (s.PromptTokens != 128 || cfg.GenTokens != 32) {
			t.Errorf("%+v", cfg)
		}
		return len(q.Models)
	}
	slow := plan.Rates{ReadBytesPerS: 1e3, FlopPerS: 1e3}
	if n := kept(slow, ""); n != 1 {
		t.Errorf("a machine that is too slow for any model measures %d", n)
	}
	few := request("", found.Models[0])
	few.Quick = true
	if _, err := few.Choose(t.Context(), host(t)); err != nil || few.blocks != 5 {
		t.Errorf("%d blocks of a model that takes no time: %v", few.blocks, err)
	}
	few.Sweep = map[string]int64{"replicates": 4}
	if cfg, err := few.Config(); err != nil || cfg.Replicates != 4 {
		t.Errorf("%+v, %v", cfg, err)
	}
	n := kept(plan.Nominal, "")
	if n < 3 || n > 10 {
		t.Errorf("%d rungs in two minutes", n)
	}
	if fewer := kept(plan.Nominal, "prompt_tokens=1024 gen_tokens=512"); fewer >= n || fewer < 1 {
		t.Errorf("%d rungs with long prompts, %d with short ones", fewer, n)
	}
}

// TestMake: without arguments and without a model anywhere it is the default sweep, verbatim unless a flag changes it.
func TestMake(t *testing.T) {
	home := t.TempDir()
	t.Chdir(t.TempDir())
	for _, name := range []string{"XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "LLAMA_CACHE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("OLLAMA_MODELS", home)
	if err := os.Mkdir(filepath.Join(home, "manifests"), 0o777); err != nil {
		t.Fatal(err)
	}
	h := host(t)
	var notes []string
	h.Note = func(line string) { notes = append(notes, line) }
	cfg, err := request("").Make(t.Context(), nil, h)
	want, readErr := os.ReadFile(filepath.Join(root, "configs", "scaling.yaml"))
	if err != nil || readErr != nil || string(cfg.Text()) != string(want) || len(notes) != 1 || !strings.Contains(notes[0], "the default sweep") {
		t.Errorf("%v, %v, %q", err, readErr, notes)
	}
	cfg, err = request("threads=1").Make(t.Context(), nil, h)
	if err != nil || cfg.File() != Name || len(cfg.Models) != 9 || cfg.Backends[0].DType != defaultType {
		t.Errorf("%+v, %v", cfg, err)
	}

	s, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	if err := synth.Write("here.gguf", s.WithVocab(300), synth.Options{Type: "f32"}); err != nil {
		t.Fatal(err)
	}
	notes = nil
	cfg, err = request("").Make(t.Context(), nil, h)
	if err != nil || len(cfg.Models) != 1 || cfg.Models[0].Name != "here" || !strings.Contains(strings.Join(notes, "\n"), "1 model, smallest first:\n  here  ") {
		t.Errorf("%+v, %v, %q", cfg, err, notes)
	}
	notes = nil
	if cfg, err = request("").Make(t.Context(), []string{"here.gguf"}, h); err != nil || len(cfg.Models) != 1 || notes != nil {
		t.Errorf("%v, %q", err, notes)
	}
	limit := int64(10)
	q := request("")
	q.MaxParams = &limit
	if _, err = q.Make(t.Context(), []string{"here.gguf", "ladder:llama"}, h); err == nil || !strings.Contains(err.Error(), "--max-params") {
		t.Error(err)
	}
	limit = 40_000_000
	if cfg, err = q.Make(t.Context(), []string{"here.gguf", "ladder:llama"}, h); err != nil || len(cfg.Models) != 5 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// root is the repository's, before a test changes the current folder.
var root = func() string {
	here, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Join(here, "..", "..")
}()
