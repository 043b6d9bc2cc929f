package regimes

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
)

// Device is what a device of the run could do at most, the best of what its sessions
// measured.
type Device struct {
	Machine  string            `json:"machine,omitempty"` // its type, where several measured the run
	Kind     string            `json:"kind"`              // cpu or cuda
	Name     string            `json:"name"`
	Threads  int               `json:"n_threads"` // of a CPU; 0 on a GPU
	Sessions int               `json:"measurements"`
	Read     []ceilings.Rate   `json:"read"`     // best rates by working set, as measured
	Envelope []ceilings.Rate   `json:"envelope"` // what shares are taken of: see ceilings.Envelope
	FMA32    *float64          `json:"fma_f32_tflop_per_s"`
	TensorHF *float64          `json:"tensor_f16_tflop_per_s"`
	Missing  map[string]string `json:"not_measured"` // of the last measurement
}

// is reports whether the ceilings are those of a device of a kind on a type of machine; of a
// CPU with that number of threads.
func (d *Device) is(machine, kind string, threads int) bool {
	return d.Machine == machine && d.Kind == kind && (kind != ceilings.CPU || d.Threads == threads)
}

// title names the device as sentences do.
func (d *Device) title() string {
	if d.Machine != "" {
		return deviceTitle(d.Kind, d.Threads) + " of " + d.Machine
	}
	return deviceTitle(d.Kind, d.Threads)
}

func deviceTitle(kind string, threads int) string {
	switch {
	case kind != ceilings.CPU:
		return kind
	case threads == 1:
		return kind + " with 1 thread"
	}
	return fmt.Sprintf("%s with %d threads", kind, threads)
}

// byMachine are the ceilings that the run stored, by the type of the machine on which they were measured: that of the
// records of their session.
func byMachine(c *cells.Set) map[string]*ceilings.File {
	if c.Run.Ceilings == nil {
		return nil
	}
	if len(c.Machines) == 0 || c.Machines[0].Type == "" {
		return map[string]*ceilings.File{"": c.Run.Ceilings}
	}
	out, of := map[string]*ceilings.File{}, map[int]string{}
	for i := range c.Run.Rows {
		r := &c.Run.Rows[i]
		of[r.Session] = r.MachineType
	}
	for _, d := range c.Run.Ceilings.Devices {
		machine, ok := of[d.Session]
		if !ok {
			continue // a session without a record: nobody knows whose
		}
		if out[machine] == nil {
			out[machine] = &ceilings.File{}
		}
		out[machine].Devices = append(out[machine].Devices, d)
	}
	return out
}

// join makes one Device of all measurements of each.
func (a *Answer) join() {
	for _, machine := range slices.Sorted(maps.Keys(a.probed)) {
		f := a.probed[machine]
		for _, d := range f.Devices {
			if !slices.ContainsFunc(a.Devices, func(o Device) bool { return o.is(machine, d.Kind, d.Threads) }) {
				a.Devices = append(a.Devices, best(f.Of(d.Kind, d.Threads)))
				a.Devices[len(a.Devices)-1].Machine = machine
			}
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
	for i := range all {
		for _, c := range all[i].Compute {
			switch v := c.BestFlopPerS / 1e12; {
			case !(v > 0):
			case c.Unit == ceilings.FMA32:
				out.FMA32 = stats.Larger(out.FMA32, &v)
			case c.Unit == ceilings.TensorFP16:
				out.TensorHF = stats.Larger(out.TensorHF, &v)
			}
		}
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
