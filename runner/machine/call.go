package machine

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// CallWatch looks at the processors around one timed call: less than Watch does, so that it takes a fraction of a millisecond.
type CallWatch struct {
	proc, sys, cgroups string
	begun              brief
	running            *int
}

// CallUse is what others did to this process's processors during a call; nil: the system does not tell. Times are
// counted in the kernel's ticks of 10 ms but for WaitMS, so those of one call are coarse and may be negative; of many
// they add up.
type CallUse struct {
	WatchMS     float64  // time that the others are of
	StolenMS    *float64 // CPU time that the hypervisor gave to others
	OthersMS    *float64 // CPU time that other programs used
	ThrottledMS *float64 // time for which the control group's quota stopped its processes
	WaitMS      *float64 // that this process's computing threads were ready to run and waited for a processor, summed over threads
	RunQueue    *int     // threads of the whole system that ran or waited before the call, this one left out
	MHz         *float64 // median clock of the processors that may be used, after the call
}

// brief has the counters, and what each of this process's threads had of the processors.
type brief struct {
	counters
	told    bool             // by /proc/stat
	threads map[string]share // by the thread's file; nil: not known
}

// share is a thread's of the processors, in seconds since it began.
type share struct{ ran, waited float64 }

// NewCallWatch begins to watch.
func NewCallWatch() CallWatch { return newCallWatch("/proc", "/sys", CgroupRoot) }

func newCallWatch(proc, sys, cgroups string) CallWatch {
	w := CallWatch{proc: proc, sys: sys, cgroups: cgroups}
	stat := ReadText(filepath.Join(proc, "stat"))
	if _, rest, ok := strings.Cut(stat, "\nprocs_running "); ok {
		line, _, _ := strings.Cut(rest, "\n")
		if n, err := strconv.Atoi(line); err == nil {
			w.running = new(max(n-1, 0))
		}
	}
	w.begun = w.look(stat)
	return w
}

func (w CallWatch) look(stat string) brief {
	b := brief{counters: count(w.proc, w.cgroups, stat), told: stat != ""}
	// A thread's first two figures are the times that it ran and that it waited on a run queue, in ns.
	threads, _ := filepath.Glob(filepath.Join(w.proc, "self/task/[0-9]*/schedstat")) // the pattern is well-formed
	for _, file := range threads {
		if fields := strings.Fields(ReadText(file)); len(fields) == 3 {
			ran, err := strconv.ParseFloat(fields[0], 64)
			waited, err2 := strconv.ParseFloat(fields[1], 64)
			if err == nil && err2 == nil {
				if b.threads == nil {
					b.threads = map[string]share{}
				}
				b.threads[file] = share{ran * 1e-9, waited * 1e-9}
			}
		}
	}
	return b
}

// waited is what the computing threads waited for since b, in seconds: those that wanted a processor for half of the
// time at least. The others are the language's own, which wake often, find all processors computing and wait: that
// costs the call nothing.
func (b brief) waited(since brief) (s float64) {
	for file, now := range b.threads {
		was := since.threads[file]
		ran, waited := now.ran-was.ran, now.waited-was.waited
		if ran+waited >= b.at.Sub(since.at).Seconds()/2 {
			s += waited
		}
	}
	return s
}

// Use tells of the time since the watch was made.
func (w CallWatch) Use() CallUse {
	now := w.look(ReadText(filepath.Join(w.proc, "stat")))
	u := CallUse{WatchMS: 1e3 * now.at.Sub(w.begun.at).Seconds(), RunQueue: w.running, MHz: clockMHz(w.proc, w.sys)}
	if now.told && w.begun.told {
		u.StolenMS = new(1e3 * (now.stolen - w.begun.stolen))
		u.OthersMS = new(1e3 * (now.busy - w.begun.busy - (now.own - w.begun.own)))
	}
	if now.threads != nil && w.begun.threads != nil {
		u.WaitMS = new(1e3 * now.waited(w.begun))
	}
	if s, known := throttledSince(w.begun.throttled, now.throttled); known {
		u.ThrottledMS = new(1e3 * s)
	}
	return u
}

// clockMHz is the median clock of the processors that may be used: what the frequency driver says, or /proc/cpuinfo.
func clockMHz(proc, sys string) *float64 {
	may := mayRunOn()
	var mhz []float64
	files, _ := filepath.Glob(filepath.Join(sys, "devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")) // well-formed
	for _, file := range files {
		cpu, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(filepath.Dir(file))), "cpu"))
		khz, err2 := strconv.ParseFloat(ReadText(file), 64)
		if err == nil && err2 == nil && may(cpu) {
			mhz = append(mhz, khz/1e3)
		}
	}
	if len(mhz) == 0 {
		cpu := -1
		for line := range strings.Lines(ReadText(filepath.Join(proc, "cpuinfo"))) {
			key, value, _ := strings.Cut(line, ":")
			switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
			case "processor":
				if n, err := strconv.Atoi(value); err == nil {
					cpu = n
				}
			case "cpu MHz":
				if v, err := strconv.ParseFloat(value, 64); err == nil && may(cpu) {
					mhz = append(mhz, v)
				}
			}
		}
	}
	if len(mhz) == 0 {
		return nil
	}
	slices.Sort(mhz)
	return &mhz[len(mhz)/2]
}
