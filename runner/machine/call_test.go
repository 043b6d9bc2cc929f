package machine

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A made-up machine, before and after a call.
func TestCallWatch(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cpu := "cpu0 "
	may := mayRunOn()
	for i := range 1024 { // the first that this test may run on
		if may(i) {
			cpu = "cpu" + strconv.Itoa(i) + " "
			break
		}
	}
	put("proc/stat", "cpu 9 9 9 9\n"+cpu+"100 0 50 1000 0 0 0 7 0 0\nctxt 1\nprocs_running 4\nprocs_blocked 0\n")
	put("proc/self/task/1/schedstat", "5000000 2000000 7\n")
	put("proc/self/task/2/schedstat", "5000000 1000000 7\n")
	put("proc/cpuinfo", "processor\t: "+cpu[3:]+"\ncpu MHz\t\t: 2100.5\n")
	w := newCallWatch(filepath.Join(root, "proc"), filepath.Join(root, "sys"), root)
	put("proc/stat", "cpu 9 9 9 9\n"+cpu+"160 0 50 1000 0 0 0 9 0 0\nctxt 1\nprocs_running 1\nprocs_blocked 0\n")
	put("proc/self/task/1/schedstat", "5000000 6500000 7\n")
	u := w.Use()
	near := func(what string, got *float64, want, tolerance float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > tolerance {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("stolen", u.StolenMS, 20, 1e-6)
	near("waited", u.WaitMS, 4.5, 1e-6)
	near("clock", u.MHz, 2100.5, 1e-9)
	near("others", u.OthersMS, 600, 200) // less what this test itself used meanwhile
	if u.RunQueue == nil || *u.RunQueue != 3 {
		t.Errorf("run queue %v, want 3", u.RunQueue)
	}
	put("sys/devices/system/cpu/"+"cpu"+cpu[3:len(cpu)-1]+"/cpufreq/scaling_cur_freq", "3200000\n")
	near("clock by the driver", w.Use().MHz, 3200, 1e-9)

	before := brief{counters: counters{at: time.Unix(0, 0)}, threads: map[string]share{"computes": {1, .5}, "starved": {1, .5}, "wakes": {1, .5}}}
	after := brief{counters: counters{at: time.Unix(2, 0)}, threads: map[string]share{"computes": {2.75, .75}, "starved": {1.125, 2.25}, "wakes": {1.0625, 1}}}
	if got := after.waited(before); got != .25+1.75 {
		t.Errorf("computing threads waited %v s, want 2: one that only wakes now and then does not count", got)
	}

	empty := newCallWatch(t.TempDir(), t.TempDir(), root).Use()
	if empty.StolenMS != nil || empty.OthersMS != nil || empty.WaitMS != nil || empty.RunQueue != nil || empty.MHz != nil {
		t.Errorf("a system that tells nothing: %+v", empty)
	}
}
