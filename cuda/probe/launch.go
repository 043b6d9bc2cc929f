package probe

import (
	"llmscale/cuda"
	"llmscale/runner/ceilings"
)

// queueLength is how many empty kernels are launched in a pass: as many as can wait
// behind a stream that is held back.
const queueLength = cuda.MaxHeld

// launches measures what it costs to start an empty kernel.
func (p *prober) launches() error {
	p.options.Progress("launches")
	k, err := p.dev.Kernel("ls_empty")
	if err != nil {
		return err
	}
	empty := cuda.Work{Kernel: k, Grid: 1, Block: 32}
	add := func(how string, seconds []float64, count int) {
		s := summarize(seconds)
		p.out.Launch = append(p.out.Launch, ceilings.Launch{
			How: how, US: s.median / float64(count) * 1e6, BestUS: s.best / float64(count) * 1e6,
			Count: count, Passes: len(seconds), RelativeSpread: s.spread,
		})
	}

	if _, err := p.dev.TimeIsolated(empty, 50); err != nil { // to warm up
		return err
	}
	isolated, err := p.dev.TimeIsolated(empty, 20*p.options.Passes)
	if err != nil {
		return err
	}
	add(ceilings.LaunchIsolated, isolated, 1)
	for _, graph := range []bool{false, true} {
		how := ceilings.LaunchBackToBack
		if graph {
			how = ceilings.LaunchGraph
		}
		times, err := p.dev.Time(cuda.Timing{Work: empty, Count: queueLength, Graph: graph, Passes: p.options.Passes, Warmups: 3})
		if err != nil {
			return err
		}
		add(how, times.Seconds, queueLength)
	}
	return nil
}
