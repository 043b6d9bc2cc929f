package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// programConfig is testConfig under this program and two others, named by a list, in dir.
func programConfig(t *testing.T, dir string) *config.Config {
	t.Helper()
	text := strings.Replace(testConfig, "  - {name: cpu_f16,", "  - {name: x, dtype: f32, threads: 1, program: [self, bin/one, bin/two]}\n  - {name: cpu_f16,", 1)
	cfg, err := config.Parse(filepath.Join(dir, "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// twoPrograms are in a folder with programConfig.
func twoPrograms(t *testing.T) (dir string, p *plan.Plan) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	workertest.WriteProgram(t, filepath.Join(dir, "bin/one"), "-O1")
	workertest.WriteProgram(t, filepath.Join(dir, "bin/two"), "-O2")
	return dir, planned(t, programConfig(t, dir))
}

// What a program says of itself is on each record of its workers, those of failures included; jobs that differ in the
// program alone follow one another.
func TestSeveralPrograms(t *testing.T) {
	dir, _ := twoPrograms(t)
	workertest.WriteProgram(t, filepath.Join(dir, "bin/two"), "-O2", "export "+workertest.EnvFault+"=SIGSEGV@two")
	p := planned(t, programConfig(t, dir))
	runDir, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	if sum.ByStatus[record.StatusOK] != 28 || sum.ByStatus[record.StatusCrashed] != 2 {
		t.Errorf("%v, want 28 cells ok and scenario two of bin/two crashed", sum.ByStatus)
	}
	want := map[string][2]string{"cpu_f32": {"", ""}, "cpu_f16": {"", ""}, "x_self": {"", ""}, "x_one": {"bin/one", "-O1"}, "x_two": {"bin/two", "-O2"}}
	for _, r := range records {
		if w := want[r.Backend]; r.Program != w[0] || r.BuildFlags != w[1] || r.LlamaCommit != "fake" || r.LlamaSource != "checkout" || r.BuildCompiler != "cc" || r.CPUFeatures != "NONE = 1" {
			t.Fatalf("%s (%s): program %q, flags %q, %s %s %s %s", r.CellID, r.Status, r.Program, r.BuildFlags, r.LlamaCommit, r.LlamaSource, r.BuildCompiler, r.CPUFeatures)
		}
		if crashed := r.Status == record.StatusCrashed; crashed != (r.Backend == "x_two" && r.Scenario == "two") {
			t.Errorf("%s: %s", r.CellID, r.Status)
		}
	}
	for model, at := range jobsOf(p.Blocks[0], "x_self", "x_one", "x_two") {
		// cpu_f32 does the same work by the same program as x_self.
		if slices.Max(at)-slices.Min(at) > 3 {
			t.Errorf("%s: the jobs of its programs are at %d", model, at)
		}
	}
	m, err := ReadManifest(runDir)
	if err != nil {
		t.Fatal(err)
	}
	entries := m.Programs
	if len(entries) != 2 || entries[1].Program != "bin/two" || entries[1].Path != filepath.Join(dir, "bin/two") ||
		len(entries[1].SHA256) != 64 || entries[1].Build.Flags != "-O2" {
		t.Errorf("the manifest has the programs %+v", entries)
	}
}

// jobsOf are the positions of backends' jobs in a block by model.
func jobsOf(b plan.Block, backends ...string) map[string][]int {
	out := map[string][]int{}
	for i, v := range b {
		if j := v.Job; slices.Contains(backends, j.Backend.Name) {
			out[j.Model.Name] = append(out[j.Model.Name], i)
		}
	}
	return out
}

// The order within neighbours is drawn: no program is always first.
func TestProgramsTakeTurns(t *testing.T) {
	dir, _ := twoPrograms(t)
	first := map[string]int{}
	for seed := range 8 {
		cfg := programConfig(t, dir)
		cfg.Seed = int64(seed)
		p := planned(t, cfg)
		for _, b := range p.Blocks {
			for model, at := range jobsOf(b, "cpu_f32", "x_self", "x_one", "x_two") {
				if len(at) != 4 || at[3]-at[0] != 3 {
					t.Fatalf("%s: jobs at %d", model, at)
				}
				first[b[at[0]].Job.Backend.Name]++
			}
		}
	}
	if len(first) != 4 {
		t.Errorf("first of 16 times: %v, want each of four now and then", first)
	}
}

// A file with the same content may take a program's place; another program may not, neither in the middle of a run nor
// between two sessions. What it cost is measured once the old one is back.
func TestProgramThatChanged(t *testing.T) {
	for name, change := range map[string]struct {
		how  func(path string) error
		want string // of the cells of bin/two; "" they are measured
	}{
		"same": {func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path+".new", data, 0o777); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, ""},
		"replaced": {func(path string) error {
			workertest.WriteProgram(t, path+".new", "-O3")
			return os.Rename(path+".new", path)
		}, "bin/two was replaced: another file of"},
		"gone": {os.Remove, "bin/two is gone or cannot be read any more, after the plan asked it what it is"},
		"starts another": {func(path string) error {
			return os.WriteFile(path+".flags", []byte("export "+workertest.EnvBuild+"=-O9\n"), 0o666)
		}, "bin/two is another build than the plan asked: now llama.cpp fake (checkout), cc, -O9, then llama.cpp fake (checkout), cc, -O2; start a new run"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := twoPrograms(t)
			two := filepath.Join(dir, "bin/two")
			workertest.WriteProgram(t, two, "-O2", "if [ -e '"+two+".flags' ]; then . '"+two+".flags'; fi")
			p := planned(t, programConfig(t, dir))
			was, err := os.ReadFile(two)
			if err != nil {
				t.Fatal(err)
			}
			r, runDir := newRun(t, p, workertest.Command(t, ""))
			if err := change.how(two); err != nil {
				t.Fatal(err)
			}
			sum := finish(t, r)
			if failed := map[bool]int{true: 6}[change.want != ""]; sum.Failed() != failed {
				t.Errorf("%v, want %d failed", sum.ByStatus, failed)
			}
			for _, rec := range readRecords(t, runDir) {
				if rec.Status != record.StatusOK && (rec.Status != record.StatusError || rec.Backend != "x_two" || !strings.Contains(*rec.Error, change.want)) {
					t.Fatalf("%s: %s: %s", rec.CellID, rec.Status, *rec.Error)
				}
			}
			m, err := ReadManifest(runDir)
			if err != nil {
				t.Fatal(err)
			}
			if name == "replaced" || name == "starts another" {
				err := m.resumable(planned(t, programConfig(t, dir)), nil)
				if err == nil || !strings.Contains(err.Error(), "its program "+two) || !strings.Contains(err.Error(), "put that one back, or start a new run") {
					t.Errorf("resumed with another: %v", err)
				}
			}
			os.Remove(two + ".flags")
			if err := os.WriteFile(two, was, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(two, 0o777); err != nil {
				t.Fatal(err)
			}
			q := planned(t, programConfig(t, dir))
			if err := m.resumable(q, nil); err != nil {
				t.Fatal(err)
			}
			if sum := finish(t, resumeRun(t, q, runDir, workertest.Command(t, ""))); sum.Failed() > 0 || sum.ByStatus[record.StatusOK] != 30 {
				t.Errorf("resumed: %v", sum.ByStatus)
			}
			checkComplete(t, q, readRecords(t, runDir))
		})
	}
}

// Lists must not call one program by two names; a device that a program lacks waives its own cells alone.
func TestProgramsOfAPlan(t *testing.T) {
	dir, _ := twoPrograms(t)
	workertest.WriteProgram(t, filepath.Join(dir, "bin/one"), "-O2")
	cfg := programConfig(t, dir)
	if _, err := newPlan(cfg, testModels(), testPrograms(t)); err == nil || !strings.Contains(err.Error(),
		"x_one and x_two would do the same work: program bin/one and bin/two are one program: their files are equal; take one of the two out of its list") {
		t.Errorf("equal programs: %v", err)
	}
	workertest.WriteProgram(t, filepath.Join(dir, "bin/one"), "-O1", "export "+workertest.EnvNoGPU+"='no cuda in it'")
	text := strings.Replace(testConfig, "{name: cpu_f16, kind: native, device: cpu,", "{name: gpu, device: cuda, program: [self, bin/one, bin/two],", 1)
	cfg, err := config.Parse(filepath.Join(dir, "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := planned(t, cfg)
	p.Waive(config.DeviceCUDA, os.ErrNotExist)
	for i := range p.Jobs {
		j := &p.Jobs[i]
		want := map[string]string{"gpu_self": "device cuda: file does not exist", "gpu_one": "device cuda: " + dir + "/bin/one: no cuda in it"}[j.Backend.Name]
		if j.Waived != want {
			t.Errorf("%s: waived %q, want %q", j.Pair(), j.Waived, want)
		}
	}
	r := &Run{Plan: p, outcome: map[plan.Turn]string{}}
	for _, spec := range r.Plan.ProbeSpecs(r.pending) {
		prog := r.prober(spec).Program
		if gpu := spec.Device == config.DeviceCUDA; gpu != (prog != nil) || gpu && prog.Path != filepath.Join(dir, "bin/two") {
			t.Errorf("%s is probed by %+v", spec, prog)
		}
	}
}

// Memory is counted as the job's own program takes it, whatever the coordinator is.
func TestMemoryIsTheProgramsOwn(t *testing.T) {
	dir, _ := twoPrograms(t)
	workertest.WriteProgram(t, filepath.Join(dir, "bin/one"), "-O1", "export "+workertest.EnvSource+"=ollama", "export "+workertest.EnvFeatures+"='AVX2 = 1 | REPACK = 1'")
	workertest.WriteProgram(t, filepath.Join(dir, "bin/two"), "-O1", "export "+workertest.EnvFeatures+"='AMX_INT8 = 1'")
	text := strings.Replace(testConfig, "{name: cpu_f16, kind: native, device: cpu, dtype: f16,", "{name: x, dtype: q4_0, program: [self, bin/one, bin/two],", 1)
	text = strings.ReplaceAll(text, "synth:tiny-gpt2", "ladder:llama/5m")
	cfg, err := config.Parse(filepath.Join(dir, "test.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(cfg, testModels(), testPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i := range p.Jobs {
		j := &p.Jobs[i]
		o := ledger.MemoryOptions{Context: int64(j.Load.NCtx), Batch: int64(j.Load.NBatch), UBatch: int64(j.Load.NUBatch), Repack: []gguf.Type{}}
		switch j.Backend.Name {
		case "x_one":
			o.Rules, o.Repack = ledger.Ollama, ledger.RepackTypes(ledger.Ollama)
		case "x_two":
			o.AMX = true
		}
		want, err := j.Model.Desc.Memory(o)
		if err != nil {
			t.Fatal(err)
		}
		if j.Memory != want {
			t.Errorf("%s: memory %+v, want %+v", j.Pair(), j.Memory, want)
		}
		if j.Backend.Name == "x_one" && len(ledger.RepackTypes(ledger.Ollama)) > 0 && j.Memory.Repacked == 0 {
			t.Errorf("%s repacks nothing", j.Pair())
		}
		seen++
	}
	if seen != 8 {
		t.Errorf("%d jobs", seen)
	}
}
