package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/gguf/gguftest"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

const servedConfig = `gen_tokens: 4
replicates: 1
repetitions: 2
warmup_repetitions: 0
cell_timeout_s: 20
scenarios: [{name: one, prompt: "one"}, {name: two, prompt: "two"}]
backends:
  - {name: direct, dtype: f32, threads: 1}
  - {name: served, kind: ollama, import: true, dtype: f32, threads: 3, ubatch_tokens: 64, url: "http://127.0.0.1:9"}
models: [{name: a, source: "synth:tiny-gpt2"}, {name: b, source: "synth:gpt2-1m"}]
`

// fakeServer notes what is asked of a server, in order.
type fakeServer struct {
	log  []string
	fail error
}

func (f *fakeServer) serve(ctx context.Context, spec protocol.OllamaSpec, file string) (string, func() error, error) {
	if f.fail != nil {
		return "", nil, f.fail
	}
	name := "served-" + spec.SHA256[:6]
	f.log = append(f.log, fmt.Sprint("serve ", filepath.Base(file), " ", spec.URL, " ", spec.Model == "", " ", spec.BanRepeats))
	return name, func() error {
		f.log = append(f.log, "release "+name)
		return errors.New("did not go")
	}, nil
}

// TestInterruptedWhileServed: Ctrl-C between two calls takes the model off the server.
func TestInterruptedWhileServed(t *testing.T) {
	f := &fakeServer{}
	only := strings.Replace(servedConfig, "  - {name: direct, dtype: f32, threads: 1}\n", "", 1)
	p := testPlan(t, only)
	ctx, stop := context.WithCancel(t.Context())
	q := &stopAfter{n: 1, stop: stop}
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Serve, r.Progress = f.serve, q
	if sum := finishUntil(t, ctx, r); !sum.Interrupted {
		t.Fatalf("%+v", sum)
	}
	if len(f.log) != 2 || !strings.HasPrefix(f.log[1], "release ") {
		t.Errorf("%q", f.log)
	}

	// The resumed run goes on with the same server only.
	r = &Run{Previous: readRecords(t, dir)}
	version, url, moved := "1", "http://a:1", "http://a:2"
	r.Previous[0].OllamaVersion, r.Previous[0].OllamaURL = &version, &url
	other := "2"
	if err := r.sameServer(&p.Jobs[0], &record.OllamaServer{OllamaVersion: &version, OllamaURL: &moved}); err != nil {
		t.Error(err)
	}
	if err := r.sameServer(&p.Jobs[0], &record.OllamaServer{OllamaVersion: &other, OllamaURL: &url}); err == nil || !strings.Contains(err.Error(), "begun with Ollama 1 at http://a:1") {
		t.Errorf("another version: %v", err)
	}
}

// TestServerThatDies: it was there, so that what it leaves unmeasured is not waived.
func TestServerThatDies(t *testing.T) {
	f := &fakeServer{}
	jobs := 0
	serve := func(ctx context.Context, spec protocol.OllamaSpec, file string) (string, func() error, error) {
		if jobs++; jobs > 1 {
			return "", nil, record.Failf(record.StatusWaived, "no Ollama server at x")
		}
		return f.serve(ctx, spec, file)
	}
	sum, records, _ := executeServed(t, t.Context(), servedConfig, workertest.Command(t, ""), serve)
	if sum.ByStatus[record.StatusError] != 2 || sum.ByStatus[record.StatusOK] != 6 || sum.Failed() != 2 {
		t.Errorf("%v", sum.ByStatus)
	}
	for _, r := range records {
		if r.Status == record.StatusError && *r.Error != "the server is gone: no Ollama server at x" {
			t.Error(*r.Error)
		}
	}
}

