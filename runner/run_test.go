package runner

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/analysis/canary"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

// checkComplete holds the records against the plan: every call of every cell
// once, in all modes, and nothing else.
func checkComplete(t *testing.T, p *plan.Plan, records []record.Record) {
	t.Helper()
	type key struct {
		task, replicate, rep int
		mode                 string
	}
	have := map[key]int{}
	for _, r := range records {
		want := map[string]int{"two": 6}[r.Scenario] // which has its own gen_tokens
		if want == 0 {
			want = p.Config.GenTokens
		}
		if r.GenTokensTarget != want || r.GenTokensRaw != nil && *r.GenTokensRaw != want {
			t.Errorf("%s: %d tokens asked for and %v decoded, want %d", r.CellID, r.GenTokensTarget, r.GenTokensRaw, want)
		}
		if r.Status == record.StatusOK && r.Rep != nil {
			have[key{r.TaskIdx, r.Replicate, *r.Rep, r.Mode}]++
		}
	}
	want := 0
	for i := range p.Jobs {
		for _, c := range p.Jobs[i].Cells {
			for k := range len(p.Blocks) * p.Config.Repetitions {
				replicate, rep := k/p.Config.Repetitions, k%p.Config.Repetitions
				if !p.Has(plan.Turn{Task: c.TaskIdx, Replicate: replicate}) {
					continue
				}
				for _, mode := range record.Modes {
					want++
					if n := have[key{c.TaskIdx, replicate, rep, mode}]; n != 1 {
						t.Errorf("%s replicate %d repetition %d %s is on record %d times, want once", p.Jobs[i].ID(c), replicate, rep, mode, n)
					}
				}
			}
		}
	}
	if len(have) != want {
		t.Errorf("%d measured rows, want %d", len(have), want)
	}
}

