// Package probe measures what a GPU can do at most: how fast it reads, writes and
// copies working sets from its caches' size to gigabytes, multiplies matrices by
// vectors in the shapes of decode, computes on registers, and starts kernels.
//
// It holds three opinions. A time is one of CUDA events with the stream held back
// until all is queued, so that the host's launching is not in it. A figure is kept
// only if the answer that came with it was the reference's; a wrong one is named and
// left out. What could not be measured is named with the reason.
package probe

import (
	"fmt"
	"math"
	"slices"

	"llmscale/cuda"
	"llmscale/internal/text"
	"llmscale/runner/ceilings"
)

// Options choose what is measured; the zero value is the whole probe, within 45 s on
// an H100.
type Options struct {
	// Quick measures a few working sets and shapes and no sustained rates, in seconds.
	Quick bool
	// WorkingSets in bytes; nil: 64 KiB to 4 GiB in steps of 4, and the size of L2.
	WorkingSets []int64
	// Shapes of matrices, rows and columns; nil: those of GPT-2 and of an 8B model.
	Shapes [][2]int
	// Passes of each figure; 0: 30.
	Passes int
	// SustainedSeconds of work before a rate counts as sustained, and again while it
	// is measured; 0: 1.5.
	SustainedSeconds float64
	// Progress is told what is measured next; nil: nobody is.
	Progress func(what string)
}

// Names of what Device.NotMeasured may hold.
const (
	keyMemClock = "mem_clock_mhz"
	keyPeak     = "peak_bytes_per_s"
	keyCold     = "cold passes"
)

func (o Options) withDefaults(l2Bytes int64) Options {
	if o.WorkingSets == nil {
		if o.Quick {
			o.WorkingSets = []int64{1 << 20, 16 << 20, 1 << 30}
		} else {
			for set := int64(64 << 10); set <= 4<<30; set *= 4 {
				o.WorkingSets = append(o.WorkingSets, set)
			}
			if l2Bytes > 0 {
				o.WorkingSets = append(o.WorkingSets, l2Bytes)
			}
		}
	}
	// The largest first: its memory is the buffer for all, and it warms the card up.
	o.WorkingSets = slices.Clone(o.WorkingSets)
	slices.Sort(o.WorkingSets)
	slices.Reverse(o.WorkingSets)
	o.WorkingSets = slices.Compact(o.WorkingSets)
	if o.Shapes == nil {
		if o.Quick {
			o.Shapes = [][2]int{{768, 768}, {4096, 4096}}
		} else {
			o.Shapes = [][2]int{{768, 768}, {3072, 768}, {768, 3072}, {2048, 2048}, {4096, 4096}, {14336, 4096}, {4096, 14336}}
		}
	}
	if o.Passes == 0 {
		o.Passes = 30
		if o.Quick {
			o.Passes = 10
		}
	}
	if o.SustainedSeconds == 0 {
		o.SustainedSeconds = 1.5
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// prober is one run of the probe.
type prober struct {
	dev     *cuda.Device
	facts   cuda.Facts
	options Options
	out     ceilings.Device
	flush   *cuda.Work   // pushes everything out of L2
	sums    *cuda.Buffer // a word for each block of a bandwidth kernel
	buffers []*cuda.Buffer
}

// Run measures the GPU. Where it returns an error, the Device holds what was
// measured until then.
func Run(dev *cuda.Device, options Options) (device ceilings.Device, err error) {
	p := &prober{dev: dev, facts: dev.Facts()}
	p.options = options.withDefaults(p.facts.L2Bytes)
	p.out = ceilings.Device{
		Kind: ceilings.CUDA, Name: p.facts.Name,
		Bandwidth: []ceilings.Bandwidth{}, Compute: []ceilings.Compute{}, MatVec: []ceilings.MatVec{}, Launch: []ceilings.Launch{},
		NotMeasured: map[string]string{keyMemClock: "the driver API does not tell the clock of the moment; the sensors' record does"},
	}
	if peak := p.facts.PeakBytesPerS(); peak > 0 {
		p.out.PeakBytesPerS = &peak
	} else {
		p.out.NotMeasured[keyPeak] = "the driver does not tell the memory's clock or width"
	}
	for _, step := range []func() error{p.launches, p.bandwidth, p.matvecs, p.computes} {
		err := step()
		if freed := p.free(); err == nil {
			err = freed
		}
		if err != nil {
			return p.out, fmt.Errorf("probe: %w", err)
		}
	}
	return p.out, nil
}

// alloc takes memory until free, which runs after each step.
func (p *prober) alloc(bytes int64) (*cuda.Buffer, error) {
	b, err := p.dev.Alloc(bytes)
	if err == nil {
		p.buffers = append(p.buffers, b)
	}
	return b, err
}

func (p *prober) free() error {
	var first error
	for _, b := range p.buffers {
		if err := b.Close(); err != nil && first == nil {
			first = err
		}
	}
	p.buffers = nil
	return first
}

// makeFlush allocates what flush reads: four times L2, whose replacement is not
// strictly by age. Without room for that p.flush is nil, and NotMeasured says so.
func (p *prober) makeFlush() error {
	k, err := p.dev.Kernel("ls_flush")
	if err != nil {
		return err
	}
	const block = 256
	perSM, err := k.BlocksPerSM(block)
	if err != nil {
		return err
	}
	grid := perSM * p.facts.SMs
	bytes := max(4*p.facts.L2Bytes, 1<<20)
	p.flush = nil
	free, _, err := p.dev.MemInfo()
	if err != nil {
		return err
	}
	if bytes > free/4 {
		p.out.NotMeasured[keyCold] = fmt.Sprintf("emptying the L2 cache takes %s and %s of the card's memory are free", text.Size(bytes), text.Size(free))
		return nil
	}
	buffer, err := p.alloc(bytes)
	if err != nil {
		return err
	}
	sums, err := p.alloc(int64(4 * grid))
	if err != nil {
		return err
	}
	p.flush = &cuda.Work{Kernel: k, Grid: grid, Block: block, Args: []any{buffer, uint64(bytes / 16), sums}}
	return nil
}

func (p *prober) wrong(what string, err error) {
	p.out.Wrong = append(p.out.Wrong, fmt.Sprintf("%s: %v", what, err))
}

// stats of the passes' times.
type stats struct {
	median, best, spread float64
}

func summarize(seconds []float64) stats {
	sorted := slices.Clone(seconds)
	slices.Sort(sorted)
	// The quartiles by linear interpolation between order statistics.
	at := func(q float64) float64 {
		position := q * float64(len(sorted)-1)
		low := int(position)
		high := min(low+1, len(sorted)-1)
		return sorted[low] + (position-float64(low))*(sorted[high]-sorted[low])
	}
	m := at(0.5)
	return stats{median: m, best: sorted[0], spread: (at(0.75) - at(0.25)) / m}
}

// median of any values; not a number without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return summarize(values).median
}
