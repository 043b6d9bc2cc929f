//go:build cuda

package cuda

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"llmscale/cuda/internal/emulator"
	"llmscale/cuda/kernels"
)

// open is the first GPU; without one the test is skipped with the reason.
func open(t *testing.T) *Device {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func alloc(t *testing.T, d *Device, bytes int64) *Buffer {
	t.Helper()
	b, err := d.Alloc(bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func kernel(t *testing.T, d *Device, name string) *Kernel {
	t.Helper()
	k, err := d.Kernel(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestFacts(t *testing.T) {
	d := open(t)
	f := d.Facts()
	t.Logf("%+v", f)
	if f.Name == "" || !strings.HasPrefix(f.UUID, "GPU-") || f.SMs < 1 || f.L2Bytes < 1 || f.TotalBytes < 1 || f.PeakBytesPerS() < 1e9 {
		t.Errorf("the facts have gaps: %+v", f)
	}
	free, total, err := d.MemInfo()
	if err != nil {
		t.Fatal(err)
	}
	if free < 1 || free > total || total > f.TotalBytes {
		t.Errorf("%d of %d bytes free on a card of %d", free, total, f.TotalBytes)
	}
	if _, err := Open(99); err == nil || !strings.Contains(err.Error(), "there is no GPU 99") {
		t.Errorf("GPU 99: %v", err)
	}
}

func TestReserve(t *testing.T) {
	d := open(t)
	before, _, err := d.MemInfo()
	if err != nil {
		t.Fatal(err)
	}
	bytes := before / 4
	r, err := d.Reserve(bytes)
	if err != nil {
		t.Fatal(err)
	}
	during, _, err := d.MemInfo()
	if err != nil {
		t.Fatal(err)
	}
	if before-during < bytes {
		t.Errorf("%d bytes reserved, and %d fewer are free", bytes, before-during)
	}
	if r.Bytes() != bytes {
		t.Errorf("%d bytes, want %d", r.Bytes(), bytes)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Reserve(d.Facts().TotalBytes * 2); !errors.Is(err, ErrNoMemory) {
		t.Errorf("twice the card: %v, want ErrNoMemory", err)
	}
	after, _, err := d.MemInfo()
	if err != nil {
		t.Fatal(err)
	}
	if after < before-1<<26 {
		t.Errorf("%d bytes free before, %d after: a refused reservation keeps memory", before, after)
	}
}

func TestCopyAndRun(t *testing.T) {
	d := open(t)
	const vectors, seed = 1000, 3
	b := alloc(t, d, vectors*kernels.VectorBytes)
	if err := d.Run(Work{Kernel: kernel(t, d, "ls_fill"), Grid: 3, Block: 64, Args: []any{b, uint64(vectors), uint32(seed)}}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, vectors*kernels.VectorBytes)
	if err := b.Download(got); err != nil {
		t.Fatal(err)
	}
	for e := range uint32(vectors * 4) {
		if v := math.Float32frombits(binary.LittleEndian.Uint32(got[4*e:])); v != kernels.Pattern(e, seed) {
			t.Fatalf("element %d is %v, want %v", e, v, kernels.Pattern(e, seed))
		}
	}
	got[5]++
	if err := b.Upload(got); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(got))
	if err := b.Download(back); err != nil {
		t.Fatal(err)
	}
	if string(back) != string(got) {
		t.Error("what came back is not what was uploaded")
	}
	if err := b.Upload(make([]byte, len(got)+1)); err == nil {
		t.Error("an upload past the end is not refused")
	}
	if _, err := d.Kernel("ls_none"); err == nil {
		t.Error("a kernel that does not exist is found")
	}
}

func TestTime(t *testing.T) {
	d := open(t)
	empty := Work{Kernel: kernel(t, d, "ls_empty"), Grid: 1, Block: 32}
	for _, timing := range []Timing{
		{Work: empty, Passes: 5},
		{Work: empty, Passes: 5, Count: MaxHeld},
		{Work: empty, Passes: 5, Count: 64, Graph: true},
		{Work: empty, Passes: 5, Before: &empty},
	} {
		times, err := d.Time(timing)
		if err != nil {
			t.Fatal(err)
		}
		if len(times.Seconds)+times.Discarded != 5 || len(times.Seconds) == 0 {
			t.Errorf("%+v: %d passes and %d discarded", timing, len(times.Seconds), times.Discarded)
		}
		for _, s := range times.Seconds {
			if !(s > 0 && s < 1) {
				t.Errorf("%+v: a pass took %v s", timing, s)
			}
		}
	}
	if _, err := d.Time(Timing{Work: empty, Passes: 1, Count: MaxHeld + 1}); err == nil {
		t.Error("more launches than the queue holds are not refused")
	}
	if _, err := d.Time(Timing{Work: empty}); err == nil {
		t.Error("no passes are not refused")
	}
	isolated, err := d.TimeIsolated(empty, 10)
	if err != nil || len(isolated) != 10 || isolated[9] <= 0 {
		t.Errorf("isolated: %v, %v", isolated, err)
	}
}

func TestClose(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Alloc(64)
	if err != nil {
		t.Fatal(err)
	}
	k, err := d.Kernel("ls_fill")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "1 buffers were still open") {
		t.Errorf("a forgotten buffer: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("a buffer's Close after its device's: %v", err)
	}
	if err := d.Run(Work{Kernel: k, Grid: 1, Block: 32, Args: []any{b}}); err == nil {
		t.Error("a closed buffer is used")
	}
	for what, err := range map[string]error{
		"Alloc":  func() error { _, err := d.Alloc(1); return err }(),
		"Kernel": func() error { _, err := d.Kernel("ls_empty"); return err }(),
		"Run":    d.Run(Work{Kernel: k, Grid: 1, Block: 32}),
		"Upload": b.Upload([]byte{1}),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s on a closed device: %v", what, err)
		}
	}
}

// TestSerialLaunches: under what waits for every launch, as ncu does, a stream that is held back is let go by its timeout
// alone and its passes are thrown away; with LLMSCALE_NEVER_HOLD none is held back.
func TestSerialLaunches(t *testing.T) {
	if os.Getenv(emulator.Serial) == "" {
		t.Skip("this driver does not wait for every launch")
	}
	d := open(t)
	times, err := d.Time(Timing{Work: Work{Kernel: kernel(t, d, "ls_empty"), Grid: 1, Block: 32}, Passes: 1})
	switch {
	case neverHold && (err != nil || len(times.Seconds) != 1):
		t.Errorf("not held back: %+v, %v", times, err)
	case !neverHold && (err == nil || !strings.Contains(err.Error(), "none of 1 passes could be held back")):
		t.Errorf("held back: %+v, %v", times, err)
	}
}
