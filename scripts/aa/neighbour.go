package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// When the neighbour is busy.
const (
	alternate = "alternate" // every other second
	constant  = "constant"
	one       = "one" // while a process of the measured program has one model in memory
)

var neighbours = []string{alternate, constant, one}

const (
	spell = time.Second           // of alternate
	look  = 20 * time.Millisecond // between two looks for a process of the model: they take a few tenths of a percent of a processor
)

// neighbour keeps one processor busy, in this process, until it is stopped.
func neighbour(kind string, pid int, model string) (stop func()) {
	var over atomic.Bool
	done := make(chan struct{})
	began := time.Now()
	workers := workers{of: pid, model: model, has: map[string]bool{}}
	go func() {
		defer close(done)
		for !over.Load() {
			busy := kind == constant || kind == alternate && time.Since(began)/spell%2 == 0 || kind == one && workers.any()
			if !busy {
				time.Sleep(look)
				continue
			}
			for end := time.Now().Add(look); time.Now().Before(end); {
			}
		}
	}()
	return func() { over.Store(true); <-done }
}

// workers finds the processes that have a model in memory, by the file that they map: its name has the
// model's and the weight type of the sweep.
type workers struct {
	of    int
	model string
	has   map[string]bool // by process, once it maps any model
}

// any reports whether a child of the process has the model.
func (w *workers) any() (found bool) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.of)) // the pattern is well-formed
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(children)) {
			has, known := w.has[child]
			if maps, err := os.ReadFile("/proc/" + child + "/maps"); !known && err == nil {
				if file := modelIn(string(maps)); file != "" {
					has = strings.Contains("-"+file, "-"+w.model+"-f16")
					w.has[child] = has
				}
			}
			found = found || has
		}
	}
	return found
}

// modelIn is the name of the model's file that a process maps; "" for none.
func modelIn(maps string) string {
	for line := range strings.Lines(maps) {
		if file := strings.TrimSpace(line); strings.HasSuffix(file, ".gguf") {
			return filepath.Base(file)
		}
	}
	return ""
}
