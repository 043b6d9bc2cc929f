package runner

import (
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/workertest"
)

// crowdedConfig has a backend with threads to share, and scenarios that reach to the end of 48 tokens of context and one beyond.
const crowdedConfig = `gen_tokens: 4
replicates: 1
repetitions: 2
warmup_repetitions: 0
cell_timeout_s: 60
probe: false
scenarios: [{name: fits, prompt_tokens: 44}, {name: long, prompt_tokens: 45}, {name: text, prompt: "one"}]
backends: [{name: four, dtype: q8_0, threads: 4}, {name: two, dtype: q8_0, threads: 1, threads_batch: 2}]
models: [{name: m, source: "synth:tiny-gpt2"}]
`

func TestPlanWarnings(t *testing.T) {
	p := testPlan(t, crowdedConfig)
	for i := range p.Jobs {
		p.Jobs[i].Model.Desc.NCtxTrain = 48
	}
	const long = "beyond_trained_context m/long"
	for _, c := range []struct {
		name              string
		logical, physical int
		quota             float64
		want              []string
	}{
		{"room", 8, 4, math.Inf(1), []string{long}},
		{"two on a core", 8, 2, math.Inf(1), []string{long, "threads_share_cores four"}},
		{"too few processors", 3, 3, math.Inf(1), []string{long, "threads_share_cpus four"}},
		{"one processor", 1, 1, math.Inf(1), []string{long, "threads_share_cpus four", "threads_share_cpus two"}},
		{"a quota", 8, 1, 1.5, []string{long, "threads_beyond_quota four", "threads_beyond_quota two"}},
	} {
		var got []string
		for _, w := range p.WarningsOn(c.logical, c.physical, c.quota) {
			got = append(got, w.Code+" "+w.Where)
			if w.Text == "" || w.Advice == "" {
				t.Errorf("%s: %+v", c.name, w)
			}
		}
		slices.Sort(got)
		if !slices.Equal(slices.Compact(got), c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	p.Free = 1
	for i := range p.Jobs {
		p.Jobs[i].Fits = false
	}
	if got := p.WarningsOn(1, 1, 1); got != nil {
		t.Errorf("of what is not measured: %v", got)
	}
}

// TestPlanWarningsOfARun: they are said before the first call and kept; the length of a text is known once it was
// measured.
func TestPlanWarningsOfARun(t *testing.T) {
	p := testPlan(t, crowdedConfig)
	for i := range p.Jobs {
		p.Jobs[i].Model.Desc.NCtxTrain = 48
	}
	r, dir := newRun(t, p, workertest.Command(t, ""))
	if _, err := r.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(r.Progress.(*quiet).notes, "\n")
	if n := strings.Count(notes, "warning: m/long: 45 tokens of prompt and 4 generated are more than the 48 of context"); n != 1 {
		t.Errorf("said %d times:\n%s", n, notes)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, w := range m.Warnings {
		kept = append(kept, w.Code+" "+w.Where)
	}
	if !slices.Contains(kept, "beyond_trained_context m/long") || slices.Contains(kept, "beyond_trained_context m/fits") || slices.Contains(kept, "beyond_trained_context m/text") {
		t.Errorf("the manifest has %q", kept)
	}

	p = testPlan(t, crowdedConfig)
	for i := range p.Jobs {
		p.Jobs[i].Model.Desc.NCtxTrain = 4
	}
	r, _ = newRun(t, p, workertest.Command(t, ""))
	if _, err := r.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(r.Progress.(*quiet).notes, "\n"); strings.Count(notes, "m/text: 1 tokens of prompt and 4 generated") != 1 {
		t.Errorf("of a text:\n%s", notes)
	}
}
