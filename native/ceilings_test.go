//go:build native

package native

import (
	"strings"
	"testing"

	"llmscale/runner/ceilings"
)

// TestProbeCPU holds a small probe against what no CPU falls short of or exceeds.
func TestProbeCPU(t *testing.T) {
	for _, threads := range []int{1, 2, 3} {
		shares := 0
		d, err := ProbeCPU(ProbeOptions{Name: "a CPU", Threads: threads, MaxBytes: 1 << 20, Quick: true, Progress: func(share float64) {
			if shares++; !(share > 0 && share <= 1) {
				t.Errorf("progress %v", share)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind != ceilings.CPU || d.Name != "a CPU" || d.Threads != threads {
			t.Errorf("%+v", d)
		}
		if len(d.Bandwidth) != 2*5 || shares != 5 {
			t.Errorf("%d bandwidths, %d steps of progress; want 64 KiB to 1 MiB, in two ways", len(d.Bandwidth), shares)
		}
		for _, b := range d.Bandwidth {
			if b.Op != ceilings.Read || b.BytesPerPass%b.WorkingSetB != 0 || b.WorkingSetB > 1<<20 || b.WorkingSetB < 64<<10-int64(threads)*4096 {
				t.Errorf("%+v", b)
			}
			// On a busy machine three threads on two processors wait for each other for milliseconds.
			if !(b.BytesPerS > 1e5 && b.BestBytesPerS >= b.BytesPerS && b.BestBytesPerS < 1e14) || b.Passes < 5 || b.RelativeSpread < 0 {
				t.Errorf("%d threads: %+v cannot be", threads, b)
			}
		}
		if len(d.Compute) != 1 || !(d.Compute[0].FlopPerS > 1e6 && d.Compute[0].BestFlopPerS < 1e15) || d.Compute[0].Unit != ceilings.FMA32 {
			t.Errorf("%+v", d.Compute)
		}
		if threads == 1 {
			if len(d.Launch) != 0 || !strings.Contains(d.NotMeasured[ceilings.Barrier], "single thread") {
				t.Errorf("a barrier of one thread: %+v, %v", d.Launch, d.NotMeasured)
			}
		} else if len(d.Launch) != 1 || !(d.Launch[0].US > 1e-3) || d.Launch[0].BestUS > d.Launch[0].US || d.Launch[0].How != ceilings.Barrier {
			t.Errorf("%+v, %v", d.Launch, d.NotMeasured)
		}
	}
}

func TestShimRefusesBadProbes(t *testing.T) {
	for _, bad := range [][5]int{{1 << 20, 1, 2, 1, 1}, {1 << 20, 1, 1, 0, 1}, {1 << 20, 1, 1, 1, 0}, {4095, 1, 1, 1, 1}, {1 << 20, -1, 1, 1, 1}} {
		if _, _, err := readPasses(int64(bad[0]), bad[1], bad[2], bad[3], bad[4]); err == nil {
			t.Errorf("size %d, threads %d, streams %d, sweeps %d, passes %d is accepted", bad[0], bad[1], bad[2], bad[3], bad[4])
		}
	}
	if _, _, err := fmaPasses(0, 1, 1); err == nil {
		t.Error("multiply-adds with no thread")
	}
	if _, _, err := fmaPasses(1, 0, 1); err == nil {
		t.Error("no multiply-adds")
	}
	if _, err := barrierPasses(1, 1, 1); err == nil {
		t.Error("a barrier of one thread")
	}
	if _, err := barrierPasses(2, 0, 1); err == nil {
		t.Error("no barriers")
	}
	if _, _, err := readPasses(1<<55, 1, 1, 1, 1); err == nil {
		t.Error("there is memory for 32 PiB")
	}
}

// TestReadCountsBytes: twice the sweeps read twice the bytes, in both ways of reading.
func TestReadCountsBytes(t *testing.T) {
	for _, streams := range streamCounts {
		_, once, err := readPasses(1<<20+5000, 2, streams, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, twice, err := readPasses(1<<20+5000, 2, streams, 2, 1)
		if err != nil || once != 1<<20 || twice != 2*once {
			t.Errorf("%d streams: %d and %d bytes (%v)", streams, once, twice, err)
		}
	}
	_, flop, err := fmaPasses(2, 10_000, 1)
	_, more, err2 := fmaPasses(1, 10_000, 1)
	if err != nil || err2 != nil || flop != 2*more || more < 10_000*2*4 {
		t.Errorf("%d and %d operations (%v, %v)", flop, more, err, err2)
	}
}
