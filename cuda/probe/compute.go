package probe

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"llmscale/cuda"
	"llmscale/cuda/kernels"
	"llmscale/runner/ceilings"
)

// A burst pass is short enough to end before the power limit takes hold, and long
// against the start of a kernel; a sustained pass is long enough that gaps between
// passes do not matter.
const (
	burstSeconds     = 2e-3
	sustainedSeconds = 0.1
	coolDown         = 300 * time.Millisecond // before each burst
)

// unit is one kind of arithmetic.
type unit struct {
	name          string
	kernel        string
	flop          float64 // of one iteration of one block
	minIterations int
	maxIterations int
	outWords      int // floats that a block leaves
	args          func(out, clocks *cuda.Buffer, iterations int) []any
	check         func(out []float32, iterations int) error
}

func (p *prober) computes() error {
	units := []unit{{
		name: ceilings.FMA32, kernel: "ls_fma", flop: kernels.FMAFlopPerIteration, minIterations: 8, maxIterations: kernels.MaxFMAIterations,
		outWords: kernels.ComputeThreads * kernels.FMAChains,
		args: func(out, clocks *cuda.Buffer, iterations int) []any {
			return []any{out, clocks, uint32(iterations), kernels.FMAOne, kernels.FMAStep, kernels.FMAFactor}
		},
		check: kernels.CheckFMA,
	}}
	operands := kernels.NewMMA(1)
	a, b, c := operands.Fragments()
	var fragments []*cuda.Buffer
	for _, words := range [][]uint32{a, b, c} {
		data := make([]byte, 4*len(words))
		for i, w := range words {
			binary.NativeEndian.PutUint32(data[4*i:], w)
		}
		buffer, err := p.alloc(int64(len(data)))
		if err != nil {
			return err
		}
		if err := buffer.Upload(data); err != nil {
			return err
		}
		fragments = append(fragments, buffer)
	}
	units = append(units, unit{
		name: ceilings.TensorFP16, kernel: "ls_mma_f16", flop: kernels.MMAFlopPerIteration, minIterations: 1, maxIterations: kernels.MaxMMAIterations,
		outWords: kernels.ComputeThreads / 32 * kernels.MMATiles * 128,
		args: func(out, clocks *cuda.Buffer, iterations int) []any {
			return []any{fragments[0], fragments[1], fragments[2], out, clocks, uint32(iterations)}
		},
		check: operands.Check,
	})
	for _, sustained := range []bool{false, true} { // all bursts before the card is hot
		for _, u := range units {
			what := u.name + ", burst"
			if sustained {
				what = u.name + ", sustained"
				if p.options.Quick {
					p.out.NotMeasured[what] = "left out of a quick probe"
					continue
				}
			}
			p.options.Progress(what)
			if err := p.compute(what, u, sustained); err != nil {
				return err
			}
		}
	}
	var clocks []float64
	for _, c := range p.out.Compute {
		clocks = append(clocks, *c.SMClockMHz)
	}
	if m := median(clocks); !math.IsNaN(m) {
		p.out.SMClockMHz = &m
	}
	return nil
}

func (p *prober) compute(what string, u unit, sustained bool) error {
	kernel, err := p.dev.Kernel(u.kernel)
	if err != nil {
		return err
	}
	perSM, err := kernel.BlocksPerSM(kernels.ComputeThreads)
	if err != nil {
		return err
	}
	grid := perSM * p.facts.SMs
	out, err := p.alloc(int64(4 * u.outWords * grid))
	if err != nil {
		return err
	}
	clocks, err := p.alloc(16)
	if err != nil {
		return err
	}
	work := func(iterations int) cuda.Work {
		return cuda.Work{Kernel: kernel, Grid: grid, Block: kernels.ComputeThreads, Args: u.args(out, clocks, iterations)}
	}

	// How many iterations last as long as a burst shall. The first guess is so short
	// that starting the kernel is most of it, hence the corrections.
	iterations, passSeconds := u.minIterations, 0.0
	for range 3 {
		times, err := p.dev.Time(cuda.Timing{Work: work(iterations), Passes: 3, Warmups: 2})
		if err != nil {
			return err
		}
		next := clamp(float64(iterations)*burstSeconds/summarize(times.Seconds).best, u.minIterations, u.maxIterations)
		passSeconds = summarize(times.Seconds).best * float64(next) / float64(iterations)
		iterations = next
	}
	if !sustained {
		time.Sleep(coolDown)
	}
	timing := cuda.Timing{Work: work(iterations), Passes: p.options.Passes, Warmups: 3}
	if sustained {
		timing.Count = clamp(sustainedSeconds/passSeconds, 1, cuda.MaxHeld)
		timing.Passes = max(3, int(math.Ceil(2*p.options.SustainedSeconds/sustainedSeconds)))
		timing.Warmups = 1
	}
	times, err := p.dev.Time(timing)
	if err != nil {
		return err
	}
	seconds := times.Seconds
	if sustained {
		seconds = seconds[len(seconds)/2:] // the first half brought the card to its limit
	}

	raw := make([]byte, out.Bytes())
	if err := out.Download(raw); err != nil {
		return err
	}
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.NativeEndian.Uint32(raw[4*i:]))
	}
	if err := u.check(values, iterations); err != nil {
		p.wrong(what, err)
		return nil
	}
	ticks := make([]byte, 16)
	if err := clocks.Download(ticks); err != nil {
		return err
	}
	cycles, ns := binary.NativeEndian.Uint64(ticks), binary.NativeEndian.Uint64(ticks[8:])
	if cycles == 0 || ns == 0 {
		p.wrong(what, fmt.Errorf("a block took %d cycles and %d ns", cycles, ns))
		return nil
	}
	mhz := float64(cycles) / float64(ns) * 1e3
	s := summarize(seconds)
	flop := u.flop * float64(grid) * float64(iterations) * float64(max(timing.Count, 1))
	p.out.Compute = append(p.out.Compute, ceilings.Compute{
		Unit: u.name, FlopPerS: flop / s.median, BestFlopPerS: flop / s.best, Passes: len(seconds),
		PassMS: s.median * 1e3, RelativeSpread: s.spread, Sustained: sustained, SMClockMHz: &mhz,
	})
	return nil
}

func clamp(v float64, low, high int) int {
	return int(math.Min(math.Max(math.Round(v), float64(low)), float64(high)))
}
