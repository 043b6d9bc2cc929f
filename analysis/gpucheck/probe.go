package gpucheck

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"llmscale/runner/ceilings"
)

// datasheets are the vendor's bandwidths, bytes per second, by the driver's name of the card. What is known of such cards
// is told in shares of these; by clock and width a driver reckons some per cent more.
var datasheets = map[string]float64{
	"NVIDIA H200":           4.8e12,
	"NVIDIA H100 80GB HBM3": 3.35e12, // SXM
}

// peak is what a bandwidth is judged by: the datasheet's, where the card's is known, else the driver's; 0 without either.
func (r *Report) peak() float64 {
	if sheet, ok := datasheets[r.Device.Name]; ok {
		return sheet
	}
	if p := r.Device.PeakBytesPerS; p != nil {
		return *p
	}
	return 0
}

// ofPeak tells a bandwidth as shares of both peaks, of those that are known.
func (r *Report) ofPeak(bytesPerS float64) (out string) {
	if sheet, ok := datasheets[r.Device.Name]; ok {
		out += fmt.Sprintf(", %.1f %% of the datasheet's %.0f", 100*bytesPerS/sheet, sheet/1e9)
	}
	if p := r.Device.PeakBytesPerS; p != nil && *p > 0 {
		out += fmt.Sprintf(", %.1f %% of the driver's %.0f", 100*bytesPerS / *p, *p/1e9)
	}
	return out
}

// probe holds the card's ceilings against what is known of such cards.
func (r *Report) probe(dir string) {
	const readShare, launchUS = 0.92, 3.0 // docs/gpu.md has the sources
	askedRead := fmt.Sprintf("at least %.0f %% of the datasheet's peak", 100*readShare)
	askedLaunch := fmt.Sprintf("near 2 us, at most %g", launchUS)
	f, err := ceilings.Load(filepath.Join(dir, ceilings.FileName))
	if err == nil {
		for i := range f.Devices {
			if f.Devices[i].Kind == ceilings.CUDA {
				r.Device = &f.Devices[i]
			}
		}
		if r.Device == nil {
			err = errors.New("the probe has no GPU in it")
		}
	}
	if err != nil {
		r.missing("read bandwidth", askedRead, ceilings.FileName, err)
		r.missing("back-to-back launch", askedLaunch, ceilings.FileName, err)
		return
	}
	best := map[string]ceilings.Bandwidth{} // by operation, over working sets that no cache holds
	const beyondCaches = 1 << 30
	for _, b := range r.Device.Bandwidth {
		if b.WorkingSetB >= beyondCaches && b.BytesPerS > best[b.Op].BytesPerS {
			best[b.Op] = b
		}
	}
	for _, op := range []string{ceilings.Read, ceilings.Write, ceilings.Copy, ceilings.Triad} {
		b, ok := best[op]
		finding := Finding{What: op + " bandwidth", Where: ceilings.FileName, Verdict: Stated}
		if op == ceilings.Read {
			finding.Asked = askedRead
		}
		if !ok {
			finding.Verdict, finding.Why = NotMeasured, "no working set of 1 GiB or more: "+r.Device.NotMeasured["bandwidth"]
			r.add(finding)
			continue
		}
		finding.Measured = fmt.Sprintf("%.0f GB/s", b.BytesPerS/1e9)
		judged := r.peak()
		if judged > 0 && op == ceilings.Read {
			finding.Verdict = AsExpected
			if b.BytesPerS < readShare*judged {
				finding.Verdict, finding.Why = Differs, "below what tuned read kernels reach on such cards: the kernel, its launch shape, or the memory clock (in the file)"
			}
		} else if op == ceilings.Read {
			finding.Verdict, finding.Why = NotMeasured, "neither is the card's datasheet known nor gives the driver a memory clock to reckon the peak from"
		}
		finding.Measured += r.ofPeak(b.BytesPerS)
		r.add(finding)
	}
	for _, how := range []string{ceilings.LaunchBackToBack, ceilings.LaunchGraph, ceilings.LaunchIsolated} {
		finding := Finding{What: "launch, " + strings.ReplaceAll(how, "_", " "), Where: ceilings.FileName, Verdict: NotMeasured, Why: "not in the file"}
		if how == ceilings.LaunchBackToBack {
			finding.Asked = askedLaunch
		}
		for _, l := range r.Device.Launch {
			if l.How == how {
				finding.Measured, finding.Verdict, finding.Why = fmt.Sprintf("%.2f us", l.US), Stated, ""
				if how == ceilings.LaunchBackToBack {
					finding.Verdict = AsExpected
					if l.US > launchUS {
						finding.Verdict, finding.Why = Differs, "a slower driver path or host than those the expectation comes from"
					}
				}
			}
		}
		r.add(finding)
	}
	if len(r.Device.Wrong) > 0 {
		r.add(Finding{What: "kernels' answers", Asked: "right", Measured: "wrong: " + strings.Join(r.Device.Wrong, ", "), Verdict: Differs, Where: ceilings.FileName,
			Why: "their figures are left out"})
	} else {
		r.add(Finding{What: "kernels' answers", Asked: "right", Measured: "all right", Verdict: AsExpected, Where: ceilings.FileName})
	}
}
