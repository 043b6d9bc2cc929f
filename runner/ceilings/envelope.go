package ceilings

import (
	"cmp"
	"slices"
)

// Rate is the best rate of reading that was measured at a working set.
type Rate struct {
	WorkingSetB int64   `json:"working_set_bytes"`
	BytesPerS   float64 `json:"bytes_per_s"`
}

// ReadRates are the best rates of reading at each working set, by rising size: of
// all ways to read, launch shapes and passes, cold or not.
func ReadRates(devices ...Device) []Rate {
	best := map[int64]float64{}
	for i := range devices {
		for _, b := range devices[i].Bandwidth {
			rate := max(b.BestBytesPerS, b.BytesPerS)
			if b.Op == Read && b.WorkingSetB > 0 && rate > 0 {
				best[b.WorkingSetB] = max(best[b.WorkingSetB], rate)
			}
		}
	}
	var out []Rate
	for size, rate := range best {
		out = append(out, Rate{size, rate})
	}
	slices.SortFunc(out, func(a, b Rate) int { return cmp.Compare(a.WorkingSetB, b.WorkingSetB) })
	return out
}

// Envelope bounds the rate at which a device can read, by working set. It never
// rises with size: what a larger set was read at, a smaller one can be read at
// too, so that a small set whose passes were slowed by something else counts with
// the larger one's rate.
type Envelope struct {
	rates []Rate // by rising size, falling rate
}

// NewEnvelope joins measurements of one device: the best of them counts.
func NewEnvelope(devices ...Device) Envelope {
	rates := ReadRates(devices...)
	for i := len(rates) - 2; i >= 0; i-- {
		rates[i].BytesPerS = max(rates[i].BytesPerS, rates[i+1].BytesPerS)
	}
	return Envelope{rates}
}

// OK reports whether there is anything to look up.
func (e Envelope) OK() bool { return len(e.rates) > 0 }

// Rates are the envelope's steps.
func (e Envelope) Rates() []Rate { return slices.Clone(e.rates) }

// At bounds the rate at which `bytes` that are read again and again can be read.
// Nothing measured says that atMost can be exceeded, and nothing that reached
// cannot be held: atMost is the envelope at the next smaller working set that was
// measured, reached at the next larger one. Between the two lies the edge of a
// cache where they differ much; a line drawn between them would be too low for
// sets that still fit. Beyond the largest set both are that one's.
func (e Envelope) At(bytes int64) (atMost, reached float64) {
	if len(e.rates) == 0 {
		return 0, 0
	}
	larger, exact := slices.BinarySearchFunc(e.rates, bytes, func(r Rate, b int64) int { return cmp.Compare(r.WorkingSetB, b) })
	smaller := larger
	if !exact {
		smaller--
	}
	last := len(e.rates) - 1
	return e.rates[max(smaller, 0)].BytesPerS, e.rates[min(larger, last)].BytesPerS
}

// Of lists the measurements that hold for inference on a device of a kind; of a
// CPU with that number of threads.
func (f File) Of(kind string, threads int) []Device {
	var out []Device
	for _, d := range f.Devices {
		if d.Kind == kind && (kind != CPU || d.Threads == threads) {
			out = append(out, d)
		}
	}
	return out
}
