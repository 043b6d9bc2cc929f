package runner

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// garbage is what the fake runtime leaves to the collector in each call.
var garbage [][]byte

// sleepsWhileBlocked keeps the calling thread in the system for a while, as native code would, and counts how often the
// process's threads went to sleep meanwhile.
func sleepsWhileBlocked() (int64, error) {
	for range 512 {
		garbage = append(garbage, make([]byte, 1<<16))
	}
	garbage = nil
	before := sleeps()
	wait := unix.NsecToTimespec((200 * time.Millisecond).Nanoseconds())
	if err := unix.Nanosleep(&wait, nil); err != nil {
		return 0, err
	}
	return sleeps() - before, nil
}

func sleeps() (n int64) {
	files, _ := filepath.Glob("/proc/self/task/*/status") // the pattern is well-formed
	for _, f := range files {
		data, _ := os.ReadFile(f) // of a thread that has ended: nothing
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				k, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				n += k
			}
		}
	}
	return n
}

// What times in C has one processor for Go, what times in Go all.
func TestGoProcessorsByKind(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	for _, c := range []struct {
		kind string
		want int
	}{{config.KindOllama, 2}, {config.KindNative, 1}} {
		at := 0
		if _, err := quietOpener(func(string) (protocol.Backend, error) { at = runtime.GOMAXPROCS(0); return nil, nil })(c.kind); err != nil || at != c.want {
			t.Errorf("kind %s is opened with %d processors for Go, want %d", c.kind, at, c.want)
		}
	}
}

// While a call is in native code, Go's own threads sleep: neither its monitor nor its return of memory to the system
// takes a processor from what is timed. (The monitor alone went to sleep 60 times and more.) Of a busy machine the
// quieter half of the calls is looked at: a thread that waits for a processor keeps the monitor awake.
func TestWorkerIsQuietDuringACall(t *testing.T) {
	if testing.Short() {
		t.Skip("48 calls of 0.2 s")
	}
	_, _, records, _ := execute(t, testPlan(t, testConfig), testWorker(t, "blocks"))
	var counts []int64
	for _, r := range records {
		if r.InvoluntaryCtx == nil {
			t.Fatalf("%s: %s", r.CellID, *r.Error)
		}
		if r.Mode == record.ModeE2E {
			counts = append(counts, *r.InvoluntaryCtx)
		}
	}
	slices.Sort(counts)
	t.Logf("%d at the median", counts[len(counts)/2])
	if counts[len(counts)/2] > 25 {
		t.Errorf("threads of the worker went to sleep so often in each call: %d", counts)
	}
}
