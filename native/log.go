//go:build native

package native

// #include "llmscale_shim.h"
// extern void llmscaleLog(int level, char * text);
import "C"

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
)

// logBuffer assembles llama.cpp's log pieces into lines, hands them to slog, and the warnings and errors, which hold
// the reason of a failure, to the captures that are open.
type logBuffer struct {
	mu       sync.Mutex
	logger   *slog.Logger
	echo     io.Writer // warnings and errors go here instead of to logger; nil: nowhere
	level    slog.Level
	line     strings.Builder
	captures map[*capture]bool
}

var logs logBuffer

// capture keeps the warnings and errors of one call into llama.cpp.
type capture struct {
	lines   []string
	reason  string // the first error; later ones mostly follow from it
	dropped int
}

// capturedLines is how many lines a capture keeps. A file with every tensor wrong gives no more than a few.
const capturedLines = 100

func (b *logBuffer) capture() *capture {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.captures == nil {
		b.captures = map[*capture]bool{}
	}
	c := &capture{}
	b.captures[c] = true
	return c
}

// end closes the capture and returns what it kept. It may be called on nil.
func (c *capture) end() (lines []string, reason string) {
	if c == nil {
		return nil, ""
	}
	logs.mu.Lock()
	defer logs.mu.Unlock()
	delete(logs.captures, c)
	if c.dropped > 0 {
		return append(c.lines, fmt.Sprintf("... and %d more lines", c.dropped)), c.reason
	}
	return c.lines, c.reason
}

func (c *capture) add(level slog.Level, line string) {
	if c.reason == "" && level >= slog.LevelError {
		c.reason = line
	}
	if len(c.lines) == capturedLines {
		c.dropped++
		return
	}
	c.lines = append(c.lines, line)
}

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

// EchoLog writes llama.cpp's warnings and errors to w as they come, so that they outlive a process that llama.cpp
// ends. Worker processes have their stderr kept.
func EchoLog(w io.Writer) {
	logs.mu.Lock()
	defer logs.mu.Unlock()
	logs.echo = w
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
		for c := range b.captures {
			c.add(b.level, line)
		}
		if b.echo != nil {
			fmt.Fprintln(b.echo, line) // to a closed pipe: nobody is left to tell
			return
		}
	}
	if b.logger != nil {
		// A failure is reported once, by the error that carries the log.
		l := min(b.level, slog.LevelDebug)
		b.logger.Log(context.Background(), l, line, "from", "llama.cpp")
	}
}
