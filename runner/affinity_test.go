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
