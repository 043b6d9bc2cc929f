package machine

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// SetNice gives all threads of this process a priority, -20 (first) to 19 (last): Linux keeps it for each thread, and a
// new one has that of the thread that starts it.
func SetNice(nice int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && err != unix.ESRCH {
			return fmt.Errorf("nice %d: %w (a negative one takes root or CAP_SYS_NICE)", nice, err)
		}
	}
	return nil
}

// Nice is a thread's priority; nil where the system does not tell.
func Nice(tid int32) *int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, int(tid)) // the system call's own 20 - nice
	if err != nil {
		return nil
	}
	return new(20 - raw)
}
