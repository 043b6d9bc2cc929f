package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/native"
	"llmscale/runner/machine"
)

// envMain makes the test binary behave as llmscale: runs started by the tests
// start their workers from it.
const envMain = "LLMSCALE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		main()
	}
	os.Setenv(envMain, "1")
	dir, err := os.MkdirTemp("", "llmscale-models-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sharedModels = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// sharedModels is the folder of models that the tests of this process share.
var sharedModels string

// llmscale runs the program in this process.
func llmscale(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Main(append([]string{"llmscale"}, args...), &out, &err)
	return code, out.String(), err.String()
}

// writeFile puts text into a file of the test's folder.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// sweepOf is a sweep of one model.
func sweepOf(source string) string {
	dtype := ""
	if strings.HasPrefix(source, "synth:") {
		dtype = ", dtype: f32"
	}
	return "gen_tokens: 4\nrepetitions: 2\nreplicates: 1\nscenarios: [{name: micro, prompt: Hello}]\n" +
		"backends: [{name: cpu, kind: native, device: cpu" + dtype + ", threads: 1}]\nmodels: [{name: m, source: \"" + source + "\"}]\n"
}

// truncated writes a model of which the end is missing.
func truncated(t *testing.T) string {
	t.Helper()
	p, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "truncated.gguf")
	if err := synth.Write(path, p, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1_500_000); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBadInput gives the program what a user might: each answer is one clear
// line and exit code 2, and nothing is left behind.
func TestBadInput(t *testing.T) {
	inFile := filepath.Join(writeFile(t, "file", ""), "run")
	good := writeFile(t, "good.yaml", sweepOf("synth:tiny-gpt2"))
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name string
		args []string
		want string // in the one line
	}{
		{"missing config", []string{"run", "--config", "absent.yaml"}, "there is no "},
		{"missing model", []string{"run", "--config", writeFile(t, "c.yaml", sweepOf("absent.gguf"))}, "there is no file"},
		{"truncated model", []string{"run", "--config", writeFile(t, "c.yaml", sweepOf(truncated(t)))}, "truncated.gguf"},
		{"not a model", []string{"run", "--config", writeFile(t, "c.yaml", sweepOf(good))}, "good.yaml"},
		{"missing program", []string{"run", "--config", writeFile(t, "c.yaml", strings.Replace(sweepOf("synth:tiny-gpt2"), "threads: 1", "program: bin/absent", 1))}, "c.yaml:5:72: backends[0].program: there is no program "},
		{"a program that is no llmscale", []string{"run", "--dry-run", "--config", writeFile(t, "c.yaml", strings.Replace(sweepOf("synth:tiny-gpt2"), "threads: 1", "program: /bin/true", 1))}, "/bin/true exited with code 0 before it said what it is: it is no llmscale"},
		{"unknown preset", []string{"run", "--config", writeFile(t, "c.yaml", sweepOf("synth:gpt2-6m"))}, "gpt2-5m"},
		{"unknown key", []string{"run", "--config", writeFile(t, "c.yaml", sweepOf("synth:tiny-gpt2")+"repetitons: 3\n")}, "c.yaml:7:1"},
		{"negative repetitions", []string{"run", "--config", good, "--repetitions", "-1"}, "repetitions"},
		{"negative repetitions in the file", []string{"run", "--config", writeFile(t, "c.yaml", strings.Replace(sweepOf("synth:tiny-gpt2"), "repetitions: 2", "repetitions: -2", 1))}, "c.yaml:2:14"},
		{"unknown model name", []string{"run", "--config", good, "--models", "n"}, "m"},
		{"unwritable folder", []string{"run", "--config", good, "--out", inFile}, "is a file; want a folder"},
		{"both config and resume", []string{"run", "--config", good, "--resume", "x"}, "--config cannot be changed on --resume"},
		{"sources on resume", []string{"run", "--resume", "x", "y.gguf"}, "y.gguf and --resume, which says what is measured"},
		{"changing a resumed run", []string{"run", "--resume", "x", "--seed", "3"}, "--seed cannot be changed"},
		{"resuming nothing", []string{"run", "--resume", t.TempDir()}, "not a run folder"},
		{"unknown flag", []string{"run", "--cofnig", good}, "no flag --cofnig; did you mean --config? See `llmscale run --help`"},
		{"unknown flag like none", []string{"run", "--xyzzy", good}, "no flag --xyzzy; see `llmscale run --help`"},
		{"unknown flag of the program", []string{"--verison"}, "did you mean --version? See `llmscale --help`"},
		{"bad number", []string{"run", "--config", good, "--repetitions", "three"}, `--repetitions "three": want a whole number; see`},
		{"seed beyond numbers", []string{"run", "--config", good, "--seed", "99999999999999999999"}, `--seed "99999999999999999999": want a whole number; see`},
		{"negative seed of the bootstrap", []string{"analyze", "--run-dir", ".", "--analysis-seed", "-4"}, `--analysis-seed "-4": want a whole number of 0 or more; see`},
		{"a switch with a value", []string{"run", "--config", good, "--dry-run=maybe"}, `--dry-run "maybe": want true or false`},
		{"config without its flag", []string{"sweep", "my sweep.yaml"}, `a config is no source; did you mean --config 'my sweep.yaml'?`},
		{"run folder without its flag", []string{"report", "runs/1"}, `no argument "runs/1"; did you mean --run-dir runs/1? See`},
		{"empty config", []string{"run", "--config", ""}, "--config is empty: name a path"},
		{"empty folder of models", []string{"run", "--config", good, "--models-dir", ""}, "--models-dir is empty"},
		{"empty run folder", []string{"run", "--config", good, "--out="}, "--out is empty"},
		{"empty resume", []string{"run", "--resume", ""}, "--resume is empty"},
		{"models into a file", []string{"run", "--config", good, "--models-dir", good}, "good.yaml is a file; want a folder"},
		{"models below a file", []string{"run", "--config", good, "--dry-run", "--models-dir", good + "/models"}, "good.yaml is a file, and no folder"},
		{"a source beside a config", []string{"run", "--config", good, "extra"}, "extra and --config, which says what is measured"},
		{"a flag of sources beside a config", []string{"run", "--config", good, "-t", "2"}, "--threads is for a sweep without --config"},
		{"quick beside a config", []string{"run", "--config", good, "--quick"}, "--quick is for a sweep without --config"},
		{"several lengths beside a config", []string{"run", "--config", good, "-n", "1,2"}, `--gen-tokens "1,2": want a whole number beside --config`},
		{"names of a config without one", []string{"run", "--models", "a", "ladder:llama"}, "--models chooses from a config"},
		{"a source that is not there", []string{"run", "absent.gguf"}, "there is no absent.gguf"},
		{"a source that is no model", []string{"run", "gguf:" + good}, "this is no GGUF file"},
		{"a truncated source", []string{"run", truncated(t)}, "truncated.gguf"},
		{"a folder without models", []string{"run", t.TempDir()}, "this folder has no GGUF file"},
		{"a source that does not exist", []string{"run", "ladder:llama/6m"}, "llama/5m"},
		{"no prompt", []string{"run", "-p", "0", "ladder:llama/5m"}, "-p, --prompt-tokens: must be at least 1, not 0"},
		{"a negative answer", []string{"run", "ladder:llama/5m", "-n", "-1"}, "-n, --gen-tokens: must be at least 1, not -1"},
		{"threads in words", []string{"run", "-t", "all", "ladder:llama/5m"}, `-t, --threads: must be a whole number, not the text "all"`},
		{"a type that there is not", []string{"run", "ladder:llama/5m", "--types", "q8"}, "--types, --dtype: must be f32"},
		{"types of a file", []string{"run", "--types", "q8_0", filepath.Join(tinyFolder(t), "tiny.gguf")}, "no model here has to be written"},
		{"one type of the cache", []string{"run", "ladder:llama/5m", "-ctk", "q8_0"}, "give -ctk and -ctv the same"},
		{"two forms of a flag", []string{"run", "ladder:llama/5m", "-t", "1", "--threads", "2"}, "two forms of the same flag"},
		{"layers of a GPU on the CPU", []string{"run", "ladder:llama/5m", "--device", "cpu", "-ngl", "3"}, "-ngl, --n-gpu-layers: must be 0 on device cpu"},
		{"an empty flag", []string{"run", "ladder:llama/5m", "-t", ""}, "-t, --threads is empty"},
		{"the same threads twice", []string{"run", "ladder:llama/5m", "-t", fmt.Sprintf("0,%d", cores())}, "would do the same work"},
		{"more cells than a plan has", []string{"run", "ladder:llama/5m", "-p", "1..600", "-t", "1,2"}, "1200 cells: 1 model x 2 backends x 600 scenarios, more than 1000; backend cpu_f16 makes 2"},
		{"unknown command", []string{"swep"}, "no command \"swep\"; did you mean sweep? See `llmscale --help`"},
		{"unknown command like none", []string{"xyzzy"}, "no command \"xyzzy\"; see `llmscale --help`"},
		{"a hidden command is not suggested", []string{"workr"}, "no command \"workr\"; see"},
		{"the help of an unknown command", []string{"--help", "analyse"}, "analyse"},
		{"help on an unknown command", []string{"help", "analyse"}, "did you mean analyze?"},
		{"completion of an unknown shell", []string{"completion", "tcsh"}, "there are bash, fish and zsh"},
		{"inspect nothing", []string{"inspect"}, "takes GGUF files"},
		{"inspect a missing file", []string{"inspect", "absent.gguf"}, "absent.gguf"},
		{"inspect a truncated file", []string{"inspect", truncated(t)}, "truncated.gguf"},
		{"analyze nothing", []string{"analyze"}, "run-dir"},
		{"analyze a missing folder", []string{"analyze", "--run-dir", "absent"}, "absent"},
		{"unknown axis", []string{"analyze", "--run-dir", ".", "--x-axis", "width"}, "there are params_total"},
		{"synth a wrong type", []string{"synth", "--type", "q3", "-o", inFile, "tiny-gpt2"}, "want one of f32, f16, bf16, q8_0"},
		{"flag without its value behind the argument", []string{"inspect", "absent.gguf", "--context"}, "--context has no value behind it"},
		{"synth the vocabulary of a twin", []string{"synth", "like:x.gguf", "--vocab", "300"}, "leave out --vocab"},
		{"synth the twin of nothing", []string{"synth", "like:absent.gguf"}, "absent.gguf"},
		{"synth a shape as a preset", []string{"synth", "llama3.1-8b"}, `did you mean "shape:llama3.1-8b"`},
		{"synth an unknown rung", []string{"synth", "ladder:llama/6m"}, "llama/5m, llama/9m"},
		{"synth too small a vocabulary", []string{"synth", "ladder:llama", "--vocab", "100", "--dry-run"}, "want 257 to"},
		{"max-params no number", []string{"run", "--config", good, "--max-params", "8 billion"}, "8B, 500M"},
		{"max-params too few for sources", []string{"run", "ladder:llama", "--max-params", "10"}, "choose a larger --max-params"},
		{"max-params too few", []string{"run", "--config", good, "--max-params", "10"}, "no model has at most 10 parameters"},
		{"synth an unknown preset", []string{"synth", "gpt3"}, "gpt3"},
		{"probe an unknown device", []string{"probe", "--device", "tpu"}, "want cpu, cuda or all"},
		{"probe with no threads", []string{"probe", "--threads", "0"}, "want 1 to 512"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !native.Built && c.name == "unwritable folder" {
				c.want = native.ErrNotBuilt.Error() // which comes first
			}
			code, stdout, stderr := llmscale(append([]string{c.args[0]}, withModels(t, c.args)...)...)
			if code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if stdout != "" {
				t.Errorf("stdout: %q", stdout)
			}
			if n := strings.Count(stderr, "\n"); n != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("%d lines, want one with %q:\n%s", n, c.want, stderr)
			}
		})
	}
	if left, err := filepath.Glob("runs/*"); err != nil || len(left) > 0 {
		t.Errorf("bad input left run folders behind: %v, %v", left, err)
	}
}

