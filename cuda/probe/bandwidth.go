package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"llmscale/cuda"
	"llmscale/cuda/kernels"
	"llmscale/internal/text"
	"llmscale/runner/ceilings"
)

// Seeds of the arrays: those that are read, and what a destination holds before.
const (
	seedB     = 1
	seedC     = 2
	seedStale = 3
)

// hotBytes is what a hot pass moves at least, by going over a small set again: it
// then lasts much longer than a kernel takes to start. maxRepeats bounds it for sets
// so small that latency and not bandwidth decides.
const (
	hotBytes   = 64 << 20
	maxRepeats = 256
)

// blockSizes are the threads of a block that are tried, each with as many blocks as
// run at once and with one for each chunk.
var blockSizes = []int{64, 128, 256, 512, 1024}

// arrays of a working set: each op uses the first so many, `vectors` long each.
type arrays struct {
	memory  *cuda.Buffer
	vectors uint64
	count   int
}

func (a arrays) at(i int) cuda.Address {
	return cuda.Address{Buffer: a.memory, Offset: int64(i) * int64(a.vectors) * kernels.VectorBytes}
}

func (a arrays) bytes() int64 { return int64(a.count) * int64(a.vectors) * kernels.VectorBytes }

// operation is one of the four, as a kernel with its arguments.
type operation struct {
	name   string
	kernel string
	arrays int
	unroll int // vectors of a thread in a chunk, as in bandwidth.cu
	args   func(a arrays, repeats uint32, sums *cuda.Buffer) []any
}

const smallestUnroll = 4

var operations = []operation{
	{ceilings.Read, "ls_read", 1, 8, func(a arrays, repeats uint32, sums *cuda.Buffer) []any {
		return []any{a.at(0), a.vectors, repeats, sums}
	}},
	{ceilings.Write, "ls_write", 1, 4, func(a arrays, repeats uint32, _ *cuda.Buffer) []any {
		return []any{a.at(0), a.vectors, repeats, float32(kernels.WriteValue)}
	}},
	{ceilings.Copy, "ls_copy", 2, 4, func(a arrays, repeats uint32, _ *cuda.Buffer) []any {
		return []any{a.at(0), a.at(1), a.vectors, repeats}
	}},
	{ceilings.Triad, "ls_triad", 3, 4, func(a arrays, repeats uint32, _ *cuda.Buffer) []any {
		return []any{a.at(0), a.at(1), a.at(2), a.vectors, repeats, float32(kernels.TriadScale)}
	}},
}

// bandwidth measures all operations over all working sets.
func (p *prober) bandwidth() error {
	if err := p.makeFlush(); err != nil {
		return err
	}
	free, _, err := p.dev.MemInfo()
	if err != nil {
		return err
	}
	// Some is left for the driver and for whoever else is on the card.
	room := free - free/16 - 64<<20
	var memory *cuda.Buffer
	for _, set := range p.options.WorkingSets {
		what := "bandwidth over " + text.Size(set)
		if set > room {
			p.out.NotMeasured[what] = fmt.Sprintf("it does not fit: %s of the card's memory are free", text.Size(free))
			continue
		}
		if set < 3*kernels.VectorBytes {
			p.out.NotMeasured[what] = "too small for three arrays"
			continue
		}
		if memory == nil { // the sets come largest first
			if memory, err = p.alloc(set); errors.Is(err, cuda.ErrNoMemory) {
				p.out.NotMeasured[what] = "it does not fit: " + err.Error()
				continue
			} else if err != nil {
				return err
			}
			// A word for each block of the largest grid there will be.
			blocks := max(checkGrid, set/kernels.VectorBytes/int64(blockSizes[0]*smallestUnroll)+1)
			if p.sums, err = p.alloc(4 * blocks); err != nil {
				return err
			}
		}
		p.options.Progress(what)
		for _, op := range operations {
			if err := p.bandwidthOf(op, arrays{memory, uint64(set / int64(op.arrays) / kernels.VectorBytes), op.arrays}); err != nil {
				return err
			}
		}
	}
	return nil
}

// bandwidthOf measures one operation hot, and cold where caches could tell.
func (p *prober) bandwidthOf(op operation, a arrays) error {
	for _, cold := range []bool{false, true} {
		if cold && (p.flush == nil || a.bytes() > 2*p.facts.L2Bytes) {
			continue // without a flush no cold pass; over a large set no other
		}
		result, err := p.bandwidthAs(op, a, cold)
		if err != nil {
			return err
		}
		if result != nil {
			p.out.Bandwidth = append(p.out.Bandwidth, *result)
		}
	}
	return nil
}

