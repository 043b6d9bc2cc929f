package intervals

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// sample is what was seen of one cell.
type sample struct {
	*cells.Group
	times     cells.Times
	processes [][]float64 // latencies by block, in the order of the calls
	alone     [][]float64 // the same of each process alone: a block that was resumed in mid-cell has several
	blocks    []int       // of the processes
	machines  []string    // on which they ran
}

func (a *asker) look() {
	a.EachCell(func(k cells.Key, _ *cells.Model, g *cells.Group) {
		if len(g.Rows) == 0 {
			return
		}
		s := &sample{Group: g, times: g.Times()}
		for _, p := range g.Processes() {
			s.processes = append(s.processes, cells.Latencies(p.Rows))
			s.blocks, s.machines = append(s.blocks, p.Block), append(s.machines, p.Rows[0].Machine())
			for _, rows := range p.Alone() {
				s.alone = append(s.alone, cells.Latencies(rows))
			}
		}
		a.samples[k] = s
	})
	for i := range a.Run.Rows {
		if r := &a.Run.Rows[i]; r.OK() && r.Invalid() && !r.IsWarmup {
			a.invalid[cells.SeriesOf(r).Key(r.Model, r.Scenario, r.Mode)]++
		}
	}
}

// blocks finds, for each mode, the variance of the machines, and that of what its cells have in common in a block.
func (a *asker) blocks() {
	for _, mode := range a.Modes {
		var y []map[int]float64
		var nodes []float64
		a.EachCell(func(k cells.Key, _ *cells.Model, _ *cells.Group) {
			s := a.samples[k]
			if s == nil || k.Mode != mode {
				return
			}
			logs := stats.LogMedians(s.processes)
			if _, node, ok := stats.OneWay(logs, s.machines); ok {
				nodes = append(nodes, node)
			}
			blocks := map[int]float64{}
			for i, v := range stats.OffGroups(logs, s.machines) {
				blocks[s.blocks[i]] = v
			}
			if len(blocks) > 0 {
				y = append(y, blocks)
			}
		})
		if v, ok := stats.BlockVariance(y); ok {
			a.block[mode] = &v
		}
		if len(nodes) > 0 {
			a.node[mode] = new(max(0, stat.Mean(nodes, nil)))
		}
	}
}

func (a *asker) judge() {
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			for _, sc := range append(slices.Clone(a.Scenarios), cells.AllScenarios) {
				for _, mode := range a.Modes {
					k := s.Key(m.Name, sc, mode)
					c, ok := a.one(k)
					if sc == cells.AllScenarios {
						c, ok = a.all(s, m.Name, mode)
					}
					if !ok {
						continue
					}
					c.Subject, c.Scenario, c.Mode = s.Of(m), sc, mode
					a.out.of[k] = len(a.out.Cells)
					a.out.Cells = append(a.out.Cells, c)
				}
			}
		}
	}
}

// one judges a cell.
func (a *asker) one(k cells.Key) (c Cell, ok bool) {
	j := judgement{verdict: record.VerdictValid}
	s, invalid := a.samples[k], a.invalid[k]
	if s == nil {
		if invalid == 0 {
			return c, false
		}
		j.doubt(CallsInvalid, record.VerdictInvalid)
		return Cell{Verdict: j.verdict, Reasons: j.reasons}, true
	}
	c.Replicates, c.Calls, c.Depth = len(s.processes), len(s.times.All), s.Rows[0].DepthTokens()
	c.level(s.times)
	c.machines(s.Rows, len(a.Machines) > 0)
	a.shares(&c, s, k.Mode)
	if many(invalid, invalid+c.Calls) {
		j.doubt(CallsInvalid, record.VerdictAmbiguous)
	}
	doubtful := 0
	for _, r := range s.Rows {
		if r.Verdict != nil && *r.Verdict == record.VerdictAmbiguous {
			doubtful++
		}
	}
	if many(doubtful, c.Calls) {
		j.doubt(CallsAmbiguous, record.VerdictAmbiguous)
	}
	c.Disturbed = s.Group.Disturbed
	if s.Kept {
		j.doubt(Disturbed, record.VerdictAmbiguous)
	}
	c.interference(s.Rows)
	j.above(CPUWait, c.Waited, cpuLost)
	j.above(CPUStolen, c.Stolen, cpuLost)
	j.above(CPUOthers, c.Others, cpuOthers)
	j.above(CPUThrottled, c.Throttled, cpuLost)
	if !c.steady(s.alone) {
		j.doubt(NotSteady, record.VerdictAmbiguous)
	}
	c.width(&j, a.target)
	c.Verdict, c.Reasons = j.verdict, j.reasons
	return c, true
}

// all judges a model over the scenarios that are joined: it is as good as the worst of
// their cells.
func (a *asker) all(s cells.Series, model, mode string) (c Cell, ok bool) {
	g := a.Aggregate(s, model, mode)
	if g == nil {
		return c, false
	}
	j := judgement{verdict: record.VerdictValid}
	var times []cells.Times
	var rows []*runs.Row
	in := map[int]int{} // scenarios that a block has
	for _, sc := range g.Scenarios {
		of, sample := a.out.Cell(s.Key(model, sc, mode)), a.samples[s.Key(model, sc, mode)]
		times, rows = append(times, sample.times), append(rows, sample.Rows...)
		for _, b := range sample.blocks {
			if in[b]++; in[b] == len(g.Scenarios) {
				c.Replicates++
			}
		}
		c.Calls, c.Depth = c.Calls+of.Calls, of.Depth
		for _, code := range of.Reasons {
			if r := ReasonOf(code); r != Wide && r != NoInterval { // this row has an interval of its own
				j.doubt(r, of.Verdict)
			}
		}
	}
	c.level(times...)
	c.machines(rows, len(a.Machines) > 0)
	c.width(&j, a.target)
	c.Verdict, c.Reasons = j.verdict, j.reasons
	return c, true
}

