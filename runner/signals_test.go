package runner

import (
	"syscall"
	"unsafe"
)

// resetSignals gives fatal signals their default effect, as native.DefaultSignals
// does in real workers; without cgo it takes the system call itself.
func resetSignals() {
	var action struct {
		handler  uintptr // SIG_DFL
		flags    uint64
		restorer uintptr
		mask     uint64
	}
	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS} {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	}
}
