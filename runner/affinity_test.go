package runner

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
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
	if _, err := newPlan(cfg, testModels(), &Programs{}); err == nil || !strings.Contains(err.Error(), "may not run on processor 8000") {
		t.Error(err)
	}
}

func TestWorkerEnv(t *testing.T) {
	t.Setenv("GOMP_CPU_AFFINITY", "0")
	t.Setenv("OMP_PLACES", "cores")
	t.Setenv("OMP_NUM_THREADS", "7")
	openMP := func(env []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.Contains(kv, "OMP_") || strings.HasPrefix(kv, "OMP_WAIT") }), " ")
	}
	if got := workerEnv(nil); !slices.Equal(got, os.Environ()) {
		t.Errorf("without affinity: %q", got)
	}
	if got := openMP(workerEnv([]int{2, 0})); got != "OMP_NUM_THREADS=7 OMP_PROC_BIND=close OMP_PLACES={2},{0}" {
		t.Errorf("%q", got)
	}
}

func TestAffinityOnRecord(t *testing.T) {
	for want, threads := range map[string][]string{"": nil, "0-3": {"0-3", "0-3"}, "0 2-3": {"0", "2-3"}, "5": {"5"}} {
		if got := protocol.AffinityOf(threads); got != want {
			t.Errorf("%q: %q", threads, got)
		}
	}
	for _, c := range []struct {
		asked   []int
		threads []string
		ok      bool
	}{
		{nil, []string{"0-3"}, true},
		{[]int{2, 0}, []string{"2", "0"}, true},
		{[]int{2, 0}, []string{"0", "2"}, true},
		{[]int{2, 0, 4}, []string{"2", "0"}, true}, // fewer threads
		{[]int{2, 0}, []string{"0-3", "0-3"}, false},
		{[]int{2, 0}, []string{"2", "2"}, false},
		{[]int{2, 0}, []string{"2", "0", "4"}, false},
	} {
		if err := protocol.CheckAffinity("decode", c.asked, c.threads); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
