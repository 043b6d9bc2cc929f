package native

import (
	"fmt"
	"slices"

	"llmscale/runner/ceilings"
)

// ProbeOptions says how ProbeCPU measures.
type ProbeOptions struct {
	Name     string // of the processor, for Device.Name
	Threads  int    // as many as inference uses; 0 = 1
	MaxBytes int64  // largest working set; 0 = 1 GiB, or 512 MiB where Quick. It should fit into free memory with room to spare
	Quick    bool   // a few seconds instead of half a minute: fewer passes, half the largest working set

	// Progress, if not nil, hears which share of the sizes has been read, in [0, 1].
	Progress func(share float64)
}

const (
	smallestSet = 64 << 10
	largestSet  = 1 << 30
	readWarmups = 2 // passes left out: page tables, clocks
)

// streamCounts are the ways to read that are tried: see ls_read_bandwidth.
var streamCounts = []int{1, 4}

// effort is how long a probe may take.
type effort struct {
	largest              int64   // working set, bytes
	readS                float64 // seconds for each size and way of reading, large sizes excepted
	passMS               float64 // least time of a pass: what the clock and the start of the threads take must not count
	minPasses, maxPasses int
}

func (o ProbeOptions) effort() effort {
	e := effort{largest: largestSet, readS: 0.6, passMS: 2, minPasses: 9, maxPasses: 51}
	if o.Quick {
		e = effort{largest: largestSet / 2, readS: 0.08, passMS: 0.5, minPasses: 5, maxPasses: 31}
	}
	if o.MaxBytes > 0 {
		e.largest = min(e.largest, o.MaxBytes)
	}
	return e
}

// passes is how many passes of the given seconds the effort allows.
func (e effort) passes(s float64) int {
	return min(max(int(e.readS/s), e.minPasses), e.maxPasses)
}

// probes are the calls into the shim, a struct so that tests can do without it.
type probes struct {
	// read returns each pass's seconds and the bytes that a pass reads.
	read func(size int64, threads, streams, sweeps, passes int) ([]float64, int64, error)
	// fma returns each pass's seconds and floating-point operations.
	fma func(threads int, steps int64, passes int) ([]float64, int64, error)
	// barrier returns each pass's seconds.
	barrier func(threads int, barriers int64, passes int) ([]float64, error)
}

// probeCPU measures with p; an error says that not even reading could be measured.
func probeCPU(p probes, o ProbeOptions) (ceilings.Device, error) {
	o.Threads = max(o.Threads, 1)
	d := ceilings.Device{Kind: ceilings.CPU, Name: o.Name, Threads: o.Threads, NotMeasured: map[string]string{
		ceilings.Write + ", " + ceilings.Copy + ", " + ceilings.Triad: "decode on a CPU is bound by what it reads; it writes next to nothing",
		"matvec": "measured on GPUs only",
	}}
	e := o.effort()
	// A page for each thread is the least that can be shared out.
	var sizes []int64
	for s := max(smallestSet, pow2(4096*int64(o.Threads))); s <= e.largest; s *= 2 {
		sizes = append(sizes, s)
	}
	for i, size := range sizes {
		for _, streams := range streamCounts {
			b, err := probeRead(p, e, size, o.Threads, streams)
			if err != nil {
				return ceilings.Device{}, err
			}
			d.Bandwidth = append(d.Bandwidth, b)
		}
		if o.Progress != nil {
			o.Progress(float64(i+1) / float64(len(sizes)+1))
		}
	}
	if len(sizes) == 0 {
		d.NotMeasured[ceilings.Read] = fmt.Sprintf("no working set of %d bytes or less can be shared by %d threads", e.largest, o.Threads)
	}
	if c, err := probeFMA(p, e, o.Threads); err != nil {
		d.NotMeasured[ceilings.FMA32] = err.Error()
	} else {
		d.Compute = append(d.Compute, c)
	}
	if o.Threads == 1 {
		d.NotMeasured[ceilings.Barrier] = "a single thread waits for no other"
	} else if l, err := probeBarrier(p, e, o.Threads); err != nil {
		d.NotMeasured[ceilings.Barrier] = err.Error()
	} else {
		d.Launch = append(d.Launch, l)
	}
	return d, nil
}

