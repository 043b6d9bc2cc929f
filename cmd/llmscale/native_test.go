//go:build native

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"llmscale/gguf/hf/hftest"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// smallSweep has two models, two weight types, a text and a drawn prompt.
const smallSweep = `gen_tokens: 8
replicates: 1
repetitions: 3
warmup_repetitions: 1
seed: 11
cell_timeout_s: 120
probe: false
scenarios: [{name: short, prompt: "Summarize RLHF in one sentence."}, {name: drawn, prompt_tokens: 12}]
backends:
  - {name: f32, kind: native, device: cpu, dtype: f32, threads: 1}
  - {name: f16, kind: native, device: cpu, dtype: f16, threads: 1}
models: [{name: tiny, source: "synth:tiny-gpt2"}, {name: m1, source: "synth:gpt2-1m"}]
`

const smallSweepCells, smallSweepReps = 8, 3

func readRuns(t *testing.T, dir string) []record.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "runs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []record.Record
	for line := range strings.Lines(string(data)) {
		var r record.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// TestSweep takes the main job's way: models, measurements, tables, plots,
// report; twice, with one seed.
func TestSweep(t *testing.T) {
	cfg := writeFile(t, "small.yaml", strings.Replace(smallSweep, "probe: false", "probe: true", 1))
	var ids [2]map[string][2][]int32
	for i := range ids {
		dir := filepath.Join(t.TempDir(), "run")
		code, stdout, stderr := llmscale("sweep", "--config", cfg, "--models-dir", sharedModels, "--out", dir)
		if code != exitDone {
			t.Fatalf("exit code %d:\n%s", code, stderr)
		}
		if !strings.HasSuffix(strings.TrimSpace(stdout), filepath.Join(dir, "report.html")) {
			t.Errorf("the last line is not the report's path:\n%s", stdout)
		}
		for _, name := range []string{"manifest.json", "runs.jsonl", "metrics.csv", "ceilings.json", "report.md", "report.html",
			"analysis/summary_by_model_backend_mode.csv", "analysis/scaling_fits.csv"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		plots, err := filepath.Glob(filepath.Join(dir, "analysis", "plots", "*.png"))
		if err != nil || len(plots) == 0 {
			t.Errorf("no plots (%v)", err)
		}
		ids[i] = map[string][2][]int32{}
		records := readRuns(t, dir)
		if len(records) != smallSweepCells*(smallSweepReps+1)*3 {
			t.Errorf("%d records", len(records))
		}
		for _, r := range records {
			if r.Status != record.StatusOK || len(r.TokenNS) != 8 || len(r.OutputTokenIDs) != 8 || len(r.PromptTokenIDs) == 0 {
				t.Fatalf("%s %s: status %s, %d token times, %d output ids, prompt %v", r.CellID, r.Mode, r.Status, len(r.TokenNS), len(r.OutputTokenIDs), r.PromptTokenIDs)
			}
			if want := map[string]int{"short": 9, "drawn": 12}[r.Scenario]; *r.PromptTokensRaw != want {
				t.Errorf("%s has %d prompt tokens, want %d", r.CellID, *r.PromptTokensRaw, want)
			}
			if *r.E2EKVMS < *r.PrefillMS+*r.KVDecodeMS {
				t.Errorf("%s: e2e %v ms is less than prefill %v + decode %v", r.CellID, *r.E2EKVMS, *r.PrefillMS, *r.KVDecodeMS)
			}
			ids[i][fmt.Sprintf("%s %d", r.CellID, r.CallIdx)] = [2][]int32{r.PromptTokenIDs, r.OutputTokenIDs}
		}
	}
	for call, a := range ids[0] {
		b := ids[1][call]
		if !slices.Equal(a[0], b[0]) || !slices.Equal(a[1], b[1]) {
			t.Errorf("%s: two runs with one seed differ: %v and %v", call, a, b)
		}
	}
}

// TestKilledWithRealWorkers interrupts and kills the program and its workers
// while llama.cpp runs in them, then resumes: the planned repetitions must all
// be there, each once.
func TestKilledWithRealWorkers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	cfg := writeFile(t, "small.yaml", smallSweep)
	dir := filepath.Join(t.TempDir(), "run")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		args := []string{"run", "--config", cfg, "--models-dir", sharedModels, "--out", dir}
		if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err == nil {
			args = []string{"run", "--resume", dir}
		}
		cmd := exec.Command(exe, args...)
		cmd.Env = append(os.Environ(), envMain+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	for round := range 18 {
		cmd := start()
		ended := make(chan struct{})
		go func() {
			cmd.Wait() // its error is what was asked for
			close(ended)
		}()
		worker := waitForChild(cmd.Process.Pid, ended)
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGABRT}
		switch sig := signals[random.IntN(3)]; round % 3 {
		case 0:
			cmd.Process.Kill()
		case 1:
			cmd.Process.Signal(os.Interrupt)
		default:
			if worker > 0 {
				syscall.Kill(worker, sig)
			}
		}
		<-ended
	}
	for try := 0; ; try++ {
		cmd := start()
		err := cmd.Wait()
		if err == nil {
			break
		}
		if try == 3 {
			t.Fatalf("the resumed run does not finish: %v", err)
		}
	}
	seen := map[string]int{}
	crashed := 0
	for _, r := range readRuns(t, dir) {
		if r.Status == record.StatusCrashed {
			crashed++
			// Before a worker has given SIGSEGV and SIGABRT back to the system, Go ends it, with an exit code.
			if r.Signal == nil && r.ExitCode == nil || r.Error == nil {
				t.Errorf("%s crashed by signal %v, exit code %v: %v", r.CellID, r.Signal, r.ExitCode, r.Error)
			}
		}
		if r.Status == record.StatusOK && r.Rep != nil {
			seen[fmt.Sprintf("%s %d %s", r.CellID, *r.Rep, r.Mode)]++
		}
	}
	t.Logf("%d rows of crashed calls on the way", crashed)
	if crashed == 0 {
		t.Error("no worker was killed in the middle of a cell: the test is too weak")
	}
	if len(seen) != smallSweepCells*smallSweepReps*3 {
		t.Errorf("%d measured rows, want %d", len(seen), smallSweepCells*smallSweepReps*3)
	}
	for row, n := range seen {
		if n != 1 {
			t.Errorf("%s is on record %d times", row, n)
		}
	}
}

// waitForChild returns the first child of a process, or 0 once ended is closed.
func waitForChild(parent int, ended <-chan struct{}) int {
	for {
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			return 0
		}
		for _, path := range stats {
			data, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended meanwhile
			}
			_, rest, _ := strings.Cut(string(data), ") ")
			if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
				pid, _ := strconv.Atoi(strings.Split(path, "/")[2]) // the pattern has digits only
				return pid
			}
		}
		select {
		case <-ended:
			return 0
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// TestSweepOfEverySource sweeps one model of each kind of source in one run.
func TestSweepOfEverySource(t *testing.T) {
	store := writeStore(t)
	t.Setenv("OLLAMA_MODELS", store)
	blobs, err := filepath.Glob(filepath.Join(store, "blobs", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own.gguf")
	if code, _, stderr := llmscale("synth", "gpt2-1m", "-o", own, "--type", "q4_0"); code != exitDone { // flags behind the argument
		t.Fatal(stderr)
	}
	cfg := writeFile(t, "sources.yaml", fmt.Sprintf(`gen_tokens: 4
replicates: 1
repetitions: 2
warmup_repetitions: 0
probe: false
scenarios: [{name: p8, prompt_tokens: 8}, {name: long, prompt_tokens: 8, gen_tokens: 12}]
backends: [{name: bf16, dtype: bf16, threads: 1}, {name: own, threads: 1}]
models:
  - {name: preset, source: "synth:tiny-gpt2"}
  - {name: rung, source: "ladder:llama/5m", vocab: 512}
  - {name: ladder, source: "ladder:llama", vocab: 512}
  - {name: hf, source: "hf:%s"}
  - {name: ollama, source: "ollama:small:f16", backends: [own]}
  - {name: twin, source: "like:%s", backends: [own]}
  - {name: file, source: "%s", backends: [own]}
`, hftest.New(hftest.Shape{}).Write(t, "folder"), own, own))
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := llmscale("sweep", "--config", cfg, "--models-dir", sharedModels, "--out", dir, "--max-params", "12M")
	if code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	cells := map[string]int{}
	for _, r := range readRuns(t, dir) {
		if r.Status != record.StatusOK || r.LogitsFinite != nil && !*r.LogitsFinite {
			t.Errorf("%s: %s (%v)", r.CellID, r.Status, r.Error)
		}
		if want := map[string]int{"p8": 4, "long": 12}[r.Scenario]; r.GenTokensTarget != want || len(r.OutputTokenIDs) != want {
			t.Errorf("%s: %d tokens, want %d", r.CellID, len(r.OutputTokenIDs), want)
		}
		cells[r.CellID]++
	}
	// Of the ladder two rungs have at most 12 million parameters.
	if len(cells) != 2*8 {
		t.Errorf("%d cells: %v", len(cells), cells)
	}
}

// TestProbe measures this machine's CPU twice: the second file keeps the first's
// figures.
func TestProbe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.json")
	code, stdout, stderr := llmscale("probe", "--device", "cpu", "--threads", "2", "--quick", "-o", file)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"cpu: ", "2 threads", "reads memory at ", "multiply-adds per second", "us to start work (barrier)", "the middle half of the passes differs by ", "64 KiB", "GB/s", "fma_f32", "barrier", "not measured: matvec"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	code, stdout, stderr = llmscale("probe", "--threads", "1", "--quick", "--json", "-o", file)
	var f ceilings.File
	if err := json.Unmarshal([]byte(stdout), &f); code != exitDone || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	if len(f.Of(ceilings.CPU, 1)) != 1 {
		t.Errorf("%+v", f)
	}
	kept, err := ceilings.Load(file)
	if err != nil || len(kept.Of(ceilings.CPU, 1)) != 1 || len(kept.Of(ceilings.CPU, 2)) != 1 {
		t.Errorf("%+v, %v", kept, err)
	}
}
