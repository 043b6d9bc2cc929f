package text

import (
	"fmt"
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	const kib, mib, gib, tib, pib, eib = 1 << 10, 1 << 20, 1 << 30, 1 << 40, 1 << 50, 1 << 60
	for bytes, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "1000 B", 1023: "1023 B", kib: "1 KiB", kib + kib/2: "1.5 KiB",
		mib - 1: "1 MiB", mib - kib: "1023 KiB", mib: "1 MiB", 10*mib - 1: "10 MiB", 12*mib + 345*kib: "12.3 MiB", 100*mib - 1: "100 MiB", 720 * mib: "720 MiB",
		999 * mib: "999 MiB", 1000 * mib: "1000 MiB", gib - 1: "1 GiB", 4 * gib: "4 GiB", 3 * gib / 2: "1.5 GiB", 1020 * gib: "1020 GiB",
		tib: "1 TiB", 4127 * gib: "4.03 TiB", 999 * tib: "999 TiB", pib: "1 PiB", 25 * pib: "25 PiB", eib: "1 EiB", math.MaxInt64: "8 EiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
	// Whatever the size, what is printed is within half a unit of its last digit, and without an exponent.
	for shift := range 63 {
		for _, off := range []int64{-1, 0, 1} {
			n := int64(1)<<shift + off
			var v float64
			var unit string
			if _, err := fmt.Sscanf(Size(n), "%f %s", &v, &unit); err != nil || v >= 1024 {
				t.Fatalf("%d: %q, %v", n, Size(n), err)
			}
			factor := map[string]float64{"B": 1, "KiB": kib, "MiB": mib, "GiB": gib, "TiB": tib, "PiB": pib, "EiB": eib}[unit]
			if math.Abs(v*factor-float64(n)) > 0.005*float64(n)+0.5 {
				t.Errorf("%d: %q", n, Size(n))
			}
		}
	}
}
