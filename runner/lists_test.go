package runner

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

const listConfig = `run_name: lists
gen_tokens: 3
replicates: 1
repetitions: 2
warmup_repetitions: 0
seed: 7
scenarios:
  - {name: p, prompt_tokens: [2, 5]}
  - {name: hi, prompt: Hi}
backends:
  - {name: cpu, dtype: [f32, f16], threads: [1, 2, 3], ubatch_tokens: 16..128*2}
  - {name: plain, dtype: f32, threads: 1}
models:
  - {name: a, source: "synth:tiny-gpt2", backends: [cpu]}
  - {name: b, source: "synth:gpt2-1m", backends: [plain, cpu_f16_t3_ub64]}
`

func TestPlanOfListsIsWhatItSays(t *testing.T) {
	p := testPlan(t, listConfig)
	if len(p.Jobs) != 2*3*4+2 || p.Cells != len(p.Jobs)*3 {
		t.Fatalf("%d jobs, %d cells; want 26 and 78", len(p.Jobs), p.Cells)
	}
	if got := p.Config.Product(); got != "78 cells: 26 pairs of model and backend x 3 scenarios" {
		t.Errorf("the plan calls it %s", got)
	}
	loads := map[string]bool{}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		dtype, _, _ := strings.Cut(strings.TrimPrefix(j.Model.File, os.Getenv(envModels)+"/tiny-gpt2-"), "-seed")
		if name := fmt.Sprintf("cpu_%s_t%d_ub%d", dtype, j.Load.Threads, j.Load.NUBatch); j.Model.Name == "a" && name != j.Backend.Name {
			t.Errorf("%s loads what would be %s", j.Backend.Name, name)
		}
		loads[j.Pair()] = true
		var lengths []string
		for _, c := range j.Cells {
			lengths = append(lengths, fmt.Sprint(c.Scenario.Name, c.Scenario.PromptTokens))
		}
		slices.Sort(lengths)
		if !slices.Equal(lengths, []string{"hi0", "p_p22", "p_p55"}) {
			t.Errorf("%s: scenarios %q", j.Pair(), lengths)
		}
	}
	if len(loads) != 26 || !loads["b/cpu_f16_t3_ub64"] || !loads["b/plain"] {
		t.Errorf("pairs %v", loads)
	}
}

// What lists make is refused where a name would claim a difference that is none; two entries may be equal.
func TestSameWorkOfLists(t *testing.T) {
	for _, tc := range []struct{ backends, scenarios, models, want string }{
		{"{name: x, dtype: f32, threads: [1, 0, 2]}", "", "",
			"test.yaml:2:12: backend x: x_t0 and x_t2 would do the same work: threads 0 and 2 are both 2 threads, of which 0 takes one for each core; take one of the two out of its list"},
		{"{name: x, dtype: f32, threads: 1, threads_batch: [0, 1, 2]}", "", "",
			"x_tb0 and x_tb1 would do the same work: threads_batch 0 and 1 are both 1 threads, of which 0 takes as many as decode has"},
		{"{name: x, dtype: f32, batch_tokens: [128, 256, 512]}", "", "",
			"x_b256 and x_b512 would do the same work: batch_tokens 256 and 512 both become 256, all of the context of 256 tokens"},
		{"{name: x, dtype: f32, ubatch_tokens: [512, 1024], batch_tokens: 2048}", "", "",
			"x_ub512 and x_ub1024 would do the same work: ubatch_tokens 512 and 1024 both become 256, all of the batch"},
		{"{name: x, dtype: [f32, f16]}", "", "{name: m, source: 'like:" + smallFile(t) + "'}, {name: s, source: 'synth:tiny-gpt2'}",
			"x_f32 and x_f16 would do the same work: dtype f32 and f16 change nothing, because model m keeps the types of its file"},
		{"{name: x, dtype: f32, batch_tokens: [256, 512]}", "{name: s, prompt_tokens: 400}", "", ""},
		{"{name: x, dtype: f32, flash_attn: [auto, on, off], kv_type: [f16, f32], mmap: [true, false]}", "", "", ""},
		{"{name: x, dtype: f32, threads: [0, 1]}", "", "", ""},
		{"{name: x, dtype: f32, threads: [1, 2]}, {name: y, dtype: f32, threads: 2}, {name: z, dtype: f32, threads: [2, 3]}", "", "", ""},
	} {
		if tc.scenarios == "" {
			tc.scenarios = "{name: s, prompt_tokens: 4}"
		}
		if tc.models == "" {
			tc.models = "{name: m, source: 'synth:tiny-gpt2'}"
		}
		cfg, err := config.Parse("test.yaml", []byte("scenarios: ["+tc.scenarios+"]\nbackends: ["+tc.backends+"]\nmodels: ["+tc.models+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = newPlan(cfg, testModels(), &worker.Programs{})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.backends, err, tc.want)
		}
	}
}

