package cells

import (
	"cmp"
	"math"
	"slices"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Process are the calls of a cell in one block, which one process made, or several where the run was resumed in mid-cell.
type Process struct {
	Block int // number of the replicate
	Rows  []*runs.Row
}

// Alone are the calls of each process alone: of sessions, since a crash ends a cell for its session.
func (p Process) Alone() [][]*runs.Row {
	sessions, of := stats.GroupBy(p.Rows, func(r *runs.Row) int { return r.Session })
	return stats.Map(sessions, func(s int) []*runs.Row { return of[s] })
}

// Processes are those whose calls the summary is made of, by block.
func (g *Group) Processes() []Process { return byBlock(g.Rows) }

// AllProcesses have the disturbed calls too.
func (g *Group) AllProcesses() []Process { return byBlock(g.All) }

func byBlock(rows []*runs.Row) []Process {
	blocks, of := stats.GroupBy(rows, func(r *runs.Row) int { return r.Replicate })
	slices.Sort(blocks)
	return stats.Map(blocks, func(b int) Process { return Process{b, of[b]} })
}

// Where the interval of a figure comes from.
const (
	BasisProcesses = "processes"   // processes of the cell, one in each block
	BasisOne       = "one process" // the calls of one process: another process may differ by more

	// Of runs of several machines. What the names above are told of is over machines too where BasisNodes is.
	BasisNodes    = "nodes"
	BasisOneNode  = "processes on one node" // another machine may differ by more
	BasisTwoNodes = "processes on two nodes"
)

// Basis is what intervals of the run come from, as far as its cells allow.
func (set *Set) Basis() string {
	if slices.ContainsFunc(set.Cells, func(c Cell) bool { return c.Replicates > 1 }) {
		return BasisProcesses
	}
	return BasisOne
}

// Times are the times of a cell's calls, whole or by token. Where intervals are over machines (runs.Row.Unit), a machine
// stands for its blocks here and in all that is made of Times.
type Times struct {
	All     []float64
	ByBlock map[int][]float64
}

// TimesOf are the values of a field, of the calls that have it as a time.
func TimesOf(rows []*runs.Row, field func(*runs.Row) *float64) Times {
	t := Times{ByBlock: map[int][]float64{}}
	for _, r := range rows {
		if v := field(r); v != nil && *v > runs.MinLatencyMS && *v < runs.MaxLatencyMS {
			t.All = append(t.All, *v)
			t.ByBlock[r.Unit()] = append(t.ByBlock[r.Unit()], *v)
		}
	}
	return t
}

// Typical is the median of one process's calls; of several processes the geometric
// mean of their medians. NaN without calls.
func (t Times) Typical() float64 {
	if len(t.ByBlock) < 2 {
		return stats.Median(t.All)
	}
	var medians []float64
	for _, b := range t.Blocks() {
		medians = append(medians, stats.Median(t.ByBlock[b]))
	}
	return stats.Geomean(medians)
}

// Blocks are the replicates that have times, in order.
func (t Times) Blocks() []int { return Blocks(t) }

// Blocks are the replicates that all of some times have, in order.
func Blocks(all ...Times) (out []int) {
	for b := range all[0].ByBlock {
		if !slices.ContainsFunc(all, func(t Times) bool { return t.ByBlock[b] == nil }) {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, cmp.Compare[int])
	return out
}

// Level is the logarithm of what the times typically are, as the mean over scenarios,
// with what is known of its error: by the process medians where two blocks at least
// have all scenarios, else by the calls of one process, three at least (basis ""
// where there is neither).
func Level(scenarios ...Times) (e stats.Estimate, basis string) {
	if blocks := Blocks(scenarios...); len(blocks) >= 2 {
		e, _ = stats.MeanT(stats.Map(blocks, func(b int) float64 { return logOf(b, scenarios) }))
		return e, BasisProcesses
	}
	basis = BasisOne
	var logs []stats.Estimate
	for _, t := range scenarios {
		if len(t.All) < stats.MinRatioCalls {
			basis = ""
		}
		one := stats.OrderedLog(t.All)
		one.Value = math.Log(t.Typical())
		logs = append(logs, one)
	}
	return stats.Sum(logs...).Times(1 / float64(len(scenarios))), basis
}

// logOf is the mean over scenarios of a block's log medians.
func logOf(block int, scenarios []Times) (sum float64) {
	for _, t := range scenarios {
		sum += math.Log(stats.Median(t.ByBlock[block])) / float64(len(scenarios))
	}
	return sum
}

// LogBlocks are the means over scenarios of the blocks' log medians, of the blocks that
// have all scenarios.
func LogBlocks(scenarios ...Times) map[int]float64 {
	out := map[int]float64{}
	for _, b := range Blocks(scenarios...) {
		out[b] = logOf(b, scenarios)
	}
	return out
}

// Contrast is the logarithm of y's times over x's, as the mean over scenarios: paired t
// over the blocks that measured both in all scenarios, where there are two at least;
// else what either side's processes say, or the calls of one, three at least.
func Contrast(x, y []Times) (e stats.Estimate, basis string) {
	if blocks := Blocks(slices.Concat(x, y)...); len(blocks) >= 2 {
		e, _ = stats.MeanT(stats.Map(blocks, func(b int) float64 { return logOf(b, y) - logOf(b, x) }))
		return e, BasisProcesses
	}
	ex, basis := Level(x...)
	ey, other := Level(y...)
	if other == "" || basis == "" {
		return ey.Minus(ex), ""
	}
	if other == BasisOne {
		basis = BasisOne
	}
	return ey.Minus(ex), basis
}

// ProcessContrast is a Contrast with what processes of one model differ by
// (stats.ProcessSD) where either side is one process.
func ProcessContrast(x, y []Times) (stats.Estimate, string) {
	e, basis := Contrast(x, y)
	if basis == BasisOne {
		e = stats.Sum(e, stats.Estimate{Variance: 2 * stats.ProcessSD * stats.ProcessSD, DF: math.Inf(1)})
	}
	return e, basis
}

// Ratio is a Contrast as a ratio of times, with its 95 % interval; nil where basis is "".
func Ratio(x, y []Times) (ratio float64, ci *stats.Interval, basis string) {
	e, basis := Contrast(x, y)
	if ratio = math.Exp(e.Value); basis == "" {
		return ratio, nil, basis
	}
	return ratio, e.ExpInterval(), basis
}

// MSPerToken is the record's time for one token of each sequence.
func MSPerToken(r *runs.Row) *float64 {
	n := AnswerTokens(r)
	if r.LatencyMS == nil || n == 0 {
		return nil
	}
	return new(*r.LatencyMS / float64(n))
}

// latency is a record's, if it is a time.
func latency(r *runs.Row) *float64 { return r.LatencyMS }

// Times are the latencies of the group's calls, in ms.
func (g *Group) Times() Times { return TimesOf(g.Rows, latency) }

// StepTimes are those for one token of each sequence, of decode.
func (g *Group) StepTimes() Times { return TimesOf(g.Rows, MSPerToken) }

// TimesIn are a model's times in each of some scenarios: of a prefill, or of a decode step; nil where it lacks one.
func (set *Set) TimesIn(s Series, model, mode string, scenarios []string) (out []Times) {
	for _, sc := range scenarios {
		g := set.Group(s.Key(model, sc, mode))
		if g == nil {
			return nil
		}
		t := g.Times()
		if mode == record.ModeDecode {
			t = g.StepTimes()
		}
		if len(t.All) == 0 {
			return nil
		}
		out = append(out, t)
	}
	return out
}