// TestServedTransientModels: a file is imported while it is there, kept for the other
// backend that loads it, and removed when nothing more needs it.
func TestServedTransientModels(t *testing.T) {
	cfg, err := config.Parse("c.yaml", []byte(strings.Replace(servedConfig, "dtype: f32, threads: 1", "dtype: f32, threads: 2", 1)))
	if err != nil {
		t.Fatal(err)
	}
	models := &modelfile.Folder{Dir: t.TempDir()}
	p, err := newPlan(cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	p.GroupByFile()
	f := &fakeServer{}
	serve := func(ctx context.Context, spec protocol.OllamaSpec, file string) (string, func() error, error) {
		if _, err := os.Stat(file); err != nil || len(spec.SHA256) != 64 {
			t.Errorf("imported without its file or hash: %v, %q", err, spec.SHA256)
		}
		name, release, err := f.serve(ctx, spec, file)
		return name, func() error {
			if _, err := os.Stat(file); err != nil {
				t.Errorf("the file went before the server's model: %v", err)
			}
			return release()
		}, err
	}
	r, _ := newRun(t, p, workertest.Command(t, ""))
	r.Serve, r.Transient = serve, models
	if sum := finish(t, r); sum.ByStatus[record.StatusOK] != 8 || len(f.log) != 4 {
		t.Fatalf("%+v, %q", sum, f.log)
	}
	if left, _ := filepath.Glob(filepath.Join(models.Dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func executeServed(t *testing.T, ctx context.Context, text string, w worker.Command, serve Serve) (Summary, []record.Record, *quiet) {
	t.Helper()
	r, dir := newRun(t, testPlan(t, text), w)
	r.Serve = serve
	sum := finishUntil(t, ctx, r)
	return sum, readRecords(t, dir), r.Progress.(*quiet)
}

// TestServedJobs: each model is put on the server once and taken off again, and what
// the API tells is on record, scaled where it is scaled, INVALID where it is.
func TestServedJobs(t *testing.T) {
	f := &fakeServer{}
	sum, records, q := executeServed(t, t.Context(), servedConfig, workertest.Command(t, ""), f.serve)
	if sum.ByStatus[record.StatusOK] != 8 || len(f.log) != 4 || len(records) != 8*2*3 {
		t.Fatalf("%+v, %d records, %q", sum, len(records), f.log)
	}
	for i := 0; i < 4; i += 2 {
		if !strings.HasSuffix(f.log[i], "http://127.0.0.1:9 true true") || !strings.HasPrefix(f.log[i+1], "release served-") {
			t.Errorf("%q", f.log)
		}
	}
	if !slices.Contains(q.notes, "did not go") {
		t.Errorf("what stayed on the server is not told: %q", q.notes)
	}
	for _, r := range records {
		if r.Backend == "direct" {
			if r.Verdict != nil || r.DecodeEquivMS != nil || r.OllamaProjected != nil {
				t.Errorf("%s %s: %+v", r.CellID, r.Mode, r.OllamaCall)
			}
			continue
		}
		if r.NThreadsBatchAsked != 3 || r.NThreadsBatch != nil || r.Nulls["n_threads_batch"] == "" || r.NBatch != 64 || r.FlashAttention != record.ByServer || r.KVTypeK != record.ByServer || r.BackendKind != "ollama" {
			t.Errorf("settings %+v", r.RuntimeFacts)
		}
		if spoilt := r.Mode != record.ModeDecode; spoilt != (r.Verdict != nil) {
			t.Errorf("%s: verdict %v", r.Mode, r.Verdict)
		}
		switch r.Mode {
		case record.ModeDecode:
			if *r.LatencyMS != 2**r.KVDecodeMS || *r.TokensTotal != 8 || *r.GenTokens != 4 {
				t.Errorf("decode %v ms of %v measured, %d tokens", *r.LatencyMS, *r.KVDecodeMS, *r.TokensTotal)
			}
		case record.ModeE2E:
			if *r.LatencyMS != *r.E2EEquivMS || *r.TokensTotal != *r.PromptTokensRaw+8 {
				t.Errorf("e2e %v ms, %d tokens", *r.LatencyMS, *r.TokensTotal)
			}
		}
	}
}

// TestServedWorkerDies: its model is taken off the server all the same, once, after
// the job's other cells had a worker of their own.
func TestServedWorkerDies(t *testing.T) {
	f := &fakeServer{}
	sum, _, _ := executeServed(t, t.Context(), servedConfig, workertest.Command(t, "SIGKILL@one"), f.serve)
	if sum.ByStatus[record.StatusOK] != 4 || sum.ByStatus[record.StatusCrashed] != 4 || len(f.log) != 4 {
		t.Errorf("%v %q", sum.ByStatus, f.log)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	for _, serve := range []Serve{nil, (&fakeServer{fail: record.Failf(record.StatusWaived, "no Ollama server at x")}).serve} {
		sum, records, _ := executeServed(t, t.Context(), servedConfig, workertest.Command(t, ""), serve)
		if sum.ByStatus[record.StatusWaived] != 4 || sum.ByStatus[record.StatusOK] != 4 || sum.Failed() != 0 {
			t.Errorf("%v", sum.ByStatus)
		}
		for _, r := range records {
			if r.Backend == "served" && (r.Attempted || !strings.Contains(*r.Error, "Ollama server")) {
				t.Errorf("attempted %v: %s", r.Attempted, *r.Error)
			}
		}
	}
	// Anything else that goes wrong there is an error of these cells.
	sum, _, _ := executeServed(t, t.Context(), servedConfig, workertest.Command(t, ""), (&fakeServer{fail: errors.New("no room")}).serve)
	if sum.ByStatus[record.StatusError] != 4 || sum.ByStatus[record.StatusOK] != 4 {
		t.Errorf("%v", sum.ByStatus)
	}
}

// TestInterruptedImport: Ctrl-C ends an upload that takes minutes.
func TestInterruptedImport(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	waits := func(ctx context.Context, _ protocol.OllamaSpec, _ string) (string, func() error, error) {
		stop()
		select {
		case <-ctx.Done():
			return "", nil, ctx.Err()
		case <-time.After(time.Minute):
			return "", nil, errors.New("nobody ended it")
		}
	}
	only := strings.Replace(servedConfig, "  - {name: direct, dtype: f32, threads: 1}\n", "", 1)
	sum, records, _ := executeServed(t, ctx, only, workertest.Command(t, ""), waits)
	if !sum.Interrupted || len(records) != 0 {
		t.Errorf("%+v, %d records", sum, len(records))
	}
}

// A file that changes before it is sent to the server, or on the way, is told as that; a model in several files, which
// no server takes, is refused.
func TestServedFilesAreThoseThatWereHashed(t *testing.T) {
	served := func(path string) *plan.Plan {
		t.Helper()
		p, models := ownPlan(t, path)
		for i := range p.Jobs {
			b := p.Jobs[i].Backend
			b.Kind, b.Import = config.KindOllama, true
			job, err := plan.NewJob(p.Config, p.Jobs[i].Model, b, 64, plan.Facts{Threads: 1}, protocol.Build{})
			if err != nil {
				t.Fatal(err)
			}
			job.Fits, job.Cells = true, p.Jobs[i].Cells
			p.Jobs[i] = job
		}
		if err := p.Prepare(t.Context(), models); err != nil {
			t.Fatal(err)
		}
		return p
	}
	run := func(p *plan.Plan, serve Serve) (Summary, []record.Record) {
		t.Helper()
		r, dir := newRun(t, p, workertest.Command(t, ""))
		r.Serve = serve
		return finish(t, r), readRecords(t, dir)
	}
	good := &fakeServer{}

	path := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, path, 2)
	p := served(path)
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	sum, records := run(p, good.serve)
	checkOnlyOwnFails(t, sum, records, false, path, "was truncated")

	ownFile(t, path, 2)
	p = served(path)
	onTheWay := func(ctx context.Context, spec protocol.OllamaSpec, file string) (string, func() error, error) {
		if file != path {
			return good.serve(ctx, spec, file)
		}
		if err := os.Truncate(path, 100); err != nil {
			t.Fatal(err)
		}
		return "", nil, errors.New("digest mismatch")
	}
	sum, records = run(p, onTheWay)
	checkOnlyOwnFails(t, sum, records, false, path, "was truncated")

	whole := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, whole, 2)
	parts := gguftest.SplitEvenly(t, whole, filepath.Dir(whole), 2)
	sum, records = run(served(parts[0]), good.serve)
	checkOnlyOwnFails(t, sum, records, false, parts[0], "lies in 2 files", "--merge")
}
