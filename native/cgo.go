//go:build native

package native

// The libraries to link and their order come from CMake (native.ldflags in the
// build folder) through CGO_LDFLAGS, which the Makefile sets.

// #cgo CFLAGS: -I${SRCDIR}/shim
// #include "llmscale_shim.h"
// #include <stdlib.h>
// extern void llmscaleLog(int level, char * text);
import "C"

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
)

// Built says whether this binary holds llama.cpp.
const Built = true

// toError turns a shim error into an *Error, with what was logged since mark.
func toError(code C.int, e *C.ls_error, mark int) error {
	if code == C.LS_OK {
		return nil
	}
	err := &Error{Op: C.GoString(&e.op[0]), Message: C.GoString(&e.message[0]), Log: logs.since(mark)}
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

// logBuffer assembles llama.cpp's log pieces into lines, hands them to slog and
// keeps the last warnings and errors, which hold the reason of a failure.
type logBuffer struct {
	mu     sync.Mutex
	logger *slog.Logger
	level  slog.Level
	line   strings.Builder
	kept   []string
	count  int // lines ever kept
}

const keptLogLines = 20

var logs logBuffer

// RouteLog sends llama.cpp's log to l; nil sends it nowhere. Warnings and errors
// also end up in the Error of the call that failed, whatever l is.
func RouteLog(l *slog.Logger) {
	minLevel := 3 // warnings and errors, which say why a call failed
	if l != nil {
		switch {
		case l.Enabled(context.Background(), slog.LevelDebug-4):
			minLevel = 1
		case l.Enabled(context.Background(), slog.LevelDebug):
			minLevel = 2
		}
	}
	logs.mu.Lock()
	logs.logger = l
	logs.mu.Unlock()
	C.ls_log_set(C.ls_log_fn(C.llmscaleLog), C.int(minLevel))
	logRouted.Store(true)
}

// logRouted says whether RouteLog was called. Unless it was, llama.cpp prints to
// stderr whatever it does, from the moment that it looks for devices.
var logRouted atomic.Bool

// quietUnlessRouted routes the log to nowhere where nobody has routed it.
func quietUnlessRouted() {
	if !logRouted.Load() {
		RouteLog(nil)
	}
}

//export llmscaleLog
func llmscaleLog(level C.int, text *C.char) {
	logs.add(int(level), C.GoString(text))
}

// add maps ggml's levels down one step: what llama.cpp calls info (its model
// dump) is debug to a user of this program.
func (b *logBuffer) add(level int, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if level != 5 {
		b.level = map[int]slog.Level{1: slog.LevelDebug - 4, 2: slog.LevelDebug, 3: slog.LevelWarn, 4: slog.LevelError}[level]
	}
	b.line.WriteString(text)
	if !strings.HasSuffix(text, "\n") {
		return
	}
	line := strings.TrimSpace(b.line.String())
	b.line.Reset()
	if line == "" || strings.Trim(line, ".") == "" {
		return
	}
	if b.level >= slog.LevelWarn {
		b.kept = append(b.kept, line)
		b.count++
		if len(b.kept) > keptLogLines {
			b.kept = b.kept[1:]
		}
	}
	if b.logger != nil {
		// A failure is reported once, by the error that carries the log.
		l := b.level
		if l > slog.LevelDebug {
			l = slog.LevelDebug
		}
		b.logger.Log(context.Background(), l, line, "from", "llama.cpp")
	}
}

func (b *logBuffer) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

func (b *logBuffer) since(mark int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(b.count-mark, len(b.kept))
	return append([]string(nil), b.kept[len(b.kept)-n:]...)
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
