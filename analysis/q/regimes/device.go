package regimes

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
)

// Device is what a device of the run could do at most, the best of what its sessions
// measured.
type Device struct {
	Kind      string            `json:"kind"` // cpu or cuda
	Name      string            `json:"name"`
	Threads   int               `json:"n_threads"` // of a CPU; 0 on a GPU
	Sessions  int               `json:"measurements"`
	Read      []ceilings.Rate   `json:"read"`     // best rates by working set, as measured
	Envelope  []ceilings.Rate   `json:"envelope"` // what shares are taken of: see ceilings.Envelope
	PeakGBPS  *float64          `json:"peak_gb_per_s"`
	PeakShare *float64          `json:"read_share_of_peak"` // reading of the largest working set over PeakGBPS
	FMA32     *float64          `json:"fma_f32_tflop_per_s"`
	TensorHF  *float64          `json:"tensor_f16_tflop_per_s"`
	StartUS   *float64          `json:"start_us"` // of the cheapest way to start work
	StartHow  string            `json:"start_how"`
	Missing   map[string]string `json:"not_measured"` // of the last measurement
}

// is reports whether the ceilings are those of a device of a kind; of a CPU with
// that number of threads.
func (d *Device) is(kind string, threads int) bool {
	return d.Kind == kind && (kind != ceilings.CPU || d.Threads == threads)
}

// title names the device as sentences do.
func (d *Device) title() string { return deviceTitle(d.Kind, d.Threads) }

func deviceTitle(kind string, threads int) string {
	switch {
	case kind != ceilings.CPU:
		return kind
	case threads == 1:
		return kind + " with 1 thread"
	}
	return fmt.Sprintf("%s with %d threads", kind, threads)
}

// join makes one Device of all measurements of each.
func (a *Answer) join(f *ceilings.File) {
	for _, d := range f.Devices {
		if !slices.ContainsFunc(a.Devices, func(o Device) bool { return o.is(d.Kind, d.Threads) }) {
			a.Devices = append(a.Devices, best(f.Of(d.Kind, d.Threads)))
		}
	}
}

// best takes the best of several measurements of one device.
func best(all []ceilings.Device) Device {
	last := &all[len(all)-1]
	out := Device{
		Kind: last.Kind, Name: last.Name, Threads: last.Threads, Sessions: len(all),
		Read: ceilings.ReadRates(all...), Envelope: ceilings.NewEnvelope(all...).Rates(), Missing: maps.Clone(last.NotMeasured),
	}
	take := func(have **float64, v float64) {
		if v > 0 && (*have == nil || v > **have) {
			*have = new(v)
		}
	}
	for i := range all {
		if p := all[i].PeakBytesPerS; p != nil {
			take(&out.PeakGBPS, *p/1e9)
		}
		for _, c := range all[i].Compute {
			switch c.Unit {
			case ceilings.FMA32:
				take(&out.FMA32, c.BestFlopPerS/1e12)
			case ceilings.TensorFP16:
				take(&out.TensorHF, c.BestFlopPerS/1e12)
			}
		}
		for _, l := range all[i].Launch {
			if l.US > 0 && (out.StartUS == nil || l.US < *out.StartUS) {
				out.StartUS, out.StartHow = new(l.US), l.How
			}
		}
	}
	if n := len(out.Read); n > 0 && out.PeakGBPS != nil {
		out.PeakShare = stats.Finite(out.Read[n-1].BytesPerS / 1e9 / *out.PeakGBPS)
	}
	return out
}

// rateAt is the best estimate of the rate at which so many bytes are read: between two
// sizes of the probe on the line through both, in logs.
func rateAt(rates []ceilings.Rate, bytes int64) float64 {
	i, _ := slices.BinarySearchFunc(rates, bytes, func(r ceilings.Rate, b int64) int { return cmp.Compare(r.WorkingSetB, b) })
	if i == 0 || i == len(rates) {
		return rates[min(i, len(rates)-1)].BytesPerS
	}
	low, high := rates[i-1], rates[i]
	part := math.Log(float64(bytes)/float64(low.WorkingSetB)) / math.Log(float64(high.WorkingSetB)/float64(low.WorkingSetB))
	return low.BytesPerS * math.Pow(high.BytesPerS/low.BytesPerS, part)
}
