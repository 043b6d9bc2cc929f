package plan

import (
	"fmt"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/machine"
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
