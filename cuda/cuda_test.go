package cuda

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	full := &Error{Op: "allocate 5 bytes", Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY", Message: "out of memory"}
	if got, want := full.Error(), "cuda: allocate 5 bytes: out of memory (CUDA_ERROR_OUT_OF_MEMORY)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(fmt.Errorf("more: %w", full), ErrNoMemory) {
		t.Error("error 2 is not ErrNoMemory")
	}
	unnamed := &Error{Op: "launch", Code: 12345}
	if got, want := unnamed.Error(), "cuda: launch: CUDA error 12345"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if errors.Is(unnamed, ErrNoMemory) {
		t.Error("any error is ErrNoMemory")
	}
}

func TestTooOld(t *testing.T) {
	for _, c := range []struct {
		driver, toolkit int
		want            string
	}{
		{13000, 13000, ""}, {13010, 13000, ""}, {12000, 12090, ""}, {14000, 13000, ""},
		{12040, 13000, "cuda: the NVIDIA driver serves CUDA up to 12.4 and this binary was built with 13.0: update the driver, or build with a CUDA 12 toolkit"},
	} {
		got := ""
		if err := tooOld(c.driver, c.toolkit); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("driver %d, toolkit %d: %q, want %q", c.driver, c.toolkit, got, c.want)
		}
	}
}

// TestPeak uses what the driver says of an H100 SXM: 2619 MHz and 5120 lines, of
// which NVIDIA's data sheet makes 3.35 TB/s.
func TestPeak(t *testing.T) {
	f := Facts{MemClockMHz: 2619, BusWidthBits: 5120}
	if got := f.PeakBytesPerS(); math.Abs(got-3.352e12) > 1e9 {
		t.Errorf("%g bytes/s, want 3.352e12", got)
	}
}

func TestWords(t *testing.T) {
	k := &Kernel{}
	words, err := Work{Kernel: k, Grid: 1, Block: 32, Args: []any{uint32(7), uint64(1) << 40, float32(1)}}.words()
	if want := []uint64{7, 1 << 40, 0x3f800000}; err != nil || !slices.Equal(words, want) {
		t.Errorf("%x, %v; want %x", words, err, want)
	}
	for _, c := range []struct {
		work Work
		want string
	}{
		{Work{Grid: 1, Block: 1}, "without a kernel"},
		{Work{Kernel: k, Grid: 0, Block: 32}, "0 blocks of 32 threads"},
		{Work{Kernel: k, Grid: 1, Block: 1025}, "1 blocks of 1025 threads"},
		{Work{Kernel: k, Grid: 1, Block: 32, Args: make([]any, maxArgs+1)}, "9 arguments, more than 8"},
		{Work{Kernel: k, Grid: 1, Block: 32, Args: []any{7}}, "argument 0 is a int"},
		{Work{Kernel: k, Grid: 1, Block: 32, Args: []any{&Buffer{}}}, "argument 0 is a closed buffer"},
		{Work{Kernel: k, Grid: 1, Block: 32, Args: []any{Address{&Buffer{}, 16}}}, "argument 0 lies at byte 16 of a buffer of 0"},
	} {
		if _, err := c.work.words(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.work, err, c.want)
		}
	}
}
