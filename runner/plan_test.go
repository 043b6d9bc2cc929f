package runner

import (
	"errors"
	"math"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/plan"
)

// TestPlanOfFacts: what a machine has is handed to a plan, which looks at nothing itself.
func TestPlanOfFacts(t *testing.T) {
	cfg, err := config.Parse("test.yaml", []byte(`gen_tokens: 2
replicates: 1
repetitions: 1
scenarios: [{name: s, prompt_tokens: 4}]
backends: [{name: cpu, device: cpu, dtype: f32}, {name: gpu, device: cuda, dtype: f32}, {name: bound, device: cpu, dtype: f16, threads: 2, cpu_affinity: cores}]
models: [{name: a, source: "synth:tiny-gpt2"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	facts, err := plan.Look(t.Context(), cfg, testModels(), testPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	facts.FreeBytes, facts.Threads, facts.CPUs, facts.Cores = 1, 77, []int{4, 5, 6, 7}, []int{4, 6}
	facts.NoDevice = map[string]error{config.DeviceCUDA: errors.New("no driver")}
	p, err := plan.New(cfg, facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range p.Jobs {
		cpu, bound := j.Backend.Device == config.DeviceCPU, j.Backend.Name == "bound"
		if j.Fits == cpu || (j.Waived == "") != cpu || !bound && j.Load.Threads != 77 {
			t.Errorf("%s: fits %v, waived %q, %d threads", j.Pair(), j.Fits, j.Waived, j.Load.Threads)
		}
		if bound && (len(j.Load.CPUAffinity) != 2 || j.Load.CPUAffinity[1] != 6) {
			t.Errorf("bound to %v", j.Load.CPUAffinity)
		}
	}
	if again, err := plan.New(cfg, facts); err != nil || again.SHA256() != p.SHA256() {
		t.Errorf("the same facts give another plan: %v", err)
	}
	facts.Cores = []int{4}
	if _, err := plan.New(cfg, facts); err == nil {
		t.Error("two threads on one core")
	}
}

func TestEstimate(t *testing.T) {
	p := testPlan(t, testConfig)
	if got, want := p.Estimate(plan.Rates{ReadBytesPerS: 1e12, FlopPerS: 1e15}).Pace, 0.02*float64(p.Cells*len(p.Calls())); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("%g s before the calls, want %g", got, want)
	}
	r := plan.Rates{ReadBytesPerS: 1e9, FlopPerS: 1e11}
	all := p.Estimate(r)
	if all.Prefill <= 0 || all.Decode <= all.Prefill || all.Load <= 0 || all.WriteBytes != 0 || all.Elsewhere != 0 {
		t.Errorf("%+v", all)
	}
	want := 0.0
	for i := range p.Jobs {
		want += float64(p.Jobs[i].Model.Desc.FileBytes) / 1e9
	}
	if math.Abs(all.Load/want-1) > 1e-9 {
		t.Errorf("loading %g s, want %g", all.Load, want)
	}
	// What is not tried is not in it; what a GPU does is counted apart; a file that two jobs load is written once.
	p.Jobs[0].Fits = false
	less := p.Estimate(r)
	if less.Decode >= all.Decode || less.Load >= all.Load {
		t.Errorf("a model that does not fit is in the guess: %+v", less)
	}
	p.Jobs[0].Fits = true
	p.Jobs[0].Backend.Device = config.DeviceCUDA
	p.Jobs[1].Model.File, p.Jobs[0].Model.File = "/no/such/model", "/no/such/model"
	p.Jobs[0].Model.Desc.FileBytes, p.Jobs[1].Model.Desc.FileBytes = 3<<30, 3<<30
	other := p.Estimate(r)
	if other.Elsewhere != 1 || other.WriteBytes != 3<<30 || math.Abs(other.Decode/less.Decode-1) > 1e-9 {
		t.Errorf("%+v", other)
	}
	p.Config.Probe = false
	if none := p.Estimate(r); none.Probe != 0 {
		t.Errorf("a probe that is not made takes %g s", none.Probe)
	}
	for _, want := range []string{"rough time: ", "decode ", "prefill ", "loading ", "probe ", "at 1 GB/s", "a third of 100 Gflop/s", "writing 3 GiB of models comes on top", "what a GPU computes (1 pairs"} {
		if !strings.Contains(other.String(), want) {
			t.Errorf("no %q in\n%s", want, other)
		}
	}
}
