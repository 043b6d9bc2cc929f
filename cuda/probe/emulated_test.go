//go:build cuda

package probe_test

import (
	"os"
	"strings"
	"testing"

	"llmscale/cuda"
	"llmscale/cuda/internal/emulator"
	"llmscale/cuda/probe"
)

func TestEmulatedGPU(t *testing.T) {
	if os.Getenv(emulator.Variable) != "" {
		t.Skip("this is the emulated GPU")
	}
	emulator.Build(t, "../kernels").Run(t, nil, "TestProbe", "TestSmallCard")
}

// TestWrongAnswers has kernels that do nothing: their figures must be missing, and
// their names among the wrong ones.
func TestWrongAnswers(t *testing.T) {
	if os.Getenv(emulator.Variable) != "" {
		t.Skip("this is the emulated GPU")
	}
	driver := emulator.Build(t, "../kernels")
	for _, kernel := range []string{"ls_read", "ls_write", "ls_copy", "ls_triad", "ls_matvec_f16", "ls_fma", "ls_mma_f16"} {
		t.Run(kernel, func(t *testing.T) {
			driver.Run(t, []string{emulator.Fault + "=" + kernel}, "TestFault")
		})
	}
}

func TestFault(t *testing.T) {
	fault := os.Getenv(emulator.Fault)
	if fault == "" {
		t.Skip("no kernel is at fault")
	}
	r, err := probe.Run(open(t), probe.Options{Quick: true, WorkingSets: []int64{8 << 10}, Shapes: [][2]int{{4, 256}}, Passes: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kernel, wrong string
		figures       int // that are left
		all           int
	}{
		{"ls_read", "read over 8 KiB", len(r.Bandwidth), 8},
		{"ls_write", "write over 8 KiB", len(r.Bandwidth), 8},
		{"ls_copy", "copy over 8 KiB", len(r.Bandwidth), 8},
		{"ls_triad", "triad over 7.97 KiB", len(r.Bandwidth), 8},
		{"ls_matvec_f16", "matvec f16 4x256", len(r.MatVec), 6},
		{"ls_fma", "fma_f32, burst", len(r.Compute), 2},
		{"ls_mma_f16", "tensor_f16_f32acc, burst", len(r.Compute), 2},
	} {
		if c.kernel != fault {
			continue
		}
		if len(r.Wrong) == 0 || !strings.HasPrefix(r.Wrong[0], c.wrong+": ") {
			t.Errorf("wrong: %q, want %s", r.Wrong, c.wrong)
		}
		if c.figures >= c.all {
			t.Errorf("%d figures of %d are left", c.figures, c.all)
		}
	}
}

func open(t *testing.T) *cuda.Device {
	t.Helper()
	if err := cuda.Available(); err != nil {
		t.Skip(err)
	}
	d, err := cuda.Open(0)
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

// TestProbe runs every kind of measurement, on small data where the GPU is emulated.
func TestProbe(t *testing.T) {
	d := open(t)
	options := probe.Options{Progress: func(what string) { t.Log(what) }}
	// A card may have the size of its L2 among the other sets, or not room for all.
	sets, shapes := 3, 7
	if os.Getenv(emulator.Variable) != "" {
		options.WorkingSets = []int64{8 << 10, 40000}
		options.Shapes = [][2]int{{5, 256}, {16, 768}, {3, 100}}
		options.Passes = 3
		options.SustainedSeconds = 0.1
		sets, shapes = 2, 2
	} else if testing.Short() {
		options.Quick = true
		sets, shapes = 2, 2
	}
	r, err := probe.Run(d, options)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Wrong) > 0 {
		t.Errorf("wrong answers: %q", r.Wrong)
	}
	t.Logf("not measured: %q", r.NotMeasured)
	count := map[string]int{}
	for _, b := range r.Bandwidth {
		t.Logf("%+v", b)
		if !b.Cold {
			count[b.Op]++
		}
		if !(b.BytesPerS > 0 && b.BestBytesPerS >= b.BytesPerS && b.RelativeSpread >= 0) || b.BytesPerPass%b.WorkingSetB != 0 || b.Passes < 1 || b.GridBlocks < 1 || b.BlockThreads < 32 {
			t.Errorf("makes no sense: %+v", b)
		}
	}
	for _, op := range []string{"read", "write", "copy", "triad"} {
		if count[op] < sets || count[op] != count["read"] {
			t.Errorf("%d hot figures of %s, want %d at least and as many as of read, %d", count[op], op, sets, count["read"])
		}
	}
	if want := shapes * 3 * 2; len(r.MatVec) != want {
		t.Errorf("%d matrix-vector figures, want %d", len(r.MatVec), want)
	}
	for _, m := range r.MatVec {
		t.Logf("%+v", m)
		if !(m.US > 0 && m.BytesPerS > 0 && m.MaxError <= m.MaxTolerated) {
			t.Errorf("makes no sense: %+v", m)
		}
	}
	units := map[string]int{}
	for _, c := range r.Compute {
		t.Logf("%+v at %.0f MHz", c, *c.SMClockMHz)
		units[c.Unit]++
		if !(c.FlopPerS > 0 && c.PassMS > 0 && *c.SMClockMHz > 0) {
			t.Errorf("makes no sense: %+v", c)
		}
	}
	for _, u := range []string{"fma_f32", "tensor_f16_f32acc"} {
		if want := map[bool]int{false: 2, true: 1}[options.Quick]; units[u] != want {
			t.Errorf("%d figures of %s, want %d", units[u], u, want)
		}
	}
	how := map[string]bool{}
	for _, l := range r.Launch {
		t.Logf("%+v", l)
		how[l.How] = l.US > 0 && l.BestUS <= l.US && l.Passes > 0 && l.Count > 0
	}
	for _, want := range []string{"isolated", "back_to_back", "graph"} {
		if !how[want] {
			t.Errorf("no sensible figure of launches %s", want)
		}
	}
	if r.Name == "" || r.Kind != "cuda" || r.SMClockMHz == nil || r.PeakBytesPerS == nil {
		t.Errorf("the device's own fields have gaps: %+v", r)
	}
}

// TestSmallCard has most of the card's memory reserved: what does not fit is named.
func TestSmallCard(t *testing.T) {
	d := open(t)
	free, _, err := d.MemInfo()
	if err != nil {
		t.Fatal(err)
	}
	const left = 200 << 20
	reservation, err := d.Reserve(free - left)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := reservation.Close(); err != nil {
			t.Error(err)
		}
	}()
	options := probe.Options{Quick: true, WorkingSets: []int64{4 << 30, 8 << 10}, Shapes: [][2]int{{4, 256}}, Passes: 3}
	r, err := probe.Run(d, options)
	if err != nil {
		t.Fatal(err)
	}
	if reason := r.NotMeasured["bandwidth over 4 GiB"]; reason == "" {
		t.Errorf("4 GiB on %d bytes: no reason in %q", left, r.NotMeasured)
	}
	if len(r.Bandwidth) == 0 || len(r.Wrong) > 0 {
		t.Errorf("the small set: %d figures, wrong %q", len(r.Bandwidth), r.Wrong)
	}
}
