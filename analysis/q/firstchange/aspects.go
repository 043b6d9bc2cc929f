package firstchange

import (
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/coldstart"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Factors that count as a change. They are a choice: small enough to matter to a user.
const (
	Twice      = 2.0
	tailFactor = 1.25
)

// aspect is what may change with size. learn fills in the levels of the models; nil is
// feasibility, which has none.
type aspect struct {
	name, mode, topic string // topic "": not one of those that the project asks of
	says              string // what changes, in a sentence
	quantity, unit    string
	factor            float64
	learn             func(a *asker, c *Change)
}

var aspects = []aspect{
	{"latency", record.ModeDecode, "latency", "decode time per token", "median decode time per token, geometric mean over scenarios", "ms/token", Twice,
		func(a *asker, c *Change) { a.times(c, cells.MSPerToken) }},
	{"latency", record.ModePrefill, "", "prefill time", "median prefill time, geometric mean over scenarios", "ms", Twice,
		func(a *asker, c *Change) { a.times(c, func(r *runs.Row) *float64 { return r.LatencyMS }) }},
	{"tails_in_calls", record.ModeDecode, "tails", "the tail in a call", "", "", tailFactor, (*asker).tailsInCalls},
	{"tails_between_processes", record.ModeDecode, "tails", "the tail between processes", "p99/p50 of processes by the scatter of their medians of decode time", "", tailFactor, (*asker).tailsBetween},
	{"feasibility", "", "feasibility", "what runs", "models that ran out of memory, crashed or timed out for their size", "", 0, nil},
	{"cold_start", "", "", "cold start", "", "ms", Twice, (*asker).coldStart},
	{"memory", "", "", "memory", "peak resident set of the worker", "MiB", Twice,
		func(a *asker, c *Change) { a.peak(c, func(r *runs.Row) *float64 { return r.RSSPeakMiB }) }},
	{"device_memory", "", "", "device memory", "peak device memory", "MiB", Twice,
		func(a *asker, c *Change) { a.peak(c, func(r *runs.Row) *float64 { return r.GPUPeakMB }) }},
	{"energy", record.ModeDecode, "", "energy per token", "energy of the card (on the CPU of the processor packages) per decoded token, idle power included", "J/token", Twice,
		func(a *asker, c *Change) { a.times(c, joules) }},
}

func joules(r *runs.Row) *float64 {
	if r.EnergyJ == nil || r.TokensTotal == nil || *r.TokensTotal <= 0 {
		return nil
	}
	return new(*r.EnergyJ / float64(*r.TokensTotal))
}

// level is what a model has of an aspect.
type level struct {
	*cells.Model
	value   float64         // in the aspect's unit
	byBlock map[int]float64 // its logarithm in each block, where there are several
	alone   *stats.Estimate // its logarithm, where there is one process
	sd, df  float64         // of the logarithms of process medians, where value is their tail
}

// process is how much another process might have given, beside the error from calls.
var process = stats.Estimate{Variance: stats.ProcessSD * stats.ProcessSD, DF: math.Inf(1)}

// add makes a level of values by block, of which one has the error that alone tells.
func (c *Change) add(m *cells.Model, byBlock map[int]float64, alone *stats.Estimate) {
	if len(byBlock) == 0 {
		return
	}
	l := level{Model: m, byBlock: byBlock}
	for _, b := range slices.Sorted(maps.Keys(byBlock)) {
		l.value += byBlock[b] / float64(len(byBlock))
	}
	if len(byBlock) == 1 && alone != nil {
		l.alone = new(stats.Sum(stats.Estimate{Value: l.value, Variance: alone.Variance, DF: alone.DF}, process))
	}
	if l.value = math.Exp(l.value); stats.Finite(l.value) != nil {
		c.levels = append(c.levels, l)
	}
}

// sized are a backend's models of known size, by it.
func (a *asker) sized(s cells.Series) []*cells.Model {
	return slices.DeleteFunc(slices.Clone(a.ModelsOf(s.Backend)), func(m *cells.Model) bool { return m.ParamsMillions == nil || !(*m.ParamsMillions > 0) })
}

// times are the levels of what calls take, of models that ran in all scenarios.
func (a *asker) times(c *Change, field func(*runs.Row) *float64) {
	whole := a.WholeSet(c.Series, c.Mode)
	for _, m := range a.sized(c.Series) {
		if g := a.Aggregate(c.Series, m.Name, c.Mode); g == nil || !slices.Equal(g.Scenarios, whole) {
			c.without++
			continue
		}
		var times []cells.Times
		var logs []stats.Estimate
		for _, sc := range whole {
			t := cells.TimesOf(a.RowsOf(c.Series, m.Name, sc, c.Mode), field)
			if times = append(times, t); len(t.All) >= stats.MinRatioCalls {
				logs = append(logs, stats.RobustLog(t.All))
			}
		}
		var alone *stats.Estimate
		if len(logs) == len(times) {
			alone = new(stats.Sum(logs...).Times(1 / float64(len(logs))))
		}
		c.add(m, cells.LogBlocks(times...), alone)
	}
}

// tailsInCalls are p99/p50 of the token times, each relative to the median of its call:
// a call that is slow as a whole is no tail. Where processes have too few tokens it is
// a lower quantile, and of one process p95/p50.
func (a *asker) tailsInCalls(c *Change) {
	models := stats.Map(a.sized(c.Series), func(m *cells.Model) *tails.Tail { return a.tails.Overall(c.Series, m.Name) })
	fewest, several := math.MaxInt, false
	for _, t := range models {
		if t == nil {
			continue
		}
		several = several || len(t.InCalls) > 1
		for _, tokens := range t.InCalls {
			fewest = min(fewest, len(tokens))
		}
	}
	p, name := 0.95, "p95/p50"
	switch {
	case several && fewest >= stats.NeedP99:
		p, name = 0.99, "p99/p50"
	case several && fewest < stats.NeedP95:
		p, name = 0.90, "p90/p50"
	}
	c.Quantity = name + " of the token times in a call"
	for i, m := range a.sized(c.Series) {
		t := models[i]
		switch {
		case t == nil:
		case several && fewest >= stats.NeedP90:
			byBlock := map[int]float64{}
			for b, tokens := range t.InCalls {
				byBlock[b] = math.Log(stats.Quantile(tokens, p) / stats.Median(tokens))
			}
			c.add(m, byBlock, nil)
		case !several && t.P95InCalls != nil:
			c.add(m, map[int]float64{0: math.Log(*t.P95InCalls)}, &stats.Estimate{Variance: *t.P95InCallsSE * *t.P95InCallsSE, DF: float64(t.Groups - 1)})
		}
	}
}

// z99 is the 99th percentile of a normal deviate.
var z99 = distuv.UnitNormal.Quantile(0.99)

// tailsBetween are p99/p50 of process medians as their scatter gives it, were they
// log-normal: too few have a percentile of their own.
func (a *asker) tailsBetween(c *Change) {
	a.times(c, cells.MSPerToken)
	var out []level
	for _, l := range c.levels {
		if n := len(l.byBlock); n >= stats.MinPoints {
			l.sd, l.df = stat.StdDev(slices.Sorted(maps.Values(l.byBlock)), nil), float64(n-1)
			l.value, l.byBlock = math.Exp(z99*l.sd), nil
			out = append(out, l)
		}
	}
	c.levels = out
}

// coldStart is of the backend, and told with its first series.
func (a *asker) coldStart(c *Change) {
	if a.Series[slices.IndexFunc(a.Series, func(s cells.Series) bool { return s.Backend == c.Backend })] != c.Series {
		return
	}
	of := func(m *cells.Model) *coldstart.Start {
		return a.starts[cells.ModelKey{Backend: c.Backend, Model: m.Name}]
	}
	models := slices.DeleteFunc(a.sized(c.Series), func(m *cells.Model) bool { return of(m) == nil })
	byBlock := func(x *coldstart.Start) map[int]float64 { return x.Starts }
	c.Quantity = "load, context, and what the first prefill takes longer than a hot one"
	if slices.ContainsFunc(models, func(m *cells.Model) bool { return len(of(m).Starts) == 0 }) {
		byBlock = func(x *coldstart.Start) map[int]float64 { return x.Loads }
		c.Quantity = "loading the model, its file in the page cache"
	}
	for _, m := range models {
		c.add(m, byBlock(of(m)), nil)
	}
}

// peak is the most of a field that each process had.
func (a *asker) peak(c *Change, field func(*runs.Row) *float64) {
	for _, m := range a.sized(c.Series) {
		byBlock := map[int]float64{}
		for _, cell := range a.CellsOfModel(c.Series, m.Name) {
			if !a.Joins(cell.Scenario) {
				continue
			}
			for _, r := range a.Group(c.Key(m.Name, cell.Scenario, cell.Mode)).All {
				if v := field(r); v != nil && *v > 0 {
					if have, seen := byBlock[r.Unit()]; !seen || math.Log(*v) > have {
						byBlock[r.Unit()] = math.Log(*v)
					}
				}
			}
		}
		c.add(m, byBlock, &stats.Estimate{DF: math.Inf(1)})
	}
}
