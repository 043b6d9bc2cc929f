package machine

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// AllowedCPUs are the processors that this process may run on; nil: the system does not tell.
func AllowedCPUs() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// OnePerCore keeps the first processor of each physical core.
func OnePerCore(cpus []int) (out []int) {
	seen := map[string]bool{}
	for _, cpu := range cpus {
		siblings := ReadText(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if siblings == "" {
			siblings = strconv.Itoa(cpu)
		}
		if !seen[siblings] {
			seen[siblings] = true
			out = append(out, cpu)
		}
	}
	return out
}
