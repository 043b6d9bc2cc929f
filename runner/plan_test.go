package runner

import (
	"errors"
	"testing"

	"llmscale/runner/config"
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
	facts, err := Look(t.Context(), cfg, testModels(), testPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	facts.FreeBytes, facts.Threads, facts.CPUs, facts.Cores = 1, 77, []int{4, 5, 6, 7}, []int{4, 6}
	facts.NoDevice = map[string]error{config.DeviceCUDA: errors.New("no driver")}
	p, err := NewPlan(cfg, facts)
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
	if again, err := NewPlan(cfg, facts); err != nil || again.SHA256() != p.SHA256() {
		t.Errorf("the same facts give another plan: %v", err)
	}
	facts.Cores = []int{4}
	if _, err := NewPlan(cfg, facts); err == nil {
		t.Error("two threads on one core")
	}
}