// pow2 is the smallest power of two that is at least n.
func pow2(n int64) int64 {
	p := int64(1)
	for p < n {
		p *= 2
	}
	return p
}

func probeRead(p probes, e effort, size int64, threads, streams int) (ceilings.Bandwidth, error) {
	trial, _, err := p.read(size, threads, streams, 1, readWarmups+1)
	if err != nil {
		return ceilings.Bandwidth{}, err
	}
	sweeps := repeats(last(trial), e)
	passes := e.passes(last(trial) * float64(sweeps))
	seconds, bytes, err := p.read(size, threads, streams, sweeps, readWarmups+passes)
	if err != nil {
		return ceilings.Bandwidth{}, err
	}
	t := summarise(seconds[readWarmups:])
	return ceilings.Bandwidth{
		Op: ceilings.Read, WorkingSetB: bytes / int64(sweeps), BytesPerPass: bytes, Streams: streams,
		BytesPerS: float64(bytes) / t.median, BestBytesPerS: float64(bytes) / t.best, Passes: passes, RelativeSpread: t.spread,
	}, nil
}

// repeats is how often work that takes s seconds must be done for a pass of the
// effort's length; a clock that did not move counts as 50 ns.
func repeats(s float64, e effort) int {
	return max(int(e.passMS*1e-3/max(s, 50e-9)), 1)
}

func probeFMA(p probes, e effort, threads int) (ceilings.Compute, error) {
	const trialSteps = 10_000
	trial, _, err := p.fma(threads, trialSteps, 3)
	if err != nil {
		return ceilings.Compute{}, err
	}
	steps := int64(trialSteps) * int64(10*repeats(last(trial), e)) // at least ten of read's passes: nothing here is short by nature
	passes := e.maxPasses
	seconds, flop, err := p.fma(threads, steps, readWarmups+passes)
	if err != nil {
		return ceilings.Compute{}, err
	}
	t := summarise(seconds[readWarmups:])
	return ceilings.Compute{
		Unit: ceilings.FMA32, FlopPerS: float64(flop) / t.median, BestFlopPerS: float64(flop) / t.best,
		Passes: passes, PassMS: t.median * 1e3, RelativeSpread: t.spread,
	}, nil
}

func probeBarrier(p probes, e effort, threads int) (ceilings.Launch, error) {
	const trialCount = 100
	trial, err := p.barrier(threads, trialCount, 3)
	if err != nil {
		return ceilings.Launch{}, err
	}
	count := int64(trialCount) * int64(repeats(last(trial), e))
	passes := e.passes(last(trial) * float64(count) / trialCount)
	seconds, err := p.barrier(threads, count, readWarmups+passes)
	if err != nil {
		return ceilings.Launch{}, err
	}
	t := summarise(seconds[readWarmups:])
	us := 1e6 / float64(count)
	return ceilings.Launch{
		How: ceilings.Barrier, US: t.median * us, BestUS: t.best * us, Count: int(count), Passes: passes, RelativeSpread: t.spread,
	}, nil
}

func last(s []float64) float64 { return s[len(s)-1] }

// passTimes sum up the seconds of equal passes.
type passTimes struct{ median, best, spread float64 }

func summarise(seconds []float64) passTimes {
	s := slices.Sorted(slices.Values(seconds))
	quantile := func(q float64) float64 { // between neighbours, as R's type 7
		at := q * float64(len(s)-1)
		i := min(int(at), len(s)-2)
		if i < 0 {
			return s[0]
		}
		return s[i] + (at-float64(i))*(s[i+1]-s[i])
	}
	m := quantile(0.5)
	return passTimes{m, s[0], (quantile(0.75) - quantile(0.25)) / m}
}