// tinyFolder is a folder with the model tiny.gguf.
func tinyFolder(t *testing.T) string {
	t.Helper()
	s, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := synth.Write(filepath.Join(dir, "tiny.gguf"), s, synth.Options{Type: "f32"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// cores is how many threads a backend takes without a number.
func cores() int {
	_, n := machine.Cores()
	return n
}

// withModels keeps a run's models out of the repository.
func withModels(t *testing.T, args []string) []string {
	if args[0] != "run" || len(args) == 1 || args[1] == "--resume" {
		return args[1:]
	}
	return append([]string{"--models-dir", t.TempDir()}, args[1:]...)
}

// TestTooLargeModel runs a model of half a tebibyte of weights (a sparse file): it goes on
// record as out of memory, untried, with one clear line and exit code 3.
func TestTooLargeModel(t *testing.T) {
	cfg := writeFile(t, "c.yaml", sweepOf(hugeModel(t)))
	code, stdout, stderr := llmscale("run", "--config", cfg, "--dry-run")
	if code != exitDone || !strings.Contains(stdout, "does not fit") {
		t.Errorf("dry run: exit code %d:\n%s%s", code, stdout, stderr)
	}
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr = llmscale("run", "--config", cfg, "--out", dir)
	if !native.Built {
		if code != exitUsage || !strings.Contains(stderr, native.ErrNotBuilt.Error()) {
			t.Errorf("without llama.cpp: exit code %d: %s", code, stderr)
		}
		return
	}
	if code != exitFailedCells || strings.Count(stderr, "m/cpu/micro: oom: the model needs 563 GiB") != 1 {
		t.Errorf("exit code %d, want %d:\n%s", code, exitFailedCells, stderr)
	}
	data, err := os.ReadFile(filepath.Join(dir, "runs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), `"status":"oom"`); n != 3 {
		t.Errorf("%d rows with status oom, want one per mode", n)
	}
}

// hugeModel writes the tables of a model of 563 GiB and leaves its weights a hole.
func hugeModel(t *testing.T) string {
	t.Helper()
	const layers, width, vocab = 30, 20480, 1000
	entries := []gguf.Entry{
		{Key: "general.architecture", Value: "gpt2"},
		{Key: "gpt2.context_length", Value: uint32(1024)},
		{Key: "gpt2.embedding_length", Value: uint32(width)},
		{Key: "gpt2.feed_forward_length", Value: uint32(4 * width)},
		{Key: "gpt2.block_count", Value: uint32(layers)},
		{Key: "gpt2.attention.head_count", Value: uint32(160)},
	}
	specs := []gguf.Spec{{Name: "token_embd.weight", Type: gguf.F32, Dims: []int64{width, vocab}}}
	for l := range layers {
		specs = append(specs, gguf.Spec{Name: fmt.Sprintf("blk.%d.ffn_up.weight", l), Type: gguf.F32, Dims: []int64{width, 12 * width}})
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "huge.gguf")
	w, err := gguf.Create(path, entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	part, err := filepath.Glob(filepath.Join(dir, ".*.part"))
	if err != nil || len(part) != 1 {
		t.Fatalf("the writer's temporary file: %v, %v", part, err)
	}
	tables, err := os.ReadFile(part[0])
	if err != nil {
		t.Fatal(err)
	}
	whole, err := gguf.Preview(entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, tables, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, whole.Size); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadOnlyCommands(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"doctor"}, {"schema"}, {"schema", "--tables"}, {"synth", "--list"}, {"--help"}, {"run", "--help"}} {
		code, stdout, stderr := llmscale(args...)
		if code != exitDone || stdout == "" {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"version", "--json"}, {"doctor", "--json"}} {
		if _, stdout, _ := llmscale(args...); !json.Valid([]byte(stdout)) {
			t.Errorf("%v: %q is not JSON", args, stdout)
		}
	}
}

func TestSynthAndInspect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	code, stdout, stderr := llmscale("synth", "--type", "f16", "-o", path, "gpt2-1m")
	if code != exitDone || strings.TrimSpace(stdout) != path {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = llmscale("inspect", "--json", path)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var out struct {
		Description ledger.Description `json:"description"`
		Memory      ledger.Memory      `json:"memory"`
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatal(err)
	}
	if out.Description.ParamsTotal != 11_180_928 || out.Description.WeightType != "f16" || out.Memory.Total <= out.Memory.Weights {
		t.Errorf("%+v", out)
	}
	code, stdout, _ = llmscale("inspect", "--tensors", path)
	if code != exitDone || !strings.Contains(stdout, "11180928") || !strings.Contains(stdout, "blk.2.ffn_down.weight") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
}

func TestSynthLadderAndTwin(t *testing.T) {
	code, stdout, stderr := llmscale("synth", "ladder:llama", "--type", "q4_0", "--dry-run", "-o", "folder")
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); code != exitDone || len(lines) != 14 ||
		!strings.HasPrefix(lines[0], filepath.Join("folder", "ladder-llama-5m-q4_0-seed42.gguf")+"\t4851968 parameters") || !strings.HasPrefix(lines[13], "13 files") {
		t.Errorf("exit code %d, %s:\n%s", code, stderr, stdout)
	}
	dir := t.TempDir()
	original, twin := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "twin.gguf")
	if code, _, stderr := llmscale("synth", "shape:qwen2.5-0.5b", "--layers", "1", "--vocab", "300", "--type", "q6_K", "-o", original); code != exitDone {
		t.Fatal(stderr)
	}
	if code, stdout, stderr := llmscale("synth", "like:"+original, "-o", twin, "--seed", "7"); code != exitDone || strings.TrimSpace(stdout) != twin {
		t.Fatalf("exit code %d, %q, %s", code, stdout, stderr)
	}
	_, a, _ := llmscale("inspect", original)
	_, b, _ := llmscale("inspect", twin)
	for out, want := range map[*string]string{&a: "random: shape-qwen2.5-0.5b-vocab300-1layers\n", &b: "random: the twin of another file\n"} {
		if !strings.Contains(*out, want) {
			t.Errorf("no %q in\n%s", want, *out)
		}
		*out = strings.Replace(*out, want, "", 1)
	}
	if cut := func(s string) string { _, rest, _ := strings.Cut(s, "\n"); return rest }; cut(a) != cut(b) || len(a) < 500 {
		t.Errorf("inspect says of the original\n%s\nof the twin\n%s", a, b)
	}
	code, stdout, _ = llmscale("synth", "--list")
	for _, want := range []string{"synth:gpt2-5m", "shape:gpt-oss-20b", "4 of 32", "ladder:llama/20b"} {
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("no %s in\n%s", want, stdout)
		}
	}
}
