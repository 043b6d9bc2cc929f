package cupti

import "testing"

// TestTimeline: times of a clock that runs at another rate and from another epoch come out right, also before and
// after the two moments that are known, and at magnitudes of a wall clock.
func TestTimeline(t *testing.T) {
	const epoch = 1_790_000_000_000_000_000 // ns; a day in 2026
	cupti := func(host int64) int64 { return epoch + host + host/2_000 }
	a := clocks{hostNS: 4_000_000_000_000, cuptiNS: cupti(4_000_000_000_000), errorNS: 40}
	b := clocks{hostNS: 4_010_000_000_000, cuptiNS: cupti(4_010_000_000_000), errorNS: 30}
	line := timeline{a, b}
	if e := line.errorNS(); e != 40 {
		t.Errorf("off by no more than %d ns, want the larger of both", e)
	}
	for _, host := range []int64{3_999_000_000_000, a.hostNS, 4_000_000_001_000, 4_005_000_000_000, b.hostNS, 4_011_000_000_000} {
		if got := line.host(cupti(host)); got < host-2 || got > host+2 {
			t.Errorf("host time %d comes back as %d", host, got)
		}
	}
	// One moment alone: the rates are taken as equal.
	if got := (timeline{a, a}).host(a.cuptiNS + 500); got != a.hostNS+500 {
		t.Errorf("500 ns after the only known moment is %d, want %d", got, a.hostNS+500)
	}
}
