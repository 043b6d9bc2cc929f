package merge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/analysis/verify"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

var modelsDir string

func TestMain(m *testing.M) {
	workertest.Main()
	if os.Getenv(workertest.EnvPart) == "task" {
		if err := task(os.Getenv(workertest.EnvRun)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var err error
	if modelsDir, err = os.MkdirTemp("", "llmscale-models-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(modelsDir)
	os.Exit(code)
}

const sweep = `run_name: sharded
gen_tokens: 4
replicates: 4
repetitions: 2
warmup_repetitions: 1
seed: 7
probe: true
scenarios:
  - {name: one, prompt: "one"}
  - {name: drawn, prompt_tokens: 5}
backends:
  - {name: cpu_f32, device: cpu, dtype: f32, threads: 1}
  - {name: cpu_f16, device: cpu, dtype: f16, threads: 1}
models:
  - {name: a, source: "synth:tiny-gpt2"}
  - {name: b, source: "synth:tiny-gpt2"}
`

// host is a program whose workers are fake runtimes.
func host(t *testing.T, fault string, p runner.Progress) runner.Host {
	t.Helper()
	w := workertest.Command(t, fault)
	return hostOf(w.Path, w.Env, p)
}

func hostOf(program string, env []string, p runner.Progress) runner.Host {
	build, _ := workertest.About(false)
	return runner.Host{Worker: worker.Command{Path: program, Env: env}, Build: build, Version: map[string]any{"version": "test", "native": map[string]any{"flags": "-O3", "system_info": "AVX"}},
		Progress: p, Log: slog.New(slog.DiscardHandler)}
}

// quiet is a Progress that can end a run after some calls.
type quiet struct {
	left int // calls until end; 0: never
	end  context.CancelFunc
}

func (*quiet) Update(runner.Status) {}
func (*quiet) Note(string)          {}
func (q *quiet) Stored(string, int, int, string) {
	if q.left--; q.left == 0 {
		q.end()
	}
}

// measure measures a config, or a shard of it, into a new folder of root.
func measure(t *testing.T, root, name, text string, s plan.Shard) string {
	t.Helper()
	return measureSome(t, root, name, text, s, 0)
}

// measureSome ends after some calls.
func measureSome(t *testing.T, root, name, text string, s plan.Shard, calls int) string {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(root, "sweep.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := filepath.Join(root, name)
	r, err := runner.Start(ctx, runner.Sweep{Config: cfg, ID: name, Dir: dir, ModelsDir: modelsDir, Shard: s}, host(t, "", &quiet{calls, cancel}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Execute(ctx); err != nil {
		t.Fatal(err)
	}
	return dir
}

func resume(t *testing.T, dir string) {
	t.Helper()
	r, err := runner.Resume(t.Context(), dir, host(t, "", &quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func shards(t *testing.T, root, text, split string, of int) (dirs []string) {
	t.Helper()
	for i := 1; i <= of; i++ {
		dirs = append(dirs, measure(t, root, fmt.Sprintf("%s-%d", split, i), text, plan.Shard{Index: i, Of: of, Split: split}))
	}
	return dirs
}

// contents are the files of a folder and of those in it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func records(t *testing.T, dir string) (out []record.Record) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, store.RunsFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var r record.Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// work is what a record says of the plan, and not of times and processes.
func work(r *record.Record) string {
	data, err := json.Marshal([]any{r.TaskIdx, r.CellID, r.Replicate, r.CallIdx, r.IsWarmup, r.Mode, r.Status, r.PromptTokenIDs, r.PromptSeed, r.OutputTokenIDs, r.GenTokensRaw, r.ModelSHA256})
	if err != nil {
		panic(err)
	}
	return string(data)
}

func check(t *testing.T, dir string) {
	t.Helper()
	v, err := verify.Folder(dir, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !v.Matches || !slices.Contains(v.Recomputed, store.MetricsFile) || !slices.Contains(v.Recomputed, store.ParamsFile) {
		t.Errorf("%s: %v; recomputed %v", dir, v.Mismatches, v.Recomputed)
	}
}

// analysed is the run's analysis but for its times: which cells there are, of how many calls and processes.
func analysed(t *testing.T, dir string) []string {
	t.Helper()
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := analysis.Analyze(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{fmt.Sprintf("%+v %d", *run.Counts.Repetitions, run.Counts.Records)}
	for _, c := range a.Cells {
		out = append(out, fmt.Sprint(c.Backend, c.Model, c.Scenario, c.Mode, c.N, c.Replicates))
	}
	return out
}

// TestMergedIsOneRun: what is merged has the calls of a run of the whole plan, each once, and the same analysis but for its times;
// it is a run folder like any other; its bytes do not depend on the order of the shards.
func TestMergedIsOneRun(t *testing.T) {
	if testing.Short() {
		t.Skip("many runs; TestIncomplete merges some")
	}
	root := t.TempDir()
	whole := measure(t, root, "whole", sweep, plan.Shard{})
	var want []string
	for _, r := range records(t, whole) {
		want = append(want, work(&r))
	}
	slices.Sort(want)
	for split, of := range map[string]int{plan.SplitBlocks: 3, plan.SplitModels: 5} {
		dirs := shards(t, root, sweep, split, of)
		before := map[string]map[string]string{}
		for _, d := range dirs {
			check(t, d)
			before[d] = contents(t, d)
		}
		out := filepath.Join(root, split, "merged")
		result, err := Merge(dirs, out)
		if err != nil {
			t.Fatal(err)
		}
		if !result.Complete() || result.Records != len(want) || len(result.Notes()) != 1 {
			t.Errorf("%s: %+v", split, result)
		}
		var got []string
		orders := map[int]bool{}
		for i, r := range records(t, out) {
			got = append(got, work(&r))
			if orders[r.OrderIdx] = true; r.OrderIdx != i/len(record.Modes) {
				t.Fatalf("%s: record %d has order %d", split, i, r.OrderIdx)
			}
		}
		if split == plan.SplitBlocks { // then the shards one after another have the plan's order
			for i, r := range records(t, whole) {
				if r.CellID != records(t, out)[i].CellID {
					t.Fatalf("record %d is of %s, in one run of %s", i, records(t, out)[i].CellID, r.CellID)
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: the merged calls are not those of one run", split)
		}
		check(t, out)
		if a, b := analysed(t, out), analysed(t, whole); !slices.Equal(a, b) {
			t.Errorf("%s: the analysis differs:\n%s\n%s", split, a, b)
		}
		m, err := runner.ReadManifest(out)
		if err != nil || m.RunState != runner.StateCompleted || m.Shard != nil || m.TaskCount != 8 || m.Replicates != 4 || m.RecordsExpected != len(want) || m.CellsByStatus["ok"] != 8 || len(m.Sessions) != of {
			t.Errorf("%s: manifest %+v, %v", split, m, err)
		}
		again := filepath.Join(root, split, "again", "merged")
		slices.Reverse(dirs)
		if _, err := Merge(dirs, again); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(contents(t, out), contents(t, again)) {
			t.Errorf("%s: shards in another order give other bytes", split)
		}
		if _, err := Merge(dirs[1:], again); err != nil {
			t.Fatal(err)
		}
		if _, err := Merge(dirs, again); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(contents(t, out), contents(t, again)) {
			t.Errorf("%s: merged again it has other bytes", split)
		}
		for _, d := range dirs {
			if !maps.Equal(contents(t, d), before[d]) {
				t.Errorf("%s was changed", d)
			}
		}
		if _, err := runner.Resume(t.Context(), out, host(t, "", &quiet{})); err == nil || !strings.Contains(err.Error(), "merged of shards") {
			t.Errorf("a merged run is resumed: %v", err)
		}
	}
}

// TestIncomplete: shards that were interrupted or killed, or are not there, leave a run that says so, and that is whole once
// they were resumed.
func TestIncomplete(t *testing.T) {
	root := t.TempDir()
	of := func(i int) plan.Shard { return plan.Shard{Index: i, Of: 4, Split: plan.SplitBlocks} }
	dirs := []string{
		measureSome(t, root, "one", sweep, of(1), 7), measure(t, root, "two", sweep, of(2)), measure(t, root, "four", sweep, of(4)),
	}
	torn := filepath.Join(dirs[1], store.RunsFile)
	data, err := os.ReadFile(torn)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	cut := bytes.Join(lines[:len(lines)-5], nil) // a whole call is gone, and a part of another
	cut = append(cut, lines[len(lines)-5][:100]...)
	if err := os.WriteFile(torn, cut, 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(root, "merged")
	result, err := Merge(dirs, out)
	if err != nil {
		t.Fatal(err)
	}
	if result.Complete() || !slices.Equal(result.Missing, []int{3}) || result.Shards[0].Lacking == 0 || result.Shards[1].Lacking != 2 || result.Shards[1].Left == 0 || result.Shards[2].Lacking != 0 {
		t.Errorf("%+v", result)
	}
	if got, _ := os.ReadFile(torn); !bytes.Equal(got, cut) {
		t.Error("the torn shard was written to")
	}
	check(t, out)
	m, err := runner.ReadManifest(out)
	if err != nil || m.RunState != runner.StateIncomplete || !slices.Equal(m.Merged.Missing, []int{3}) {
		t.Errorf("%+v, %v", m.Merged, err)
	}
	run, err := runs.Load(out)
	if err != nil || run.Counts.Repetitions.Missing() == 0 || !slices.ContainsFunc(run.Warnings, func(w finding.Warning) bool {
		return w.Code == "incomplete" && strings.Contains(w.Advice, "llmscale merge")
	}) {
		t.Errorf("%+v, %v: %v", run.Counts, run.Warnings, err)
	}
	if n, err := Lacking(dirs[1]); n != 2 || err != nil {
		t.Errorf("lacking %d, %v", n, err)
	}
	resume(t, dirs[0])
	resume(t, dirs[1])
	dirs = append(dirs, measure(t, root, "three", sweep, of(3)))
	if result, err = Merge(dirs, out); err != nil || !result.Complete() {
		t.Errorf("%+v, %v", result, err)
	}
	seen := map[string]int{}
	for _, r := range records(t, out) {
		if !r.IsWarmup {
			seen[work(&r)]++
		}
	}
	for w, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d times", w, n)
		}
	}
	if len(seen) != 8*4*2*3 {
		t.Errorf("%d records of repetitions", len(seen))
	}
	check(t, out)
}

// TestFailedCells: what ran out of memory is a result and lacks nothing; what crashed is tried again.
func TestFailedCells(t *testing.T) {
	for fault, want := range map[string]int{"oom@one": 0, "error@load": 8} {
		root := t.TempDir()
		cfg, err := config.Parse("sweep.yaml", []byte(sweep))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(root, "shard")
		r, err := runner.Start(t.Context(), runner.Sweep{Config: cfg, Dir: dir, ModelsDir: modelsDir, Shard: plan.Shard{Index: 1, Of: 4, Split: plan.SplitBlocks}}, host(t, strings.Replace(fault, "error@load", "exit@load", 1), &quiet{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Execute(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if n, err := Lacking(dir); n/2 != want || err != nil {
			t.Errorf("%s: lacks %d, want %d: %v", fault, n/2, want, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	root := t.TempDir()
	one := measure(t, root, "one", sweep, plan.Shard{Index: 1, Of: 2, Split: plan.SplitBlocks})
	two := measure(t, root, "two", sweep, plan.Shard{Index: 2, Of: 2, Split: plan.SplitBlocks})
	copied := func(name, from string, change func(m map[string]any)) string {
		dir := filepath.Join(root, name)
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, store.ManifestFile))
		var m map[string]any
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		if data, err = json.Marshal(m); err == nil {
			err = os.WriteFile(filepath.Join(dir, store.ManifestFile), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	edited := func(name string, change func([]byte) []byte) string {
		dir := copied(name, two, func(map[string]any) {})
		path := filepath.Join(dir, store.RunsFile)
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(data), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	nothing := copied("nothing", two, func(map[string]any) {})
	if err := os.Remove(filepath.Join(nothing, store.RunsFile)); err != nil {
		t.Fatal(err)
	}
	whole := measure(t, root, "whole", sweep, plan.Shard{})
	empty := filepath.Join(root, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	of2 := plan.Shard{Index: 2, Of: 2, Split: plan.SplitBlocks}
	for name, c := range map[string]struct {
		other string
		want  []string
	}{
		"another seed":    {measure(t, root, "seed", strings.Replace(sweep, "seed: 7", "seed: 8", 1), of2), []string{"not of one sweep", "seeds are 7 and 8"}},
		"another config":  {measure(t, root, "config", sweep+"# changed\n", of2), []string{"their configs differ"}},
		"another plan":    {copied("plan", two, func(m map[string]any) { m["shard"].(map[string]any)["whole_plan_sha256"] = "123456789012345" }), []string{"two plans"}},
		"another build":   {copied("build", two, func(m map[string]any) { m["llmscale"].(map[string]any)["version"] = "other" }), []string{"two builds"}},
		"another program": {copied("program", two, func(m map[string]any) { m["programs"] = []any{map[string]any{"program": "x", "sha256": "y"}} }), []string{"program"}},
		"other weights":   {copied("weights", two, func(m map[string]any) { m["model_files"].([]any)[0].(map[string]any)["sha256"] = "0123456789abcdef" }), []string{"file of model", "0123456789ab"}},
		"another split":   {measure(t, root, "three", sweep, plan.Shard{Index: 2, Of: 3, Split: plan.SplitBlocks}), []string{"split into 2 by blocks, and into 3"}},
		"the same shard":  {copied("same", one, func(map[string]any) {}), []string{"overlap", "same", "both are shard 1/2"}},
		"overlapping": {copied("over", two, func(m map[string]any) {
			m["shard"].(map[string]any)["parts"].([]any)[0].(map[string]any)["replicate"] = 1
		}), []string{"overlap", "block 1"}},
		"no shard":         {whole, []string{"whole is no shard", "whole plan"}},
		"no run":           {empty, []string{"no shard", "empty"}},
		"not there":        {filepath.Join(root, "absent"), []string{"no shard", "absent"}},
		"no records":       {nothing, []string{"nothing is no shard", store.RunsFile}},
		"a broken line":    {edited("broken", func(d []byte) []byte { return bytes.Replace(d, []byte(`{"schema_version"`), []byte(`{"schema_`), 2) }), []string{"broken", store.RunsFile + ":1:", "mend"}},
		"a foreign record": {edited("foreign", func(d []byte) []byte { return bytes.Replace(d, []byte(`"replicate":3`), []byte(`"replicate":0`), 1) }), []string{"foreign", "block 0"}},
		"of another run": {edited("run", func(d []byte) []byte {
			return bytes.Replace(d, []byte(`"run_id":"plan-`), []byte(`"run_id":"plan+`), 1)
		}), []string{"a record of run"}},
		"an absent session": {edited("session", func(d []byte) []byte {
			return bytes.Replace(d, []byte(`"session_idx":0`), []byte(`"session_idx":4`), 1)
		}), []string{"session 4"}},
	} {
		for _, dirs := range [][]string{{one, c.other}, {c.other, one}} {
			out := filepath.Join(root, "out")
			_, err := Merge(dirs, out)
			if err == nil {
				t.Fatalf("%s is merged", name)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), strings.Replace(want, "7 and 8", "8 and 7", 1)) && !strings.Contains(err.Error(), strings.Replace(want, "into 2 by blocks, and into 3", "into 3 by blocks, and into 2", 1)) {
					t.Errorf("%s: %v, want %q", name, err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: more than a line: %v", name, err)
			}
			os.RemoveAll(out)
		}
	}
	if _, err := Merge([]string{one, two}, whole); err == nil || !strings.Contains(err.Error(), "a run that was measured") {
		t.Errorf("into a measured run: %v", err)
	}
	if _, err := Merge([]string{one, two}, one); err == nil {
		t.Error("into a shard")
	}
	merged := filepath.Join(root, "merged")
	if _, err := Merge([]string{one, two}, merged); err != nil {
		t.Fatal(err)
	}
	if _, err := Merge([]string{merged}, filepath.Join(root, "out")); err == nil || !strings.Contains(err.Error(), "it was merged of some") {
		t.Errorf("a merged run as a shard: %v", err)
	}
	if _, err := Merge([]string{filepath.Join(root, "seed")}, merged); err == nil || !strings.Contains(err.Error(), "another plan") {
		t.Errorf("into a run of another plan: %v", err)
	}
}

// TestMachines: a merged run knows all machines of its shards, and says where these are of several types; input that is refused
// is told from a disk that fails.
func TestMachines(t *testing.T) {
	root := t.TempDir()
	var dirs []string
	for i, node := range []string{"n1", "n1", "n2", "n3"} {
		t.Setenv("SLURMD_NODENAME", node)
		dirs = append(dirs, measure(t, root, fmt.Sprint("shard-", i+1), sweep, plan.Shard{Index: i + 1, Of: 4, Split: plan.SplitBlocks}))
	}
	out := filepath.Join(root, "merged")
	result, err := Merge(dirs, out)
	if err != nil || len(result.Machines) != 3 || len(result.Notes()) != 1 {
		t.Fatalf("%+v, %v: %v", result, result.Notes(), err)
	}
	m, err := runner.ReadManifest(out)
	if err != nil || len(m.Machines) != 3 || !slices.Contains(slices.Collect(maps.Keys(m.Machines)), *records(t, out)[0].MachineID) {
		t.Errorf("%+v, %v", m.Machines, err)
	}
	for id, machine := range m.Machines {
		if id != machine.ID() || machine.Node == "n1" || machine.CPU == "" || machine.Cores < 1 || machine.MemoryGiB <= 0 || record.MachineType(id) != record.MachineType(*records(t, out)[0].MachineID) {
			t.Errorf("%s: %+v", id, machine)
		}
	}
	set, err := cells.New(must(runs.Load(out)), cells.Options{Bootstrap: -1})
	if err != nil || len(set.Machines) != 3 || slices.Contains(set.Backends(), "cpu_f32@") {
		t.Errorf("%+v, %v", set.Machines, err)
	}
	// The fourth shard from a machine of another type.
	was := m.Machines[*records(t, dirs[3])[0].MachineID]
	now := was
	now.CPU = "AMD EPYC 9575F 64-Core Processor"
	for _, file := range []string{store.ManifestFile, store.RunsFile} {
		path := filepath.Join(dirs[3], file)
		data, err := os.ReadFile(path)
		if err == nil {
			data = bytes.ReplaceAll(data, []byte(was.ID()), []byte(now.ID()))
			err = os.WriteFile(path, bytes.ReplaceAll(data, []byte(was.CPU), []byte(now.CPU)), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	result, err = Merge(dirs, out)
	if err != nil || len(result.Notes()) != 2 || !strings.HasPrefix(result.Notes()[0], "measured on 2 types of machine: ") || !strings.Contains(result.Notes()[0], now.CPU) {
		t.Errorf("%v, %v", result.Notes(), err)
	}
	if set, err = cells.New(must(runs.Load(out)), cells.Options{Bootstrap: -1}); err != nil || !slices.Contains(set.Backends(), "cpu_f32@EPYC-9575F") || len(set.Backends()) != 4 {
		t.Errorf("%v, %v", set.Backends(), err)
	}
	check(t, out)
	var input *runner.InputError
	if _, err := Merge([]string{root}, out); !errors.As(err, &input) {
		t.Errorf("a folder that is no shard: %v", err)
	}
	if _, err := Merge(dirs, filepath.Join(dirs[0], store.RunsFile, "out")); !errors.As(err, &input) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Merge(dirs, "/proc/llmscale"); err == nil {
		t.Error("into /proc")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWithoutShard(t *testing.T) {
	for in, want := range map[string]string{
		"llmscale run --config f --shard 1/2 --out d":         "llmscale run --config f",
		"llmscale run --shard=slurm --split models -config f": "llmscale run -config f",
		"llmscale run --config f --seed 3":                    "llmscale run --config f --seed 3",
	} {
		if got := strings.Join(withoutShard(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
