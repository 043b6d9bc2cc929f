//go:build native

package native

// The libraries to link and their order come from CMake (native.ldflags in the
// build folder) through CGO_LDFLAGS, which the Makefile sets.

// #cgo CFLAGS: -I${SRCDIR}/shim
// #include "llmscale_shim.h"
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"strings"
)

// The main goroutine keeps the process's first thread, so that no context computes on it: libgomp takes it for bound
// (shim/process.cpp) and would not bind it again.
func init() { runtime.LockOSThread() }

// Built says whether this binary holds llama.cpp.
const Built = true

// toError turns a shim error into an *Error, with what llama.cpp logged meanwhile.
func toError(code C.int, e *C.ls_error, log *capture) error {
	lines, reason := log.end()
	if code == C.LS_OK {
		return nil
	}
	err := &Error{Op: C.GoString(&e.op[0]), Message: C.GoString(&e.message[0]), Log: lines, Reason: reason}
	switch code {
	case C.LS_NO_MEMORY:
		err.kind = ErrNoMemory
	case C.LS_ABORTED:
		err.kind = ErrAborted
	case C.LS_KV_FULL:
		err.kind = ErrKVFull
	case C.LS_NOT_AVAILABLE:
		err.kind = ErrNotAvailable
	}
	// llama.cpp reports a failed allocation only in its log.
	for _, line := range err.Log {
		if strings.Contains(line, "failed to allocate") || strings.Contains(line, "unable to allocate") {
			err.kind = ErrNoMemory
		}
	}
	return err
}

//export llmscaleLoadProgress
func llmscaleLoadProgress(share C.float, user C.uintptr_t) C.bool {
	return C.bool(cgo.Handle(user).Value().(func(float32) bool)(float32(share)))
}

// DefaultSignals lets fatal signals (abort, segmentation fault, ...) end the
// process as signals do, so that its parent sees which one it was. The price is
// that a nil pointer in Go code ends the process without a Go stack trace; only
// worker processes call it.
func DefaultSignals() { C.ls_default_signals() }

// Build says what the native half was built from and how.
func Build() (BuildInfo, error) {
	quietUnlessRouted()
	c := C.ls_get_build_info()
	info := BuildInfo{
		LlamaCommit: C.GoString(c.llama_commit),
		LlamaSource: C.GoString(c.llama_source),
		Compiler:    C.GoString(c.compiler),
		BuildType:   C.GoString(c.build_type),
		Flags:       strings.TrimSpace(C.GoString(c.flags)),
		SystemInfo:  strings.TrimSpace(C.GoString(c.system_info)),
		Portable:    bool(c.portable),
		CUDA:        bool(c.cuda),
		CUDAToolkit: C.GoString(c.cuda_toolkit),
		CUDAArchs:   C.GoString(c.cuda_architectures),
	}
	if !c.optimized {
		info.Warnings = append(info.Warnings, "the native part is a debug build: its times mean nothing; run `make clean build`")
	}
	if c.sanitized {
		info.Warnings = append(info.Warnings, "the native part is instrumented by a sanitizer: its times mean nothing")
	}
	if share, err := Slowdown(); err != nil {
		return info, err
	} else if share > 0 {
		info.Warnings = append(info.Warnings, fmt.Sprintf("%s=%v makes all times longer: a test's hook", EnvSlowdown, share))
	}
	return info, nil
}

// thread runs functions one after another on one OS thread. libgomp keeps its
// team of threads per calling thread: without this, calls that Go moves between
// threads would each start a new team, and time it.
type thread struct {
	calls chan func()
	done  chan struct{}
}

func newThread() *thread {
	t := &thread{calls: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the OS thread ends with the goroutine
		defer close(t.done)
		for f := range t.calls {
			f()
		}
	}()
	return t
}

func (t *thread) do(f func()) {
	finished := make(chan struct{})
	t.calls <- func() { defer close(finished); f() }
	<-finished
}

func (t *thread) stop() {
	close(t.calls)
	<-t.done
}
