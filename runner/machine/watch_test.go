package machine

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeProc writes a /proc of two processors: jiffies of each field of the first, and programs by process id.
func fakeProc(t *testing.T, cpu0 string, programs map[int]string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put("stat", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 "+cpu0+"\ncpu9999 900000 0 0 0 0 0 0 0 0 0\nintr 5 6 7 8 9 10 11 12 13\nctxt 5\n")
	put("self/cgroup", "0::/a/b\n")
	for pid, stat := range programs {
		put(fmt.Sprintf("%d/stat", pid), stat)
	}
	return dir
}

// processStat is /proc/PID/stat of a program with times in jiffies.
func processStat(name string, user, system, began int) string {
	return fmt.Sprintf("77 (%s) R 1 77 77 0 -1 4194560 100 0 0 0 %d %d 0 0 20 0 1 0 %d 1000 10", name, user, system, began)
}

func TestUse(t *testing.T) {
	groups := t.TempDir()
	throttle := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(groups, "a/b"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(groups, "a/cpu.stat"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	throttle("usage_usec 5\nnr_throttled 2\nthrottled_usec 1000000\n")
	before := look(fakeProc(t, "1000 100 50 9000 700 10 20 30 500 0", map[int]string{
		100: processStat("cc1plus", 500, 100, 7), 101: processStat("sh", 0, 0, 7), 102: processStat("idle", 50, 0, 7), 103: processStat("ended", 10, 0, 7),
	}), groups)
	throttle("usage_usec 5\nnr_throttled 9\nthrottled_usec 1250000\n")
	after := look(fakeProc(t, "1150 110 75 9500 800 15 25 50 900 0", map[int]string{
		100: processStat("cc1plus", 560, 120, 7), 101: processStat("a) program (b", 30, 0, 7), 102: processStat("idle", 51, 0, 7), 103: processStat("begun", 20, 0, 9),
		104: processStat("cc1plus", 16, 0, 9), os.Getpid(): processStat("self", 5000, 0, 7),
	}), groups)
	after.at = before.at.Add(2 * time.Second)
	before.own, after.own = 1, 1.45
	before.switches, after.switches = 10, 110
	u := after.since(before)
	// user 1.5 + nice .1 + system .25 + irq .05 + softirq .05 s of others and its own .45, in 2 s; idle, waiting and a
	// guest's time count for nothing, and the other processor is none that this process may use.
	if !almost(u.Others, (1.95-0.45)/2) || !almost(u.Stolen, 0.1) || !almost(u.ThrottledS, 0.25) || u.Switches != 100 {
		t.Errorf("%+v", u)
	}
	want := "cc1plus 0.480, a) program (b 0.150, begun 0.100, " // the least of them used too little
	got := ""
	for _, p := range u.Programs {
		got += fmt.Sprintf("%s %.3f, ", p.Name, p.CPUs)
	}
	if got != want {
		t.Errorf("programs %q, want %q", got, want)
	}
	if got := u.Disturbances(); !slices.Equal(got, []string{
		"other programs used 0.75 CPUs (cc1plus 0.48, a) program (b 0.15, begun 0.10)",
		"the hypervisor gave 0.10 of its CPUs to others",
		"the control group's CPU quota stopped it for 0.25 s",
		"its threads lost their core 100 times, 50 times each second",
	}) {
		t.Errorf("%q", got)
	}
	if got := (Use{Seconds: 10, Others: 0.05, Stolen: 0.01, ThrottledS: 0.05, Switches: 5000}).Disturbances(); got != nil {
		t.Errorf("a quiet machine disturbs: %q", got)
	}
	if got := (Use{Seconds: 1, Others: 1, Programs: []Program{{"\x1b[31mred\n", 1}}}).Disturbances(); strings.ContainsAny(got[0], "\x1b\n") {
		t.Errorf("a program's name acts on the terminal: %q", got)
	}
	if u := before.since(before); u.Others != 0 || u.Disturbances() != nil {
		t.Errorf("no time at all: %+v", u)
	}
	// A system that tells nothing.
	nothing := look(t.TempDir(), t.TempDir())
	if nothing.busy != 0 || nothing.stolen != 0 || len(nothing.throttled) != 0 || len(nothing.programs) != 0 {
		t.Errorf("%+v", nothing)
	}
}

func TestThrottledByVersion1(t *testing.T) {
	groups := t.TempDir()
	for name, text := range map[string]string{"cpu/a/cpu.stat": "nr_periods 5\nthrottled_time 1500000000\n", "cpu/cpu.stat": "throttled_time 250000000\n"} {
		path := filepath.Join(groups, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got := groupThrottled(groups, "4:cpu,cpuacct:/a\n1:memory:/x\n")
	since, known := throttledSince(map[string]float64{filepath.Join(groups, "cpu/a"): 1.25, filepath.Join(groups, "cpu"): 0.25}, got)
	if len(got) != 2 || !known || !almost(since, 0.25) {
		t.Errorf("%v s, want those of the group that was stopped longest, 1.5", got)
	}
}

// TestWatchSeesABusyProgram watches a program that computes beside this one.
func TestWatchSeesABusyProgram(t *testing.T) {
	busy := exec.Command("sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		busy.Process.Kill()
		busy.Wait() // killed: its error is known
	}()
	w := NewWatch()
	time.Sleep(400 * time.Millisecond)
	u := w.Use()
	// It may have to share its core with the tests of other packages.
	if u.Others < 0.1 || !strings.Contains(strings.Join(u.Disturbances(), "; "), "other programs used") {
		t.Errorf("%+v", u)
	}
}

func TestConditions(t *testing.T) {
	quota, whole := 1.5, 4.0
	quiet := Machine{LogicalCores: 4, LoadAverage1Min: 0.2, OpenMPVariables: map[string]string{}}
	for _, c := range []struct {
		name string
		m    func(m *Machine)
		u    Use
		want []string // codes of what is not good
	}{
		{"quiet", func(*Machine) {}, Use{}, nil},
		{"quiet, though something ran a minute ago", func(m *Machine) { m.LoadAverage1Min = 3 }, Use{Others: 0.01}, nil},
		{"something goes on", func(m *Machine) { m.LoadAverage1Min = 3 }, Use{Others: 0.06}, []string{"machine_load"}},
		{"something has begun", func(*Machine) {}, Use{Others: 0.9, Programs: []Program{{"cc1", 0.9}}}, []string{"machine_load"}},
		{"a neighbour", func(m *Machine) { m.Hypervisor = true }, Use{Stolen: 0.3}, []string{"machine_stolen"}},
		{"a slow governor", func(m *Machine) { m.Governor = "powersave" }, Use{}, []string{"cpu_governor"}},
		{"a fast governor", func(m *Machine) { m.Governor = "performance" }, Use{}, nil},
		{"a quota", func(m *Machine) { m.CPUQuota = &quota }, Use{}, []string{"cpu_quota"}},
		{"a quota of all", func(m *Machine) { m.CPUQuota = &whole }, Use{}, nil},
		{"variables", func(m *Machine) { m.OpenMPVariables = map[string]string{"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"} }, Use{}, []string{"openmp_environment", "openmp_environment"}},
	} {
		m := quiet
		c.m(&m)
		var codes []string
		for _, f := range conditions(m, c.u) {
			if f.What == "" || f.Found == "" || f.Good() != (f.Do == "") {
				t.Errorf("%s: %+v", c.name, f)
			}
			if !f.Good() {
				codes = append(codes, f.Code)
			}
		}
		if !slices.Equal(codes, c.want) {
			t.Errorf("%s: %q, want %q", c.name, codes, c.want)
		}
	}
}

func almost(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
