package tails

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

// TestTailsOfProcesses: what is slow inside a process and what between processes are
// told apart, and the interval of p99 begins at five processes.
func TestTailsOfProcesses(t *testing.T) {
	p := celltest.Ladder
	p.Models, p.Reps, p.Gen = 1, 4, 100
	p.Tail = func(int) float64 { return 1.5 } // each tenth token
	for _, blocks := range []int{1, 4, 5} {
		set := celltest.Set(t, p.Blocks(blocks, func(b int, _ *runs.Row) float64 { return []float64{1, 1, 1, 1.3, 1}[b] }))
		all := Ask(set).Overall(set.Series[0], "m00")
		if all.Processes != blocks || (all.P99CI != nil) != (blocks >= 5) || (all.Basis == cells.BasisProcesses) != (blocks >= 5) {
			t.Errorf("%d blocks: %+v", blocks, all)
		}
		celltest.Near(t, fmt.Sprintf("%d blocks: p99 inside", blocks), all.P99Inside, 1.5, .02)
		if blocks > 1 {
			celltest.Near(t, "slowest process", all.SlowProcess, 1.3, .01)
			celltest.Near(t, "p99 of all", all.P99Ratio.Value, 1.5*1.3, .02)
		}
		if ci := all.P99CI; ci != nil && !(ci.Low <= *all.P99Ratio.Value && *all.P99Ratio.Value <= ci.High) {
			t.Errorf("%+v does not hold %v", ci, *all.P99Ratio.Value)
		}
	}
}

// TestP99Coverage: of processes with bursts of slow tokens the interval of p99 holds the
// truth in most cases: it is approximate, as its name says.
func TestP99Coverage(t *testing.T) {
	trials := 200
	if testing.Short() {
		trials = 50
	}
	rng := rand.New(rand.NewPCG(4, 1))
	process := func(tokens int) (out []int64) {
		scale, slow := math.Exp(.025*rng.NormFloat64()), 0
		share := .04 * math.Exp(.3*rng.NormFloat64()) / 5
		for range tokens {
			if slow--; rng.Float64() < share {
				slow = 5
			}
			ms := scale * math.Exp(.01*rng.NormFloat64())
			if slow > 0 {
				ms *= 1 + rng.ExpFloat64()/2
			}
			out = append(out, int64(ms*1e6))
		}
		return out
	}
	var many []float64
	for range 1000 {
		for _, ns := range process(1000) {
			many = append(many, float64(ns))
		}
	}
	slices.Sort(many)
	truth := many[len(many)*99/100] / many[len(many)/2]
	for _, blocks := range []int{5, 10} {
		p := celltest.Plan{Models: 1, Reps: 3, Gen: 1, Scenarios: []string{"p"}, PerToken: func(int) float64 { return 1 }}
		for i := range trials {
			p.Backends = append(p.Backends, fmt.Sprintf("b%03d", i))
		}
		rows := p.Blocks(blocks, nil)
		for i := range rows {
			if rows[i].Mode == "kv_decode" {
				a := *rows[i].Call
				a.TokenNS = process(300)
				rows[i].Call = &a
			}
		}
		set := celltest.Set(t, rows)
		answer, held := Ask(set), 0
		for _, s := range set.Series {
			if ci := answer.Overall(s, "m00").P99CI; ci.Low <= truth && truth <= ci.High {
				held++
			}
		}
		t.Logf("%d processes: %d of %d hold %.3f", blocks, held, trials, truth)
		if share := float64(held) / float64(trials); share < .78 {
			t.Errorf("%d processes: %.0f %% of intervals hold the truth", blocks, 100*share)
		}
	}
}
