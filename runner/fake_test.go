package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

const (
	envRoom   = "LLMSCALE_TEST_ROOM"   // bytes to which the coordinator's files may grow
	envModels = "LLMSCALE_TEST_MODELS" // the folder of models that the tests of one process share
)

// The test binary plays three parts: the tests, a worker with a fake runtime,
// and a coordinator that the tests kill.
func TestMain(m *testing.M) {
	workertest.Main()
	switch os.Getenv(workertest.EnvPart) {
	case "coordinator":
		if err := coordinate(os.Getenv(workertest.EnvRun)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(withModels(m.Run))
	}
}

// withModels runs the tests around a folder for models.
func withModels(run func() int) int {
	dir, err := os.MkdirTemp("", "llmscale-models-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv(envModels, dir)
	return run()
}

// testPrograms ask programs that writeProgram has made.
func testPrograms(t testing.TB) *worker.Programs {
	build, _ := workertest.About(false)
	return &worker.Programs{Worker: workertest.Command(t, ""), Build: build, Log: discard}
}

// testConfig has three tiny models under two backends and three scenarios.
const testConfig = `run_name: test
gen_tokens: 4
replicates: 1
repetitions: 3
warmup_repetitions: 1
seed: 7
cell_timeout_s: 20
scenarios:
  - {name: one, prompt: "one"}
  - {name: two, prompt: "two", gen_tokens: 6}
  - {name: drawn, prompt_tokens: 5}
backends:
  - {name: cpu_f32, kind: native, device: cpu, dtype: f32, threads: 1}
  - {name: cpu_f16, kind: native, device: cpu, dtype: f16, threads: 1}
models:
  - {name: a, source: "synth:tiny-gpt2"}
  - {name: b, source: "synth:tiny-gpt2"}
`

// testModels is shared by all tests of the process: the files are the same.
func testModels() *modelfile.Folder { return &modelfile.Folder{Dir: os.Getenv(envModels)} }

func testPlan(t testing.TB, text string) *plan.Plan {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return planned(t, cfg)
}

// newPlan is the plan of a machine of two cores, with any programs that were asked.
func newPlan(cfg *config.Config, models *modelfile.Folder, programs *worker.Programs) (*plan.Plan, error) {
	return planWithout(cfg, models, programs, nil)
}

// planWithout is that where some devices are missing, for these reasons.
func planWithout(cfg *config.Config, models *modelfile.Folder, programs *worker.Programs, noDevice map[string]error) (*plan.Plan, error) {
	facts, err := plan.Look(context.Background(), cfg, models, programs)
	if err != nil {
		return nil, err
	}
	facts.Threads, facts.NoDevice = 2, noDevice
	return plan.New(cfg, facts)
}

func planned(t testing.TB, cfg *config.Config) *plan.Plan {
	t.Helper()
	p, err := newPlan(cfg, testModels(), testPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Prepare(t.Context(), testModels()); err != nil {
		t.Fatal(err)
	}
	return p
}

// quiet is a Progress that keeps what it hears.
type quiet struct {
	statuses []Status
	stored   []string
	notes    []string
}

func (q *quiet) Update(s Status) { q.statuses = append(q.statuses, s) }
func (q *quiet) Stored(cell string, replicate, call int, status string) {
	q.stored = append(q.stored, fmt.Sprintf("%s %d %s", cell, call, status))
}
func (q *quiet) Note(line string) { q.notes = append(q.notes, line) }

// failures are the notes that are no warnings: of these some depend on the machine's processors.
func (q *quiet) failures() []string {
	return slices.DeleteFunc(slices.Clone(q.notes), func(n string) bool { return strings.HasPrefix(n, "warning: ") })
}

// newRun is a run of a plan in a new folder, which a test may change before finish.
func newRun(t *testing.T, p *plan.Plan, w worker.Command) (*Run, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	folder, err := store.Create(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := newManifest(folder, "test", p, Overrides{}, "models", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Run{ID: "test", Plan: p, Store: folder, Worker: w, Progress: &quiet{}, Log: discard, Manifest: manifest}, dir
}

// resumeRun is the next session of the run in dir, of the plan with which it began.
func resumeRun(t *testing.T, p *plan.Plan, dir string, w worker.Command) *Run {
	t.Helper()
	r := &Run{ID: "test", Plan: p, Worker: w, Progress: &quiet{}, Log: discard}
	var err error
	if r.Store, err = store.Open(dir); err != nil {
		t.Fatal(err)
	}
	if r.Manifest, err = ReadManifest(dir); err != nil {
		t.Fatal(err)
	}
	if r.Previous, err = r.Store.Recover(); err != nil {
		t.Fatal(err)
	}
	r.Session = len(r.Manifest.Sessions)
	return r
}

// finish executes a run and closes its store.
func finish(t *testing.T, r *Run) Summary { return finishUntil(t, t.Context(), r) }

// finishUntil is finish with an interrupt at the end of ctx.
func finishUntil(t *testing.T, ctx context.Context, r *Run) Summary {
	t.Helper()
	sum, err := r.Execute(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	return sum
}

// execute runs a plan in a new folder and returns it with its records.
func execute(t *testing.T, p *plan.Plan, w worker.Command) (string, Summary, []record.Record, *quiet) {
	t.Helper()
	r, dir := newRun(t, p, w)
	sum := finish(t, r)
	return dir, sum, readRecords(t, dir), r.Progress.(*quiet)
}

func readRecords(t testing.TB, dir string) []record.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, store.RunsFile))
	if err != nil {
		t.Fatal(err)
	}
	return parseRecords(t, data)
}

func parseRecords(t testing.TB, data []byte) []record.Record {
	t.Helper()
	var out []record.Record
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		var r record.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s:%d: %v", store.RunsFile, n, err)
		}
		out = append(out, r)
	}
	return out
}
