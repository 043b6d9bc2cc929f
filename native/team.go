//go:build native

package native

import (
	"fmt"
	"os"
	"strings"

	"llmscale/internal/cpulist"
)

// newTeam asks the system on which processors threads of this process may run.
func newTeam(tids []int32) Team {
	t := Team{Threads: len(tids), TIDs: tids}
	all := map[int]bool{}
	for _, tid := range tids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", tid))
		if err != nil {
			return Team{Threads: len(tids), TIDs: tids}
		}
		_, list, _ := strings.Cut(string(status), "\nCpus_allowed_list:")
		list, _, _ = strings.Cut(list, "\n")
		list = strings.TrimSpace(list)
		cpus, err := cpulist.Parse(list)
		if err != nil {
			return Team{Threads: len(tids), TIDs: tids}
		}
		t.Affinity = append(t.Affinity, list)
		for _, cpu := range cpus {
			all[cpu] = true
		}
	}
	t.CPUs = len(all)
	return t
}