func TestRunMeasuresEverything(t *testing.T) {
	p := testPlan(t, testConfig)
	dir, sum, records, q := execute(t, p, workertest.Command(t, ""))
	if sum.ByStatus[record.StatusOK] != 12 || sum.Failed() != 0 || sum.Interrupted {
		t.Errorf("summary %+v", sum)
	}
	if len(records) != p.RecordsExpected() || sum.Records != len(records) {
		t.Errorf("%d records, summary says %d, the plan %d", len(records), sum.Records, p.RecordsExpected())
	}
	checkComplete(t, p, records)
	if len(q.stored) != len(records)/len(record.Modes) {
		t.Errorf("%d calls acknowledged, %d on record", len(q.stored), len(records)/len(record.Modes))
	}
	loads := 0
	for i, r := range records {
		if r.OrderIdx != i/3 || r.Mode != record.Modes[i%3] {
			t.Fatalf("record %d is call %d, mode %s", i, r.OrderIdx, r.Mode)
		}
		var want float64
		switch r.Mode {
		case record.ModePrefill:
			want = *r.PrefillMS
		case record.ModeDecode:
			want = *r.KVDecodeMS
		case record.ModeE2E:
			want = *r.E2EKVMS
		}
		if *r.LatencyMS != want || *r.TokensPerS != float64(*r.TokensTotal)/(want/1e3) {
			t.Errorf("record %d: %s: latency %v ms, %v tokens/s of %d tokens", i, r.Mode, *r.LatencyMS, *r.TokensPerS, *r.TokensTotal)
		}
		if r.CUDAEventMS != nil || r.Nulls["cuda_event_ms"] == "" {
			t.Errorf("record %d: device time on the CPU is %v, reason %q", i, r.CUDAEventMS, r.Nulls["cuda_event_ms"])
		}
		if r.IsWarmup == (r.Rep != nil) || r.IsWarmup != (r.WarmupIdx != nil) {
			t.Errorf("record %d: warm-up %v, rep %v, warmup_idx %v", i, r.IsWarmup, r.Rep, r.WarmupIdx)
		}
		if r.ModelLoadMS != nil {
			loads++
		}
		if r.ParamsTotal != 102_714 || r.ModelSHA256 == nil || r.NLayer != 2 {
			t.Errorf("record %d: model facts %+v", i, r.ModelFacts)
		}
		if (r.Scenario == "drawn") == (r.Prompt != nil) {
			t.Errorf("record %d: scenario %s, prompt %v", i, r.Scenario, r.Prompt)
		}
	}
	if loads != 4*len(record.Modes) {
		t.Errorf("%d rows carry a load time, want those of the first call of 4 workers", loads)
	}

	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.RunState != StateCompleted || m.TaskCount != 12 {
		t.Errorf("manifest: state %v, tasks %v", m.RunState, m.TaskCount)
	}
	rows := readCSV(t, filepath.Join(dir, store.MetricsFile))
	if len(rows) != len(records)+1 || len(rows[0]) != len(record.Fields()) {
		t.Errorf("metrics.csv has %d rows of %d columns", len(rows), len(rows[0]))
	}
	if rows := readCSV(t, filepath.Join(dir, store.LoadsFile)); len(rows) != 5 {
		t.Errorf("%s has %d rows, want a header and 4 loads", store.LoadsFile, len(rows))
	}
	if rows := readCSV(t, filepath.Join(dir, store.ParamsFile)); len(rows) != 5 || rows[1][3] != "0.102714" {
		t.Errorf("%s: %v", store.ParamsFile, rows)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestSameSeedSameIDs holds two runs of one seed together, and another seed apart.
func TestSameSeedSameIDs(t *testing.T) {
	ids := func(seed string) map[string][]int32 {
		p := testPlan(t, strings.Replace(testConfig, "seed: 7", "seed: "+seed, 1))
		_, _, records, _ := execute(t, p, workertest.Command(t, ""))
		out := map[string][]int32{}
		for _, r := range records {
			out[fmt.Sprintf("%s %d", r.CellID, r.CallIdx)] = r.PromptTokenIDs
		}
		return out
	}
	a, b, c := ids("7"), ids("7"), ids("8")
	differ := false
	for k := range a {
		if !slices.Equal(a[k], b[k]) {
			t.Errorf("%s: %v and %v with the same seed", k, a[k], b[k])
		}
		differ = differ || !slices.Equal(a[k], c[k])
	}
	if !differ {
		t.Error("another seed draws the same prompts")
	}
	if slices.Equal(a["a/cpu_f32/drawn 1"], a["a/cpu_f32/drawn 2"]) {
		t.Error("two repetitions have the same drawn prompt")
	}
	if !slices.Equal(a["a/cpu_f32/drawn 1"], a["b/cpu_f16/drawn 1"]) {
		t.Error("two models have different drawn prompts for the same call")
	}
}

func TestPlanIsShuffledAndRepeatable(t *testing.T) {
	p, again := testPlan(t, testConfig), testPlan(t, testConfig)
	other := testPlan(t, strings.Replace(testConfig, "seed: 7", "seed: 9", 1))
	if p.SHA256() != again.SHA256() {
		t.Error("the same config plans differently")
	}
	if p.SHA256() == other.SHA256() {
		t.Error("another seed has the same plan")
	}
	blocks := testPlan(t, strings.Replace(testConfig, "replicates: 1", "replicates: 3", 1)).Blocks
	var orders [][]int
	for _, b := range append([]plan.Block{p.Blocks[0]}, blocks...) {
		var tasks []int
		for _, v := range b {
			for _, c := range v.Cells {
				tasks = append(tasks, c.TaskIdx)
			}
		}
		if slices.IsSorted(tasks) {
			t.Errorf("the order %v is the config's", tasks)
		}
		orders = append(orders, tasks)
	}
	if !slices.Equal(orders[0], orders[1]) {
		t.Error("more blocks change the order of the first")
	}
	if slices.Equal(orders[1], orders[2]) || slices.Equal(orders[2], orders[3]) {
		t.Error("two blocks have one order")
	}
}

// TestFailures runs each way in which a worker can fail: it must cost its cells
// alone, and say why.
func TestFailures(t *testing.T) {
	type want struct {
		status, signal, reason string
		cells                  int // that fail; of 12
	}
	for fault, w := range map[string]want{
		"SIGSEGV@two":                 {record.StatusCrashed, "SIGSEGV", "ended by SIGSEGV", 4},
		"SIGABRT@two:4":               {record.StatusCrashed, "SIGABRT", "ended by SIGABRT", -1}, // depends on the order of scenarios
		"SIGKILL@one":                 {record.StatusCrashed, "SIGKILL", "ended by SIGKILL", 4},
		"exit@one":                    {record.StatusCrashed, "", "exited with code 7", 4},
		"error@5":                     {record.StatusError, "", "fake: error", 4},
		"CUDA error: out of memory@5": {record.StatusOOM, "SIGABRT", "the GPU's memory is full", 4},
		// What cuBLAS says of CUBLAS_STATUS_ALLOC_FAILED, and of CUBLAS_STATUS_INTERNAL_ERROR.
		"CUDA error: the resource allocation failed@5": {record.StatusOOM, "SIGABRT", "the GPU's memory is full", 4},
		"CUDA error: an internal operation failed@5":   {record.StatusCrashed, "SIGABRT", "ended by SIGABRT", 4},
		"oom@5":        {record.StatusOOM, "", "did not fit", 4},
		"SIGSEGV@load": {record.StatusCrashed, "SIGSEGV", "ended by SIGSEGV", 12},
		"error@load":   {record.StatusError, "", "fake: error", 12},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			p := testPlan(t, testConfig)
			_, sum, records, q := execute(t, p, workertest.Command(t, fault))
			if w.cells >= 0 && sum.Failed() != w.cells {
				t.Errorf("%d cells failed (%v), want %d", sum.Failed(), sum.ByStatus, w.cells)
			}
			if sum.ByStatus[record.StatusOK]+sum.Failed() != 12 {
				t.Errorf("%v cells in all, want 12", sum.ByStatus)
			}
			failed := map[string]int{}
			for _, r := range records {
				if r.Status == record.StatusOK {
					continue
				}
				failed[r.CellID]++
				if r.Status != w.status || r.Error == nil || !strings.Contains(*r.Error, w.reason) {
					t.Fatalf("%s: %s, %v, want %s and %q", r.CellID, r.Status, r.Error, w.status, w.reason)
				}
				if w.signal != "" && (r.Signal == nil || *r.Signal != w.signal) {
					t.Errorf("%s: signal %v, want %s", r.CellID, r.Signal, w.signal)
				}
				// What a living worker has just printed may still be in its pipe.
				if dead := r.Signal != nil || r.ExitCode != nil; dead && len(r.Stderr) == 0 || len(r.Stderr) > 0 && !strings.HasPrefix(r.Stderr[len(r.Stderr)-1], "fake runtime: about to fail") {
					t.Errorf("%s: the worker's stderr is %q", r.CellID, r.Stderr)
				}
				if r.LatencyMS != nil {
					t.Errorf("%s: a failed call has a latency of %v ms", r.CellID, *r.LatencyMS)
				}
			}
			for cell, rows := range failed {
				if rows != len(record.Modes) {
					t.Errorf("%s has %d failed rows, want one per mode", cell, rows)
				}
			}
			if len(failed) != sum.Failed() || len(q.failures()) != len(failed) {
				t.Errorf("%d cells failed on record, %d in the summary, %d were noted", len(failed), sum.Failed(), len(q.failures()))
			}
		})
	}
}

