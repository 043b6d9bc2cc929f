package workertest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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
