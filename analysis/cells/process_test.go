package cells_test

import (
	"math"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

var two = celltest.Plan{Models: 1, Reps: 3, Gen: 1, Backends: []string{"a", "b"}, Scenarios: []string{"s"}, PerToken: func(int) float64 { return 1 }}

// times has each call's decode at what its block, backend and repetition say.
func times(blocks int, ms func(backend string, block, rep int) float64) []runs.Row {
	rows := two.Blocks(blocks, nil)
	for i := range rows {
		if r := &rows[i]; r.Mode == record.ModeDecode && r.Rep != nil {
			r.LatencyMS = new(ms(r.Backend, r.Replicate, *r.Rep))
		}
	}
	return rows
}

// TestProcesses: a cell of several blocks has the geometric mean of its processes'
// medians, and t with their number less one; figures by Python's statistics and the
// printed quantiles of t.
func TestProcesses(t *testing.T) {
	set := celltest.Set(t, times(3, func(backend string, block, rep int) float64 {
		base := []float64{10, 20, 40}[block] * []float64{1, 1.01, 3}[rep]
		if backend == "b" {
			base *= []float64{2, 2.2, 2.42}[block]
		}
		return base
	}))
	key := func(backend string) cells.Key {
		return cells.Series{Backend: backend, BatchSize: 1}.Key("m00", "s", record.ModeDecode)
	}
	c := set.Cell(key("a").Series, "m00", "s", record.ModeDecode)
	celltest.Near(t, "typical time", &c.MedianMS, 20.2, 1e-12)
	if c.Replicates != 3 || c.N != 9 {
		t.Errorf("%d processes, %d calls", c.Replicates, c.N)
	}
	x, y := set.Group(key("a")).Times(), set.Group(key("b")).Times()
	e, basis := cells.Level(x)
	half := 4.302652729911275 * math.Ln2 / math.Sqrt(3)
	if got := e.Half(.05); basis != cells.BasisProcesses || math.Abs(got-half) > 1e-9 {
		t.Errorf("%s: half-width %v, want %v", basis, got, half)
	}
	ratio, ci, basis := cells.Ratio([]cells.Times{x}, []cells.Times{y})
	half = 4.302652729911275 * math.Log(1.1) / math.Sqrt(3)
	celltest.Near(t, "ratio", &ratio, 2.2, 1e-12)
	celltest.Near(t, "low", &ci.Low, 2.2*math.Exp(-half), 1e-9)
	if basis != cells.BasisProcesses {
		t.Errorf("basis %s", basis)
	}

	one := celltest.Set(t, times(1, func(_ string, _, rep int) float64 { return 10 + float64(rep) }))
	x, y = one.Group(key("a")).Times(), one.Group(key("b")).Times()
	if _, ci, basis := cells.Ratio([]cells.Times{x}, []cells.Times{y}); basis != cells.BasisOne || ci == nil {
		t.Errorf("of one process: %v on %s", ci, basis)
	}
}

// TestCanary: a call is disturbed where the work before it took far more or less than
// elsewhere in the run, on as many threads.
func TestCanary(t *testing.T) {
	rows := two.Blocks(5, nil)
	for i := range rows {
		r := &rows[i]
		wobble := 1 + .02*math.Sin(float64(r.CallIdx+7*r.Replicate))
		r.CanaryReadMS, r.CanaryComputeMS = new(2*wobble), new(3*wobble)
		if r.Backend == "b" { // fewer threads
			r.CanaryReadMS, r.CanaryComputeMS, r.NThreadsBatch = new(4*wobble), nil, new(1)
		}
		if r.Replicate == 2 && r.Rep != nil && *r.Rep == 1 {
			*r.CanaryReadMS *= 1.4
		}
		if r.Replicate == 4 {
			r.CanaryReadMS, r.CanaryComputeMS = nil, nil
		}
	}
	set := celltest.Set(t, rows)
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		_, disturbed, known := set.Canary(r)
		if known != (r.Replicate != 4) || disturbed != (r.Replicate == 2 && r.Rep != nil && *r.Rep == 1) {
			t.Errorf("block %d call %d of %s: %v %v", r.Replicate, r.CallIdx, r.Backend, disturbed, known)
		}
	}
}

// TestDisturbedCalls: they are in no median of a cell that keeps three processes with others, and in its extremes all
// the same; of a cell that does not, all calls stay.
func TestDisturbedCalls(t *testing.T) {
	for _, c := range []struct {
		blocks, other int // of these so many in the other state, but for their first call where part
		part          bool
		median        float64
		processes, n  int
	}{
		{5, 0, false, 10, 5, 15},
		{5, 2, false, 10, 3, 9},
		{5, 2, true, 10, 5, 11},
		{5, 3, false, 10 * math.Pow(2, 3./5), 5, 15},
		{2, 1, false, 10 * math.Sqrt2, 2, 6},
		{1, 1, true, 10, 1, 1},
	} {
		rows := times(c.blocks, func(string, int, int) float64 { return 10 })
		for i := range rows {
			r := &rows[i]
			r.CanaryReadMS = new(1.0)
			if r.Backend == "a" && r.Replicate < c.other && (!c.part || r.Rep == nil || *r.Rep > 0) {
				r.CanaryReadMS = new(.5)
				if r.Mode == record.ModeDecode {
					r.LatencyMS = new(20.0)
				}
			}
		}
		set := celltest.Set(t, rows)
		s := cells.Series{Backend: "a", BatchSize: 1}
		got, g := set.Cell(s, "m00", "s", record.ModeDecode), set.Group(s.Key("m00", "s", record.ModeDecode))
		if math.Abs(got.MedianMS-c.median) > 1e-9 || got.Replicates != c.processes || got.N != c.n || len(g.All) != 3*c.blocks || g.Kept != (c.n == 3*c.blocks && c.other > 0) {
			t.Errorf("%+v: median %v of %d processes and %d calls of %d, kept %v", c, got.MedianMS, got.Replicates, got.N, len(g.All), g.Kept)
		}
		if (got.MaxMS == 20) != (c.other > 0) {
			t.Errorf("%+v: slowest call %v", c, got.MaxMS)
		}
		if set.Counts.Disturbed != 3*(3*c.blocks-c.n) {
			t.Errorf("%+v: %d records left out", c, set.Counts.Disturbed)
		}
		if set.Counts.DisturbedCalls != 3*c.blocks-c.n {
			t.Errorf("%+v: %d calls left out", c, set.Counts.DisturbedCalls)
		}
	}
}
