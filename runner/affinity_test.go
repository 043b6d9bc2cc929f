package runner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/worker"
)

func TestBind(t *testing.T) {
	allowed := []int{0, 2, 3, 5}
	for _, c := range []struct {
		affinity       string
		threads, batch int
		want           string // or what the error says
	}{
		{"none", 4, 4, "[]"},
		{"", 4, 4, "[]"},
		{"2,0,5", 3, 2, "[2 0 5]"},
		{"2-3,0", 1, 2, "[2 3]"},
		{"0-2", 1, 1, "this process may not run on processor 1; it may on 0,2-3,5"},
		{"0,2", 1, 3, "2 processors for 3 threads"},
		{"cores", 64, 1, "processors for 64 threads"},
	} {
		cpus, err := bind(config.Backend{Name: "b", CPUAffinity: c.affinity, Threads: c.threads, ThreadsBatch: c.batch}, allowed, machine.OnePerCore(allowed))
		got := fmt.Sprint(cpus)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want) || !strings.Contains(got, "backend b: cpu_affinity")) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// The plan binds threads to processors that this process has and refuses others; of a list `threads: 0` takes one each.
func TestPlanOfAffinity(t *testing.T) {
	allowed := machine.AllowedCPUs()
	backend := func(affinity string) string {
		return strings.Replace(testConfig, "dtype: f32", "dtype: f32, cpu_affinity: "+affinity, 1)
	}
	last := allowed[len(allowed)-1]
	p := testPlan(t, backend(fmt.Sprintf("%q", fmt.Sprint(last))))
	found := false
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Load.CPUAffinity != nil {
			found = true
			if !slices.Equal(j.Load.CPUAffinity, []int{last}) || j.Load.Threads != 1 || j.Load.ThreadsBatch != 1 {
				t.Errorf("%+v", j.Load)
			}
		}
	}
	if !found {
		t.Error("no job is bound")
	}
	cfg, err := config.Parse("x.yaml", []byte(backend(`"8000"`)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPlan(cfg, testModels(), &worker.Programs{}); err == nil || !strings.Contains(err.Error(), "may not run on processor 8000") {
		t.Error(err)
	}
}