// shares are those of the variance of one call. The variance of process medians lacks a part of the machines' where these
// have several.
func (a *asker) shares(c *Cell, s *sample, mode string) {
	call, process, ok := stats.Nested(s.processes)
	node := a.node[mode]
	if len(distinct(s.machines)) < 2 {
		node = nil
	}
	if ok && node != nil {
		process = max(process+*node*stats.MissingBetween(s.machines), *node)
	}
	if !ok || !(call+process > 0) {
		return
	}
	all := call + process
	share := func(v float64) *float64 { return new(v / all) }
	c.ShareCall = share(call)
	if node != nil {
		c.ShareNode = share(*node)
		process -= *node
	}
	c.ShareProcess = share(process)
	if v := a.block[mode]; v != nil {
		c.ShareBlock, c.ShareProcess = share(min(*v, process)), share(process-min(*v, process))
	}
}

// level has the figure and its interval.
func (c *Cell) level(scenarios ...cells.Times) {
	e, basis := cells.Level(scenarios...)
	c.MedianMS = stats.Finite(math.Exp(e.Value))
	if c.Basis = basis; basis != "" {
		c.CI = e.ExpInterval()
	}
}

// machines says on how many the cell was measured, and of a run of several what its interval is of.
func (c *Cell) machines(rows []*runs.Row, several bool) {
	ids := distinct(stats.Map(rows, (*runs.Row).Machine))
	if len(ids) > 1 || ids[0] != "" {
		c.Nodes = new(len(ids))
	}
	if c.Basis != cells.BasisProcesses || !several {
		return
	}
	switch {
	case rows[0].Node > 0:
		c.Basis = cells.BasisNodes
	case len(ids) == 1:
		c.Basis = cells.BasisOneNode
	default:
		c.Basis = cells.BasisTwoNodes
	}
}

func distinct(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

func (c *Cell) width(j *judgement, target float64) {
	switch {
	case c.CI == nil || c.MedianMS == nil:
		j.doubt(NoInterval, record.VerdictAmbiguous)
	case target > 0 && !c.within(target):
		j.doubt(Wide, record.VerdictAmbiguous)
	}
}

// within reports whether the interval reaches no farther than target, a share of the median.
func (c *Cell) within(target float64) bool {
	return c.CI != nil && c.MedianMS != nil && c.CI.High <= *c.MedianMS*(1+target)
}

// steady reports whether the calls of a process neither rise nor fall: by t over
// processes where there are three, else by the ranks of each process's calls.
func (c *Cell) steady(processes [][]float64) bool {
	if len(processes) >= 3 {
		e, ok := stats.Drift(processes)
		if !ok {
			return true
		}
		c.Change, c.ChangeP = stats.Finite(math.Expm1(e.Value)), stats.Finite(e.P())
		return !(e.P() < stats.Alpha && math.Abs(*c.Change) >= steadyShift)
	}
	steady := true
	for _, calls := range processes {
		if len(calls) < rankCalls {
			continue
		}
		p, shift, ok := stats.RankDrift(calls)
		if ok && (c.ChangeP == nil || p < *c.ChangeP) {
			c.Change, c.ChangeP = stats.Finite(shift), stats.Finite(p)
		}
		steady = steady && !(ok && p < stats.Alpha/float64(len(processes)) && math.Abs(shift) >= steadyShift)
	}
	return steady
}

const tickMS = 10.0 // in which the kernel counts CPU time

// interference sums up what took processors from the calls, as shares of time.
func (c *Cell) interference(rows []*runs.Row) {
	type total struct{ ms, threads, cpus float64 } // threads and cpus: their time, in ms
	var waited, stolen, others, throttled total
	var ticks float64 // variance of what they leave open
	for _, r := range rows {
		if r.E2EKVMS == nil || r.CPUs == nil || r.Threads() < 1 {
			continue
		}
		wall := *r.E2EKVMS
		if r.CPUWatchMS != nil {
			wall = *r.CPUWatchMS
		}
		threads := min(float64(max(r.Threads(), r.ThreadsBatch())), *r.CPUs)
		if r.GPUName != nil {
			threads = 1 // the one that launches
		}
		add := func(t *total, ms *float64, less float64) {
			if ms != nil {
				t.ms, t.threads, t.cpus = t.ms+*ms-less, t.threads+wall*threads, t.cpus+wall**r.CPUs
			}
		}
		add(&waited, r.CPUWaitMS, 0)
		add(&stolen, r.StolenMS, 0)
		add(&others, r.OthersMS, wall*(*r.CPUs-threads)) // what is idle may be used
		add(&throttled, r.ThrottledMS, 0)
		throttled.cpus -= wall * (*r.CPUs - 1) // all stop together
		ticks += *r.CPUs * tickMS * tickMS / 6
	}
	open := 3 * math.Sqrt(ticks)
	share := func(ms, of float64) *float64 {
		if of <= 0 {
			return nil
		}
		return new(max(0, ms/of))
	}
	c.Waited, c.Throttled = share(waited.ms, waited.threads), nil
	c.Stolen, c.Others = share(stolen.ms-open, stolen.cpus), share(others.ms-open, others.threads)
	if throttled.threads > 0 {
		c.Throttled = share(throttled.ms, throttled.cpus)
	}
}
