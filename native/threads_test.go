//go:build native

package native

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// envTeam has the test binary play a process that counts its threads: libgomp reads its limits once.
const envTeam = "LLMSCALE_TEST_TEAM"

// cpus are those that this process may run on.
func cpus(t *testing.T) (list []int) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for i := range 64 * len(set) {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
}

// pin leaves one processor to all threads that this process has, and so to those that they will start.
func pin(t *testing.T, cpu int) {
	t.Helper()
	var one unix.CPUSet
	one.Set(cpu)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err == nil {
			err = unix.SchedSetaffinity(id, &one)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTeam asks OpenMP for 3 threads in decode and 4 in prefill under what limits it. The team is what it really gives.
func TestTeam(t *testing.T) {
	if how := os.Getenv(envTeam); how != "" {
		if how == "pinned" {
			pin(t, cpus(t)[0])
		}
		c := newContext(t, load(t, writeModel(t, smallModel, "f32")), ContextParams{NCtx: 256, Threads: 3, ThreadsBatch: 4})
		decode, err := c.Team(false)
		if err != nil {
			t.Fatal(err)
		}
		prefill, err := c.Team(true)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("team: %d %d on %d and %d, the process on %d\n", decode.Threads, prefill.Threads, decode.CPUs, prefill.CPUs, len(cpus(t)))
		fmt.Println("affinity:", decode.Affinity)
		return
	}
	all := cpus(t)
	for _, c := range []struct {
		how, env                           string
		decode, prefill, cpus, prefillCPUs int
		process                            int // CPUs of what is no thread that computes
	}{
		{"free", "NONE=", 3, 4, len(all), len(all), len(all)},
		{"free", "OMP_THREAD_LIMIT=2", 2, 2, len(all), len(all), len(all)},
		{"free", "OMP_THREAD_LIMIT=3", 3, 3, len(all), len(all), len(all)},
		{"free", "OMP_NUM_THREADS=1", 3, 4, len(all), len(all), len(all)}, // the number that ggml gives goes before it
		{"free", fmt.Sprintf("GOMP_CPU_AFFINITY=%d", all[0]), 3, 4, 1, 1, len(all)},
		{"free", "OMP_PROC_BIND=true", 3, 4, len(all), len(all), len(all)},
		{"free", "OMP_PLACES={0}", 3, 4, 1, 1, len(all)},
		{"pinned", "NONE=", 3, 4, 1, 1, 1},
	} {
		t.Run(c.how+" "+c.env, func(t *testing.T) {
			out := countThreads(t, c.how, c.env)
			want := fmt.Sprintf("team: %d %d on %d and %d, the process on %d", c.decode, c.prefill, c.cpus, c.prefillCPUs, c.process)
			if out != want {
				t.Errorf("%q, want %q", out, want)
			}
		})
	}
	// OpenMP then gives no more threads than there are processors, less the machine's load.
	var decode, prefill, on, prefillOn int
	out := countThreads(t, "free", "OMP_DYNAMIC=true")
	if _, err := fmt.Sscanf(out, "team: %d %d on %d and %d,", &decode, &prefill, &on, &prefillOn); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if decode < 1 || decode > min(3, len(all)) || prefill < 1 || prefill > min(4, len(all)) {
		t.Errorf("with OMP_DYNAMIC on %d processors: %q", len(all), out)
	}
}

func countThreads(t *testing.T, how, env string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestTeam$")
	cmd.Env = append(os.Environ(), envTeam+"="+how, env)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}