func TestTooManyCellsAreRefused(t *testing.T) {
	cfg, err := config.Parse("test.yaml", []byte(listConfig+"max_cells: 77\n"))
	if err != nil {
		t.Fatal(err)
	}
	// Before anything is asked about models: there is no folder for them.
	if _, err := newPlan(cfg, nil, &worker.Programs{}); err == nil || !strings.Contains(err.Error(), "78 cells: 26 pairs of model and backend x 3 scenarios, more than 77; backend cpu makes 24: dtype 2 x threads 3 x ubatch_tokens 4") {
		t.Errorf("%v", err)
	}
	if err := cfg.Filter([]string{"a"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := newPlan(cfg, testModels(), &worker.Programs{}); err != nil { // 72
		t.Error(err)
	}
}

// A run of what was chosen from lists, by an entry's name and by one of its members', goes on as the same plan.
func TestListsResume(t *testing.T) {
	text := strings.Replace(listConfig, "ubatch_tokens: 16..128*2", "mmap: [true]", 1)
	text = strings.Replace(text, "cpu_f16_t3_ub64", "cpu_f16_t3", 1)
	cfg, err := config.Parse("lists.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := Overrides{Backends: []string{"cpu_f32_t1", "cpu_f16_t3", "cpu_f32_t2"}, Scenarios: []string{"p"}}
	if err := o.Apply(cfg, testModels()); err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(cfg, testModels(), &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Prepare(t.Context(), testModels()); err != nil {
		t.Fatal(err)
	}
	if p.Cells != 8 { // a under three backends, b under one, two scenarios
		t.Fatalf("%d cells", p.Cells)
	}
	// In the first session every worker dies of the prompt of 5 tokens; the second measures those.
	run, dir := newRun(t, p, workertest.Command(t, "SIGSEGV@5"))
	if run.Manifest, err = newManifest(run.Store, "lists", p, o, os.Getenv(envModels), nil); err != nil {
		t.Fatal(err)
	}
	if err := run.Store.SaveConfig(cfg); err != nil {
		t.Fatal(err)
	}
	if sum := finish(t, run); sum.Failed() != 4 {
		t.Fatalf("%+v, want 4 failed cells", sum)
	}
	manifest, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := manifest.config(dir, testModels())
	if err != nil {
		t.Fatal(err)
	}
	if back := manifest.Overrides; !slices.Equal(back.Backends, o.Backends) || !slices.Equal(back.Scenarios, o.Scenarios) {
		t.Errorf("overrides %+v, want %+v", back, o)
	}
	q, err := newPlan(again, testModels(), &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	if q.SHA256() != p.SHA256() {
		t.Error("the plan of the resumed run is another")
	}
	if err := q.Prepare(t.Context(), testModels()); err != nil {
		t.Fatal(err)
	}
	resumed := resumeRun(t, q, dir, workertest.Command(t, ""))
	if sum := finish(t, resumed); sum.Failed() > 0 || sum.Cells != 8 {
		t.Errorf("%+v", sum)
	}
	threads := map[string]int{}
	for _, r := range readRecords(t, dir) {
		if r.Status != record.StatusOK {
			continue
		}
		threads[r.Backend+"/"+r.Scenario]++
	}
	for _, b := range []string{"cpu_f32_t1", "cpu_f32_t2", "cpu_f16_t3"} {
		for _, s := range []string{"p_p2", "p_p5"} {
			want := 2 * len(record.Modes)
			if b == "cpu_f16_t3" {
				want *= 2 // of models a and b
			}
			if threads[b+"/"+s] != want {
				t.Errorf("%s/%s: %d records, want %d", b, s, threads[b+"/"+s], want)
			}
		}
	}
	// Another value in a list is another plan.
	other := strings.Replace(text, "prompt_tokens: [2, 5]", "prompt_tokens: [2, 6]", 1)
	if testPlan(t, other).SHA256() == testPlan(t, text).SHA256() {
		t.Error("another list is the same plan")
	}
}
