//go:build cuda

package cupti

// #cgo LDFLAGS: -ldl
// #include "activity.h"
// #include <stdlib.h>
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unsafe"

	"github.com/ianlancetaylor/demangle"

	"llmscale/cuda/driver"
)

// Tracer records the GPU's work, from Start to Stop. A process has one at most.
type Tracer struct {
	mu    sync.Mutex
	last  clocks // at the last flush
	ended bool
}

var started struct {
	sync.Mutex
	yes bool
}

// Start finds CUPTI and begins to record.
func Start() (*Tracer, error) {
	started.Lock()
	defer started.Unlock()
	if started.yes {
		return nil, errors.New("cupti: recording was started in this process before")
	}
	if err := open(); err != nil {
		return nil, err
	}
	var cerr C.ls_cupti_error
	if C.ls_cupti_start(&cerr) != 0 {
		return nil, asError(&cerr)
	}
	started.yes = true
	t := &Tracer{}
	var err error
	if t.last, err = now(); err != nil {
		return nil, err
	}
	return t, nil
}

func asError(e *C.ls_cupti_error) error { return errors.New("cupti: " + C.GoString(&e.message[0])) }

// headers is the major version of CUDA whose CUPTI this program was built for; 0: without.
func headers() int { return int(C.ls_cupti_headers()) }

// open loads the first CUPTI that there is of the program's own CUDA.
func open() error {
	var cerr C.ls_cupti_error
	if headers() == 0 {
		C.ls_cupti_start(&cerr) // says so
		return asError(&cerr)
	}
	for _, path := range candidates(headers()) {
		if filepath.IsAbs(path) {
			if _, err := os.Stat(path); err != nil {
				continue
			}
		}
		c := C.CString(path)
		rc := C.ls_cupti_open(c, &cerr)
		C.free(unsafe.Pointer(c))
		switch {
		case rc == 0:
			return nil
		case rc > 0 || filepath.IsAbs(path): // a file that is there and does not load is a finding too
			return asError(&cerr)
		}
	}
	return fmt.Errorf("cupti: there is no libcupti.so.%d: install the CUPTI part of CUDA %d and set CUDA_HOME to that toolkit", headers(), headers())
}

// candidates are the places of CUPTI's library. Those of another CUDA come last: found so that the error can say so.
func candidates(major int) (out []string) {
	out = driver.LibraryPaths(fmt.Sprintf("libcupti.so.%d", major))
	for _, other := range []int{13, 12} {
		if other != major {
			out = append(out, driver.LibraryPaths(fmt.Sprintf("libcupti.so.%d", other))...)
		}
	}
	return out
}

func now() (clocks, error) {
	var c C.ls_clocks
	var cerr C.ls_cupti_error
	if C.ls_cupti_clocks(&c, &cerr) != 0 {
		return clocks{}, asError(&cerr)
	}
	return clocks{hostNS: int64(c.host_ns), cuptiNS: int64(c.cupti_ns), errorNS: int64(c.error_ns)}, nil
}

// Flush returns what was recorded since the last Flush, or since Start. What the GPU still works on is not in it:
// synchronize first.
func (t *Tracer) Flush() (*Records, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil, errors.New("cupti: recording has ended")
	}
	return t.flush()
}

// Stop ends recording and returns what was recorded since the last Flush.
func (t *Tracer) Stop() (*Records, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil, errors.New("cupti: recording has ended")
	}
	t.ended = true
	out, err := t.flush()
	var cerr C.ls_cupti_error
	if C.ls_cupti_stop(&cerr) != 0 {
		err = errors.Join(err, asError(&cerr))
	}
	return out, err
}

func (t *Tracer) flush() (*Records, error) {
	var cerr C.ls_cupti_error
	var found C.ls_activities
	if C.ls_cupti_flush(&found, &cerr) != 0 {
		return nil, asError(&cerr)
	}
	defer C.ls_cupti_free(&found)
	end, err := now()
	if err != nil {
		return nil, err
	}
	line := timeline{t.last, end}
	t.last = end
	out := &Records{
		Activities: make([]Activity, found.n), Dropped: int64(found.dropped), Untimed: int64(found.untimed),
		ClockErrorNS: line.errorNS(),
	}
	names := map[string]string{}
	for i, a := range unsafe.Slice(found.records, found.n) {
		out.Activities[i] = Activity{
			StartNS: line.host(int64(a.start)), EndNS: line.host(int64(a.end)),
			Bytes: int64(a.bytes), Device: int(a.device), Stream: uint32(a.stream), Correlation: uint32(a.correlation),
			Graph: uint32(a.graph), GraphNode: uint64(a.graph_node), Registers: int(a.registers),
			Grid:        [3]int{int(a.grid[0]), int(a.grid[1]), int(a.grid[2])},
			Block:       [3]int{int(a.block[0]), int(a.block[1]), int(a.block[2])},
			SharedBytes: int64(a.static_shared) + int64(a.dynamic_shared),
		}
		switch to := &out.Activities[i]; a.kind {
		case C.LS_ACTIVITY_KERNEL:
			to.Kind, to.Name = Kernel, kernelName(C.GoString(a.name), names)
		case C.LS_ACTIVITY_MEMCPY:
			to.Kind, to.Copy = Memcpy, direction(int(a.copy_kind))
		case C.LS_ACTIVITY_MEMSET:
			to.Kind = Memset
		}
	}
	slices.SortStableFunc(out.Activities, func(a, b Activity) int { return cmp.Compare(a.StartNS, b.StartNS) })
	return out, nil
}

// kernelName demangles, once for each name. Template arguments stay, since they hold the weights' type; parameters,
// which are long and the same for all of a name, go.
func kernelName(mangled string, known map[string]string) string {
	name, ok := known[mangled]
	if !ok {
		name = demangle.Filter(mangled, demangle.NoParams)
		known[mangled] = name
	}
	return name
}

// direction names CUPTI's CUpti_ActivityMemcpyKind.
func direction(kind int) string {
	names := []string{"unknown", "host to device", "device to host", "host to array", "array to host", "array to array", "array to device",
		"device to array", "device to device", "host to host", "peer to peer"}
	if kind < 0 || kind >= len(names) {
		return names[0]
	}
	return names[kind]
}
