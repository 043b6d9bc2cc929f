package machine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Condition is something about the machine that bears on what is measured on it.
type Condition struct {
	Code  string // of the warning, where it is not good
	What  string
	Found string
	Do    string // how to mend it; "" where it is good
}

// Good tells whether it leaves measurements alone.
func (c Condition) Good() bool { return c.Do == "" }

// Conditions looks at the machine, for half a second: what `doctor` tells of it, and what a run keeps as its warnings.
func Conditions() []Condition {
	w := NewWatch()
	time.Sleep(500 * time.Millisecond)
	return conditions(This(), w.Use())
}

func conditions(m Machine, u Use) []Condition {
	var out []Condition
	add := func(good bool, code, what, found, do string) {
		c := Condition{Code: code, What: what, Found: found}
		if !good {
			c.Do = do
		}
		out = append(out, c)
	}
	// The load of the last minute may be that of something that has ended, this program's own build for one: it counts
	// with something that goes on.
	busy := u.Others >= 0.2 || u.Others >= 0.05 && m.LoadAverage1Min >= 0.5
	add(!busy, "machine_load", "load", fmt.Sprintf("%s over half a second, load %.2f over the last minute", u.others(), m.LoadAverage1Min),
		"stop what else is running: it takes cores and bandwidth from the measurement")
	if u.Stolen >= quietStolen {
		add(false, "machine_stolen", "virtual machine", fmt.Sprintf("its host gave %.2f of its CPUs to others, over half a second", u.Stolen),
			"measure where the host keeps the CPUs free, or at another hour")
	}
	switch {
	case m.Governor != "":
		add(m.Governor == "performance", "cpu_governor", "CPU frequency", "governor "+m.Governor, "sudo cpupower frequency-set -g performance")
	case m.Hypervisor:
		add(true, "", "CPU frequency", "not controllable here (virtual machine: neighbours may disturb)", "")
	default:
		add(true, "", "CPU frequency", "not controllable here", "")
	}
	if m.CPUQuota != nil {
		add(*m.CPUQuota >= float64(m.LogicalCores), "cpu_quota", "CPU quota",
			fmt.Sprintf("the control group grants the time of %s CPUs, of %d on which this process may run", strconv.FormatFloat(*m.CPUQuota, 'g', 3, 64), m.LogicalCores),
			"give it whole CPUs instead (docker --cpuset-cpus): beyond a quota, threads are stopped in the middle of a token")
	}
	for _, k := range slices.Sorted(maps.Keys(m.OpenMPVariables)) {
		add(false, "openmp_environment", "environment", k+"="+m.OpenMPVariables[k], "unset it unless you mean it: it changes how threads wait and where they run")
	}
	return out
}
