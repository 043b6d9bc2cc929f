package machine

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"llmscale/internal/text"
)

// Use is what others did to this process's processors during a stretch of time, as far as the system tells.
type Use struct {
	Seconds    float64
	Others     float64 // CPUs that other programs used, of those that this process may run on
	Stolen     float64 // CPUs that the hypervisor gave to others
	ThrottledS float64 // seconds for which the control group's quota stopped its processes
	Switches   int64   // times that a thread of this process lost its core to another
	Programs   []Program
}

// Program is a program by its name and the CPUs that its processes used, those that can be seen.
type Program struct {
	Name string
	CPUs float64
}

// Watch looks at the processors from its making on.
type Watch struct{ begun snapshot }

// NewWatch begins to watch.
func NewWatch() Watch { return Watch{look("/proc", CgroupRoot)} }

// Use tells of the time since the watch was made.
func (w Watch) Use() Use { return look("/proc", CgroupRoot).since(w.begun) }

// counters grow, in seconds but for the switches; what the system does not tell is 0.
type counters struct {
	at                time.Time
	busy, stolen, own float64
	throttled         map[string]float64 // by control group
	switches          int64
}

// count reads the counters; stat is the text of /proc/stat.
func count(proc, cgroups, stat string) counters {
	c := counters{at: time.Now()}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		c.own = float64(usage.Utime.Nano()+usage.Stime.Nano()) * 1e-9
		c.switches = usage.Nivcsw
	}
	c.busy, c.stolen = cpuTimes(stat, mayRunOn())
	c.throttled = groupThrottled(cgroups, ReadText(filepath.Join(proc, "self/cgroup")))
	return c
}

// snapshot has the counters, and the time of each program.
type snapshot struct {
	counters
	programs map[int]procTime // by process id
}

type procTime struct {
	name    string
	began   string // in jiffies since the start of the machine: with the process id, it names the process
	seconds float64
}

// tick is the unit of the times in /proc: USER_HZ, 100 a second for programs on all of Linux's architectures that
// llama.cpp has kernels for.
const tick = 0.01

// look reads the counters and the programs' times.
func look(proc, cgroups string) snapshot {
	s := snapshot{count(proc, cgroups, ReadText(filepath.Join(proc, "stat"))), map[int]procTime{}}
	dirs, _ := filepath.Glob(filepath.Join(proc, "[0-9]*")) // the pattern is well-formed
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := processTime(ReadText(filepath.Join(dir, "stat"))); ok {
			s.programs[pid] = p
		}
	}
	return s
}

// mayRunOn tells on which processors this process may run.
func mayRunOn() func(cpu int) bool {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return func(int) bool { return true }
	}
	return set.IsSet
}

// cpuTimes sums up /proc/stat over the processors that may be used: seconds of computing, for whatever program, and seconds that
// the hypervisor gave to others.
func cpuTimes(stat string, may func(cpu int) bool) (busy, stolen float64) {
	for line := range strings.Lines(stat) {
		fields := strings.Fields(line)
		if len(fields) < 9 {
			continue
		}
		name, ok := strings.CutPrefix(fields[0], "cpu")
		cpu, err := strconv.Atoi(name)
		if !ok || err != nil || !may(cpu) {
			continue
		}
		// user nice system idle iowait irq softirq steal; a guest's time is in user.
		for i, f := range fields[1:9] {
			ticks, err := strconv.ParseFloat(f, 64)
			switch {
			case err != nil || i == 3 || i == 4:
			case i == 7:
				stolen += ticks * tick
			default:
				busy += ticks * tick
			}
		}
	}
	return busy, stolen
}

// processTime reads /proc/PID/stat, in which a program's name may hold blanks and parentheses.
func processTime(stat string) (procTime, bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return procTime{}, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 20 {
		return procTime{}, false
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return procTime{stat[open+1 : end], fields[19], (user + system) * tick}, err1 == nil && err2 == nil
}

func (s snapshot) since(t snapshot) Use {
	u := Use{Seconds: s.at.Sub(t.at).Seconds(), Switches: s.switches - t.switches}
	if u.Seconds <= 0 {
		return u
	}
	u.Others = max(s.busy-t.busy-(s.own-t.own), 0) / u.Seconds
	u.Stolen = max(s.stolen-t.stolen, 0) / u.Seconds
	u.ThrottledS, _ = throttledSince(t.throttled, s.throttled)
	byName := map[string]float64{}
	for pid, p := range s.programs {
		// One that began meanwhile used all its time meanwhile. (A name changes: of a kernel thread with its work.)
		used := p.seconds
		if before := t.programs[pid]; before.began == p.began {
			used -= before.seconds
		}
		byName[p.name] += used / u.Seconds
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if byName[name] >= 0.05 {
			u.Programs = append(u.Programs, Program{name, byName[name]})
		}
	}
	slices.SortStableFunc(u.Programs, func(a, b Program) int { return cmp.Compare(b.CPUs, a.CPUs) })
	u.Programs = u.Programs[:min(len(u.Programs), 3)]
	return u
}

// Limits of what is called quiet. A kernel's own threads and a shell's prompt stay below them.
const (
	quietOthers   = 0.1  // CPUs
	quietStolen   = 0.02 // CPUs
	quietThrottle = 0.01 // share of the time
	quietSwitches = 20   // each second
)

// Disturbances says what of the use bears on figures that were measured meanwhile; nil: nothing that was seen.
func (u Use) Disturbances() (out []string) {
	if u.Seconds <= 0 {
		return nil
	}
	if u.Others >= quietOthers {
		out = append(out, u.others())
	}
	if u.Stolen >= quietStolen {
		out = append(out, fmt.Sprintf("the hypervisor gave %.2f of its CPUs to others", u.Stolen))
	}
	if u.ThrottledS > quietThrottle*u.Seconds {
		out = append(out, fmt.Sprintf("the control group's CPU quota stopped it for %.2g s", u.ThrottledS))
	}
	// Threads lose their core to threads of their own process too, those that yield while they wait for each other: on a
	// quiet machine several hundred times each second. It says how bad a disturbance was, not that there was one.
	if len(out) > 0 && float64(u.Switches) > quietSwitches*u.Seconds {
		out = append(out, fmt.Sprintf("its threads lost their core %d times, %.0f times each second", u.Switches, float64(u.Switches)/u.Seconds))
	}
	return out
}

// others says how much other programs used, and which.
func (u Use) others() string {
	var names []string
	for _, p := range u.Programs {
		names = append(names, fmt.Sprintf("%s %.2f", text.Safe(p.Name), p.CPUs))
	}
	out := fmt.Sprintf("other programs used %.2f CPUs", u.Others)
	if len(names) > 0 {
		out += " (" + strings.Join(names, ", ") + ")"
	}
	return out
}
