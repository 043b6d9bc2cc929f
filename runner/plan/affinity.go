package plan

import (
	"fmt"
	"slices"

	"llmscale/internal/cpulist"
	"llmscale/internal/text"
	"llmscale/runner/config"
)

// threadsFor is what `threads: 0` means for a backend where it otherwise means one for each of the cores.
func threadsFor(b config.Backend, cores int) int {
	if b.CPUAffinity == config.AffinityCores || b.CPUAffinity == config.AffinityNone || b.CPUAffinity == "" {
		return cores
	}
	cpus, err := cpulist.Parse(b.CPUAffinity)
	if err != nil { // of a config that was checked
		return cores
	}
	return len(cpus)
}

// bind chooses the processor of each thread of a backend; nil: none is bound.
func bind(b config.Backend, allowed, cores []int) ([]int, error) {
	if b.CPUAffinity == config.AffinityNone || b.CPUAffinity == "" {
		return nil, nil
	}
	refuse := func(format string, args ...any) ([]int, error) {
		return nil, fmt.Errorf("backend %s: cpu_affinity %s: %s", b.Name, b.CPUAffinity, fmt.Sprintf(format, args...))
	}
	var cpus []int
	if b.CPUAffinity == config.AffinityCores {
		cpus = cores
	} else {
		var err error
		if cpus, err = cpulist.Parse(b.CPUAffinity); err != nil {
			return refuse("%v", err)
		}
	}
	for _, cpu := range cpus {
		if !slices.Contains(allowed, cpu) {
			return refuse("this process may not run on processor %d; it may on %s", cpu, cpulist.Format(allowed))
		}
	}
	n := max(b.Threads, b.ThreadsBatch)
	if n > len(cpus) {
		return refuse("%s for %s; ask for fewer threads or name more processors", text.Counted(len(cpus), "processor", "processors"), text.Counted(n, "thread", "threads"))
	}
	return cpus[:n], nil
}