func (p *prober) bandwidthAs(op operation, a arrays, cold bool) (*ceilings.Bandwidth, error) {
	kernel, err := p.dev.Kernel(op.kernel)
	if err != nil {
		return nil, err
	}
	repeats := uint32(1)
	timing := cuda.Timing{Warmups: 1}
	if cold {
		timing.Before = p.flush
	} else {
		repeats = uint32(min(max(hotBytes/a.bytes(), 1), maxRepeats))
	}
	if err := p.fill(a); err != nil {
		return nil, err
	}

	// The launch shape that is fastest in a few passes.
	var best cuda.Work
	bestSeconds := math.Inf(1)
	for _, block := range blockSizes {
		perSM, err := kernel.BlocksPerSM(block)
		if err != nil {
			return nil, err
		}
		if perSM == 0 {
			continue // so many threads need more registers than there are
		}
		chunks := int((a.vectors + uint64(block*op.unroll) - 1) / uint64(block*op.unroll))
		wave := perSM * p.facts.SMs
		grids := []int{min(wave, chunks)}
		if chunks > wave {
			grids = append(grids, chunks)
		}
		for _, grid := range grids {
			work := cuda.Work{Kernel: kernel, Grid: grid, Block: block, Args: op.args(a, repeats, p.sums)}
			timing.Work, timing.Passes = work, 5
			times, err := p.dev.Time(timing)
			if err != nil {
				return nil, err
			}
			if s := summarize(times.Seconds).median; s < bestSeconds {
				best, bestSeconds = work, s
			}
		}
	}

	// Destinations are made stale again, so that the answer is the winner's own.
	if err := p.fill(a); err != nil {
		return nil, err
	}
	timing.Work, timing.Passes, timing.Budget = best, p.options.Passes, 0.25
	times, err := p.dev.Time(timing)
	if err != nil {
		return nil, err
	}
	if wrong, err := p.checkBandwidth(op, a, repeats, best.Grid); err != nil {
		return nil, err
	} else if wrong != nil {
		p.wrong(fmt.Sprintf("%s over %s", op.name, text.Size(a.bytes())), wrong)
		return nil, nil
	}
	s := summarize(times.Seconds)
	moved := a.bytes() * int64(repeats)
	return &ceilings.Bandwidth{
		Op: op.name, WorkingSetB: a.bytes(), BytesPerPass: moved,
		BytesPerS: float64(moved) / s.median, BestBytesPerS: float64(moved) / s.best,
		Passes: len(times.Seconds), Cold: cold, RelativeSpread: s.spread, BlockThreads: best.Block, GridBlocks: best.Grid,
	}, nil
}

// checkGrid at most, and checkBlock, are the launch of all kernels that fill and check.
const checkGrid, checkBlock = 1024, 256

func checkBlocks(vectors uint64) int {
	return int(min(checkGrid, (vectors+checkBlock-1)/checkBlock))
}

// fill writes the first array with what no operation leaves there, unless it is the
// one that is read, and the others with their patterns.
func (p *prober) fill(a arrays) error {
	seeds := []uint32{seedStale, seedB, seedC}
	if a.count == 1 {
		seeds[0] = seedB
	}
	k, err := p.dev.Kernel("ls_fill")
	if err != nil {
		return err
	}
	for i := range a.count {
		if err := p.dev.Run(cuda.Work{Kernel: k, Grid: checkBlocks(a.vectors), Block: checkBlock, Args: []any{a.at(i), a.vectors, seeds[i]}}); err != nil {
			return err
		}
	}
	return nil
}

// checkBandwidth says what is wrong with an operation's answer: nothing, or an error
// in wrong. err is a failure of the GPU itself.
func (p *prober) checkBandwidth(op operation, a arrays, repeats uint32, grid int) (wrong, err error) {
	run := func(kernel string, args ...any) (uint32, error) {
		k, err := p.dev.Kernel(kernel)
		if err != nil {
			return 0, err
		}
		if err := p.dev.Run(cuda.Work{Kernel: k, Grid: checkBlocks(a.vectors), Block: checkBlock, Args: append(args, p.sums)}); err != nil {
			return 0, err
		}
		return total(p.sums, checkBlocks(a.vectors))
	}
	if op.name == ceilings.Read {
		got, err := total(p.sums, grid) // what the last pass left
		if err != nil {
			return nil, err
		}
		want, err := run("ls_pattern_sum", a.vectors, uint32(seedB))
		if err != nil {
			return nil, err
		}
		if got != want*repeats {
			wrong = fmt.Errorf("the sum is %#x, not %#x", got, want*repeats)
		}
		return wrong, nil
	}
	var count uint32
	switch op.name {
	case ceilings.Write:
		count, err = run("ls_check_write", a.at(0), a.vectors, float32(kernels.WriteValue))
	case ceilings.Copy:
		count, err = run("ls_check_triad", a.at(0), a.vectors, uint32(seedB), uint32(seedC), float32(0))
	case ceilings.Triad:
		count, err = run("ls_check_triad", a.at(0), a.vectors, uint32(seedB), uint32(seedC), float32(kernels.TriadScale))
	}
	if count > 0 {
		wrong = fmt.Errorf("%d of %d elements are not the reference's", count, 4*a.vectors)
	}
	return wrong, err
}

// total adds up what n blocks left.
func total(sums *cuda.Buffer, n int) (sum uint32, err error) {
	words := make([]byte, 4*n)
	if err := sums.Download(words); err != nil {
		return 0, err
	}
	for i := range n {
		sum += binary.NativeEndian.Uint32(words[4*i:])
	}
	return sum, nil
}