// TestDeviceRecords follows what a GPU gives from the backend to the record.
func TestDeviceRecords(t *testing.T) {
	p := testPlan(t, strings.Replace(testConfig, "{name: cpu_f16, kind: native, device: cpu,", "{name: gpu, kind: native, device: cuda, n_gpu_layers: fit, vram_limit_gib: 8,", 1))
	dir, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	if sum.ByStatus[record.StatusOK] != 12 {
		t.Fatalf("%v", sum.ByStatus)
	}
	data, err := os.ReadFile(filepath.Join(dir, store.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		GPUs map[string]protocol.GPU `json:"gpus"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	if g := manifest.GPUs["GPU-fake"]; len(manifest.GPUs) != 1 || g.Name != "Fake 100" || g.Facts["driver_version"] != "1.2" {
		t.Errorf("the manifest's gpus are %v", manifest.GPUs)
	}
	for _, r := range records {
		if r.Device == config.DeviceCPU {
			if r.CUDAEventMS != nil || r.HostGapMS != nil || r.PowerMeanW != nil || r.CUDAGraphs != nil || r.GPUName != nil || r.Verdict != nil || r.Nulls["host_gap_ms"] == "" {
				t.Fatalf("%s has figures of a GPU: %+v", r.CellID, r)
			}
			continue
		}
		if r.NGPULayers != 3 || !*r.CUDAGraphs || *r.VRAMLimitGiB != 8 || *r.GPUName != "Fake 100" {
			t.Fatalf("%s: %d layers, graphs %v, limit %v, on %v", r.CellID, r.NGPULayers, *r.CUDAGraphs, r.VRAMLimitGiB, r.GPUName)
		}
		if gap := *r.LatencyMS - *r.CUDAEventMS; *r.HostGapMS != gap || gap != 0.25 {
			t.Errorf("%s %s: host gap %v ms of %v by the host and %v by the device", r.CellID, r.Mode, *r.HostGapMS, *r.LatencyMS, *r.CUDAEventMS)
		}
		if want := map[string]float64{record.ModePrefill: 100, record.ModeDecode: 200, record.ModeE2E: 300}[r.Mode]; *r.PowerMeanW != want {
			t.Errorf("%s %s has %v W, its window says %v", r.CellID, r.Mode, *r.PowerMeanW, want)
		}
		if *r.Verdict != record.VerdictInvalid || !slices.Equal(r.VerdictReasons, []string{"another program uses the GPU: python"}) || r.Nulls["energy_j"] != "too short for "+r.Mode || r.Nulls["token_device_ns"] != "not asked for" {
			t.Errorf("%s: verdict %v, %q, nulls %v", r.CellID, *r.Verdict, r.VerdictReasons, r.Nulls)
		}
	}
}

func TestSilentWorkersAreKilled(t *testing.T) {
	for _, fault := range []string{"hang@two", "garbage@two", "hang@load"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			p := testPlan(t, strings.Replace(testConfig, "cell_timeout_s: 20", "cell_timeout_s: 1", 1))
			started := time.Now()
			_, sum, records, _ := execute(t, p, workertest.Command(t, fault))
			if sum.Failed() == 0 || sum.ByStatus[record.StatusOK]+sum.Failed() != 12 {
				t.Errorf("summary %+v", sum)
			}
			for _, r := range records {
				if r.Status != record.StatusOK && r.Status != record.StatusTimeout && !(fault == "garbage@two" && r.Status == record.StatusCrashed) {
					t.Errorf("%s: status %s", r.CellID, r.Status)
				}
			}
			if took := time.Since(started); took > 2*time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestTooLarge refuses a model that does not fit without trying it.
func TestTooLarge(t *testing.T) {
	p := testPlan(t, testConfig)
	for i := range p.Jobs {
		if p.Jobs[i].Model.Name == "a" {
			p.Jobs[i].Memory.Resident, p.Jobs[i].Fits = 1<<50, false
		}
	}
	_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	if sum.ByStatus[record.StatusOOM] != 6 || sum.ByStatus[record.StatusOK] != 6 {
		t.Errorf("%v", sum.ByStatus)
	}
	for _, r := range records {
		if r.Model == "a" && (r.Status != record.StatusOOM || !strings.Contains(*r.Error, "needs 1 PiB")) {
			t.Errorf("%s: %s: %v", r.CellID, r.Status, *r.Error)
		}
	}
}

// TestWorkerThatBreaksTheProtocol costs its own cell: the next one must not be
// sent to the dead worker.
func TestWorkerThatBreaksTheProtocol(t *testing.T) {
	p := testPlan(t, testConfig)
	_, sum, records, _ := execute(t, p, workertest.Command(t, "garbage@two"))
	if sum.ByStatus[record.StatusCrashed] != 4 || sum.ByStatus[record.StatusOK] != 8 {
		t.Errorf("%v, want the four cells of scenario two crashed and the others ok", sum.ByStatus)
	}
	for _, r := range records {
		if r.Status != record.StatusOK && r.Scenario != "two" {
			t.Errorf("%s: %s: %s", r.CellID, r.Status, *r.Error)
		}
	}
}

// TestTooLongForTheModel refuses a sequence that GPT-2 has no positions for.
func TestTooLongForTheModel(t *testing.T) {
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "test.yaml"), []byte(strings.Replace(testConfig, "prompt_tokens: 5", "prompt_tokens: 1021", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPlan(cfg, testModels(), &worker.Programs{}); err == nil || !strings.Contains(err.Error(), "1024 positions") {
		t.Errorf("%v, want a refusal that names the positions", err)
	}
}

func TestResumableOnlyByTheSameBuild(t *testing.T) {
	p := testPlan(t, testConfig)
	made, err := newManifest(&store.Folder{}, "test", p, Overrides{}, "models", map[string]string{"commit": "a"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var manifest Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	same := map[string]string{"commit": "a"}
	if err := manifest.resumable(p, same); err != nil {
		t.Error(err)
	}
	if err := manifest.resumable(p, map[string]string{"commit": "b"}); err == nil || !strings.Contains(err.Error(), "another build") {
		t.Errorf("another build: %v", err)
	}
	threads := testPlan(t, strings.Replace(testConfig, "threads: 1", "threads: 3", 1))
	if err := manifest.resumable(threads, same); err == nil {
		t.Error("other threads are accepted")
	}
	if err := manifest.sameContents(p); err != nil {
		t.Error(err)
	}
	p.Jobs[0].Model.SHA256 = "other"
	if err := manifest.sameContents(p); err == nil || !strings.Contains(err.Error(), "content") {
		t.Errorf("a changed file: %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	p := testPlan(t, testConfig)
	ctx, stop := context.WithCancel(t.Context())
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Progress = &stopAfter{n: 7, stop: stop}
	sum := finishUntil(t, ctx, r)
	if !sum.Interrupted || sum.Records != 7*len(record.Modes) {
		t.Errorf("%+v, want 7 calls kept and Interrupted", sum)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.RunState != StateInterrupted {
		t.Errorf("state %v", m.RunState)
	}
	if rows := readCSV(t, filepath.Join(dir, store.MetricsFile)); len(rows) != 1+sum.Records {
		t.Errorf("metrics.csv has %d rows", len(rows))
	}
}

// stopAfter interrupts the run after n calls.
type stopAfter struct {
	quiet
	n    int
	stop context.CancelFunc
}

func (s *stopAfter) Stored(cell string, replicate, call int, status string) {
	if s.n--; s.n == 0 {
		s.stop()
	}
}

// TestKeptCallsAreCounted interrupts a run again and again: each time the calls that are told as kept are those that
// the disk has, each once, over all sessions; failed ones and warm-ups that a resumed cell repeats add nothing.
func TestKeptCallsAreCounted(t *testing.T) {
	p := testPlan(t, testConfig)
	worker := workertest.Command(t, "exit@two:3") // of each worker's calls of that scenario, the third
	r, dir := newRun(t, p, worker)
	for session := 0; ; session++ {
		ctx, stop := context.WithCancel(t.Context())
		r.Progress = &stopAfter{n: 5, stop: stop}
		sum := finishUntil(t, ctx, r)
		onDisk := map[[2]int]bool{}
		for _, x := range readRecords(t, dir) {
			if x.Status == record.StatusOK {
				onDisk[[2]int{x.TaskIdx, x.CallIdx}] = true
			}
		}
		if sum.Kept != len(onDisk) || sum.Calls != 48 || sum.Kept > sum.Calls {
			t.Errorf("session %d: %d of %d calls are told as kept, %d are on the disk", session, sum.Kept, sum.Calls, len(onDisk))
		}
		if !sum.Interrupted {
			if session < 5 || sum.Failed() == 0 || sum.Kept == sum.Calls {
				t.Errorf("the test is too weak: %+v after %d sessions", sum, session)
			}
			return
		}
		r = resumeRun(t, p, dir, worker)
	}
}

// TestBlocks: each block has a process of its own for every pair; a crash costs one block's cell, what would
// happen again is on record once.
func TestBlocks(t *testing.T) {
	text := strings.Replace(testConfig, "replicates: 1", "replicates: 3", 1)
	p := testPlan(t, text)
	_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	if len(records) != p.RecordsExpected() || sum.Calls != p.CallCount() || sum.Kept != sum.Calls || sum.ByStatus[record.StatusOK] != p.Cells {
		t.Fatalf("%d records, %+v", len(records), sum)
	}
	checkComplete(t, p, records)
	loads, seeds := map[[2]string]int{}, map[string]bool{}
	order := -1
	block := 0
	for i := range records {
		r := &records[i]
		if r.OrderIdx < order || r.Replicate < block {
			t.Fatalf("call %d of block %d follows call %d of block %d", r.OrderIdx, r.Replicate, order, block)
		}
		order, block = r.OrderIdx, r.Replicate
		if r.Mode == record.ModePrefill && r.ModelLoadMS != nil {
			loads[[2]string{r.Model, r.Backend}]++
		}
		if r.Mode == record.ModePrefill && r.PromptSeed != nil {
			key := fmt.Sprint(r.CellID, " ", *r.PromptSeed)
			if seeds[key] {
				t.Errorf("%s: a prompt was drawn twice", key)
			}
			seeds[key] = true
		}
	}
	for pair, n := range loads {
		if n != 3 {
			t.Errorf("%s was loaded %d times, want once in each block", pair, n)
		}
	}
	if len(loads) != len(p.Jobs) {
		t.Errorf("%d pairs were loaded, want %d", len(loads), len(p.Jobs))
	}

	faults := map[string]int{"SIGSEGV@two": 3, "oom@two": 1, "error@two": 1}
	if testing.Short() { // under the race detector each process takes seconds to start
		delete(faults, "error@two")
		delete(faults, "SIGSEGV@two")
	}
	for fault, want := range faults {
		p := testPlan(t, text)
		_, sum, records, _ := execute(t, p, workertest.Command(t, fault))
		failures := map[string]int{}
		for i := range records {
			if r := &records[i]; !r.OK() && r.Mode == record.ModePrefill {
				failures[r.CellID]++
			}
		}
		cells := 0
		for id, n := range failures {
			cells++
			if n != want {
				t.Errorf("%s: %s failed %d times, want %d", fault, id, n, want)
			}
		}
		if cells == 0 || sum.ByStatus[record.StatusOK] != p.Cells-cells {
			t.Errorf("%s: %d cells failed, %+v", fault, cells, sum)
		}
	}
}

// TestTargetCI: blocks are added up to the target, or until the time is over; a resumed run goes on with them.
func TestTargetCI(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred processes")
	}
	with := func(target, budget string) string {
		return strings.Replace(testConfig, "replicates: 1", "replicates: 2\ntarget_ci: "+target+"\ntime_budget_min: "+budget, 1)
	}
	p := testPlan(t, with("1", "60"))
	dir, _, records, _ := execute(t, p, workertest.Command(t, ""))
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := records[len(records)-1].Replicate + 1; blocks != 6 || m.Replicates != 6 || m.StoppedBy != record.StoppedByTarget {
		t.Errorf("a target of 100 %%: %d blocks, the manifest says %d, stopped by %q", blocks, m.Replicates, m.StoppedBy)
	}

	p = testPlan(t, with("1e-9", "0.02"))
	planned := p.SHA256()
	dir, _, records, _ = execute(t, p, workertest.Command(t, ""))
	if m, err = ReadManifest(dir); err != nil {
		t.Fatal(err)
	}
	blocks := records[len(records)-1].Replicate + 1
	if blocks < 6 || m.Replicates != blocks || m.StoppedBy != record.StoppedByBudget || m.PlanSHA256 != planned {
		t.Errorf("a target out of reach: %d blocks, the manifest says %d, stopped by %q", blocks, m.Replicates, m.StoppedBy)
	}
	if len(records) != m.RecordsExpected {
		t.Errorf("%d records, the manifest expects %d", len(records), m.RecordsExpected)
	}

	again := testPlan(t, with("1", "60"))
	r := &Run{Plan: again, Previous: records, Manifest: m, outcome: map[plan.Turn]string{}}
	r.note(r.Previous)
	if w := r.scatter.widest(canary.Levels{}, nil); w <= 0 || math.IsNaN(w) {
		t.Errorf("widest interval %v", w)
	}
}
