package regimes

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/weights"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// Budget is where the time of one cell goes, and what bounds it:
//
//	time = host + fixed + reading + computing - overlap + residual
//
// Reading and computing run side by side: the overlap is the shorter of the two.
type Budget struct {
	cells.Subject
	Scenario string `json:"scenario" doc:"name of the scenario"`
	Mode     string `json:"mode" doc:"prefill or kv_decode"`
	Tokens   int    `json:"tokens" unit:"tokens" doc:"computed together: the prompts of all sequences, or one of each" zero:"unknown"`
	Depth    int    `json:"depth" unit:"tokens" doc:"tokens in the KV cache before the call"`
	N        int    `json:"n" unit:"calls" doc:"calls"`

	Regime  string   `json:"regime" doc:"what takes the largest part of the time: overhead, cache or memory (reading), compute, weights (reading or computing: nothing tells which), wall (weights that are not in the device's memory), or 'cannot tell'"`
	Between []string `json:"between" sep:" or " doc:"of 'cannot tell': the parts that lie within each other's uncertainty"`
	Reason  string   "json:\"reason\" doc:\"of `wall`, 'cannot tell' and some of weights: why\""

	TimeMS      *float64        `json:"time_ms" unit:"ms" doc:"median of a decode step, or of a prefill"`
	HostMS      *float64        `json:"host_ms" unit:"ms" doc:"on a GPU: the host's time less the device's, measured"`
	FixedMS     *float64        `json:"fixed_ms" unit:"ms" doc:"fixed cost of passes and layers, fitted over the sizes"`
	FixedCI     *stats.Interval `json:"fixed_ci_ms" unit:"ms" doc:"its 95 % interval, by leaving out one model at a time"`
	ReadMS      *float64        `json:"read_ms" unit:"ms" doc:"bytes over the rate that the probe measured at as many"`
	ReadCI      *stats.Interval `json:"read_range_ms" unit:"ms" doc:"the same at the rates of the next smaller and the next larger set of the probe"`
	ComputeMS   *float64        `json:"compute_ms" unit:"ms" doc:"unpacking weights, multiplying, attention, fitted over the sizes; without a probe it contains reading"`
	ComputeCI   *stats.Interval `json:"compute_ci_ms" unit:"ms" doc:"its 95 % interval, by leaving out one model at a time"`
	AttentionMS *float64        `json:"attention_ms" unit:"ms" doc:"attention's part of that"`
	OverlapMS   *float64        `json:"overlap_ms" unit:"ms" doc:"the shorter of reading and computing, which run side by side"`
	ResidualMS  *float64        `json:"residual_ms" unit:"ms" doc:"what the parts leave of the time; negative where they exceed it"`

	Machine     string   `json:"machine,omitempty"` // its type, where several measured the run
	Device      string   `json:"device" doc:"device whose ceilings these are"`
	Threads     int      `json:"n_threads" doc:"threads of a CPU's ceilings" zero:"unknown"`
	WeightBytes int64    `json:"weight_bytes_read" unit:"B" doc:"weights that one pass reads" zero:"unknown"`
	KVBytes     int64    `json:"kv_bytes_read" unit:"B" doc:"KV cache that one pass reads: the mean over the answer's steps, of all sequences" zero:"unknown"`
	GBPerS      *float64 `json:"read_gb_per_s" unit:"GB/s" doc:"1e9 bytes of both, of all passes, over the time"`
	Ceiling     *float64 `json:"ceiling_gb_per_s" unit:"GB/s" doc:"envelope of the measured rates at that many bytes: nothing measured says that it can be exceeded"`
	Reached     *float64 `json:"ceiling_reached_gb_per_s" unit:"GB/s" doc:"rate at which that many bytes or more were read; lower where a cache ends nearby"`
	Share       *float64 `json:"share_of_ceiling" doc:"read_gb_per_s / ceiling_gb_per_s"`

	Split

	sample
	work
	largest  float64 // rate of the probe's largest set
	settings string
	left     bool // out of the fit: its verdict is INVALID
}

// Bytes is what one pass reads.
func (b *Budget) Bytes() int64 { return b.WeightBytes + b.KVBytes }

// those are the budgets of which something holds.
func (a *Answer) those(holds func(*Budget) bool) (out []*Budget) {
	for i := range a.Budgets {
		if b := &a.Budgets[i]; holds(b) {
			out = append(out, b)
		}
	}
	return out
}

// key is the budget's cell.
func (b *Budget) key() cells.Key { return b.Series().Key(b.Model, b.Scenario, b.Mode) }

// part is what a part of the budget takes of the time.
func (b *Budget) part(ms *float64) *float64 {
	if ms == nil || b.TimeMS == nil {
		return nil
	}
	return stats.Finite(*ms / *b.TimeMS)
}

// of fills in the budget of a cell, as far as it needs no fit.
func (a *Answer) of(f *ceilings.File, m *cells.Model, c *cells.Cell, g *cells.Group) Budget {
	row := g.Rows[0]
	b := Budget{Subject: c.Series().Of(m), Scenario: c.Scenario, Mode: c.Mode, Depth: c.Depth, N: c.N, Machine: row.MachineType, Device: m.Device, Threads: m.Threads}
	if m.Device != ceilings.CPU {
		b.Threads = 0
	} else if n := row.ThreadsBatch(); n > 0 && (c.Mode == record.ModePrefill || c.BatchSize > 1) {
		b.Threads = n
	}
	steps := 1.0
	if c.Mode == record.ModeDecode && c.GenTokens != nil {
		steps = *c.GenTokens
	}
	b.TimeMS = stats.Finite(c.MedianMS / steps)
	if gap := cells.MedianField(g.Rows, func(r *runs.Row) *float64 { return r.HostGapMS }); gap != nil {
		b.HostMS = new(max(0, *gap/steps))
	}
	w, ok := workOf(m, c, row)
	if !ok || b.TimeMS == nil || *b.TimeMS <= 0 {
		b.unknown("what a pass reads or computes is not known")
		return b
	}
	b.work, b.Tokens, b.WeightBytes, b.KVBytes = w, int(w.tokens), w.weightsB, w.kvB
	read := float64(b.Bytes()) * w.passes
	b.GBPerS = stats.Finite(read / *b.TimeMS / 1e6)
	if faults := cells.MedianField(g.Rows, func(r *runs.Row) *float64 { return whole(r.MajorFaults) }); faults != nil && *faults*pageB >= paged*read*steps {
		b.wall(fmt.Sprintf("%.4g page faults read from disk in each call: weights are not in memory", *faults))
		return b
	}
	switch {
	case m.Device != ceilings.CPU && !m.WholeOnGPU(row.NGPULayers) && m.Device != "":
		b.wall(fmt.Sprintf("%d of %d layers (the output head counts as one) are on the GPU: two memories share the reading", row.NGPULayers, m.NLayer+1))
		return b
	case m.ParamsActive > 0 && m.ParamsActive < m.ParamsTotal && w.tokens > 1:
		b.unknown("how many experts several tokens read is not known")
		return b
	}
	b.model, b.ms = m.Name, *b.TimeMS // from here on there is a budget
	if b.HostMS != nil {
		b.ms = max(b.ms-*b.HostMS, b.ms/100)
	}
	b.x = costs{perCall: w.passes, perLayer: w.passes * float64(m.NLayer), perWeight: w.passes * w.weights, perOp: w.ops, perPosition: w.attend}
	if f != nil {
		b.ceiling(f)
	}
	if b.Ceiling == nil && a.cache > 0 && m.Device == ceilings.CPU && b.Bytes() > a.cache {
		b.x[perByte] = read
	}
	return b
}

// pageB is the least that a page fault reads; paged is the share of a call's weights
// from which on their paging is called a wall.
const (
	pageB = 4096
	paged = 0.01
)

func whole(n *int64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}

// ceiling sets the cell beside what its device can read.
func (b *Budget) ceiling(f *ceilings.File) {
	e := ceilings.NewEnvelope(f.Of(b.Device, b.Threads)...)
	if !e.OK() {
		return
	}
	rates := e.Rates()
	b.largest = rates[len(rates)-1].BytesPerS
	atMost, reached := e.At(b.Bytes())
	b.Ceiling, b.Reached = new(atMost/1e9), new(reached/1e9)
	b.Share = stats.Finite(*b.GBPerS / *b.Ceiling)
	gb := *b.GBPerS * *b.TimeMS // of all passes, in 1e6 bytes
	b.ReadMS = new(gb * 1e9 / rateAt(rates, b.Bytes()))
	b.ReadCI = &stats.Interval{Low: gb / *b.Ceiling, High: gb / *b.Reached}
	b.read = *b.ReadMS
}

// Regimes.
const (
	Overhead = "overhead"
	Cache    = "cache"
	Memory   = "memory"
	Compute  = "compute"
	Weights  = "weights"
	Wall     = "wall"
	Unknown  = "cannot tell"
)

func (b *Budget) wall(why string)    { b.Regime, b.Reason = Wall, why }
func (b *Budget) unknown(why string) { b.Regime, b.Reason = Unknown, why }

// budgets makes the budget of every cell: the cells of a backend and mode, at all batch
// sizes, share their costs.
func (a *Answer) budgets(known *intervals.Answer) {
	a.set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		c := a.set.Cell(k.Series, k.Model, k.Scenario, k.Mode)
		if c == nil || k.Mode == record.ModeE2E {
			return
		}
		b := a.of(a.probed[g.Rows[0].MachineType], m, c, g)
		b.settings = g.Settings().Without(cells.SettingBatchSize)
		if v := known.Cell(k); v != nil && v.Verdict == record.VerdictInvalid {
			b.left = true
		}
		a.Budgets = append(a.Budgets, b)
	})
	if !slices.ContainsFunc(a.Budgets, func(b Budget) bool { return b.Tokens > 0 }) {
		a.Budgets = nil // no record says what its model reads
		return
	}
	a.group()
	type group struct{ settings, mode string }
	groups, of := stats.GroupBy(a.those(func(b *Budget) bool { return b.ms > 0 }), func(b *Budget) group { return group{b.settings, b.Mode} })
	for _, g := range groups {
		var fitted []sample
		for _, b := range of[g] {
			if b.weights > 0 && !b.left {
				fitted = append(fitted, b.sample)
			}
		}
		fit := fitLaw(fitted)
		for _, b := range of[g] {
			l := fit
			if !(b.weights > 0) {
				l = nil
			}
			b.spend(l)
			b.decide(l)
		}
	}
	a.oom()
}

// group tells backends of equal settings apart that do not differ in the batch size
// either.
func (a *Answer) group() {
	type key struct {
		settings string
		batch    int
	}
	backends := map[key]string{}
	twice := map[string]bool{}
	for i := range a.Budgets {
		b := &a.Budgets[i]
		k := key{b.settings, b.BatchSize}
		if have, ok := backends[k]; ok && have != b.Backend {
			twice[b.settings] = true
		}
		backends[k] = b.Backend
	}
	for i := range a.Budgets {
		if b := &a.Budgets[i]; twice[b.settings] {
			b.settings += "\x00" + b.Backend
		}
	}
}

// oom adds the models that did not fit.
func (a *Answer) oom() {
	seen := map[cells.Key]bool{}
	for i := range a.set.Run.Rows {
		r := &a.set.Run.Rows[i]
		k := cells.SeriesOf(r).Key(r.Model, r.Scenario, r.Mode)
		m := a.set.Model(r.Backend, r.Model)
		if r.Status != record.StatusOOM || r.Mode == record.ModeE2E || m == nil || seen[k] || a.set.Group(k) != nil {
			continue
		}
		seen[k] = true
		b := Budget{Subject: k.Series.Of(m), Scenario: r.Scenario, Mode: r.Mode, Depth: r.DepthTokens(), Device: r.Device}
		b.wall("it did not fit into memory")
		a.Budgets = append(a.Budgets, b)
	}
}

// heed takes "compute" back where decode takes as long as the bytes of several weight
// types: computing that grows with the bytes is not told from reading them.
func (a *Answer) heed(types *weights.Answer) {
	for i := range a.Budgets {
		b := &a.Budgets[i]
		if b.Mode != record.ModeDecode || b.Regime != Compute || !a.set.Joins(b.Scenario) {
			continue
		}
		if other := types.Follows(b.Series(), b.Model); other != "" {
			b.Regime, b.Reason = Weights, "decode follows the bytes of "+other+", by which computing is not told from reading"
		}
	}
}

// spend fills in the parts that the law tells. What a part may be at least and at most
// is bounded by what the others leave of the time, too.
func (b *Budget) spend(l *law) {
	t := *b.TimeMS
	host := 0.0
	if b.HostMS != nil {
		host = *b.HostMS
	}
	if l == nil {
		b.ResidualMS = new(t - host - b.read)
		return
	}
	fixed, fixedCI := l.interval(b.fixed)
	compute, computeCI := l.interval(b.compute)
	residual := t - host - fixed - max(b.read, compute)
	off := math.Abs(residual)
	var read stats.Interval
	if b.ReadCI != nil {
		read = *b.ReadCI
	}
	spent := t - host
	computeCI.High = max(compute, min(computeCI.High, spent+off-fixedCI.Low))
	fixedCI.Low = min(fixed, max(fixedCI.Low, spent-off-max(read.High, computeCI.High)))
	fixedCI.High = max(fixed, min(fixedCI.High, spent+off-max(read.Low, computeCI.Low)))
	b.FixedMS, b.FixedCI, b.ComputeMS, b.ComputeCI = &fixed, &fixedCI, &compute, &computeCI
	b.AttentionMS = new(b.attention(&l.at))
	b.OverlapMS, b.ResidualMS = new(min(b.read, compute)), &residual
}

// atCeiling is the share of the time from which on reading at its ceiling, or faster
// than anything that was measured, leaves no room for another cause.
const atCeiling = 0.9

// nearMemory is up to how many times the rate of the probe's largest set a set counts
// as read from memory.
const nearMemory = 1.25

// exceeded is by how much of the time the parts may exceed it before they are no account
// of it.
const exceeded = 0.25

// claim is one part's: its share of the time and how far that may be off.
type claim struct {
	regime           string
	share, low, high float64
}

// decide takes the part with the largest share, unless another's may be as large.
func (b *Budget) decide(l *law) {
	t := *b.TimeMS
	var claims []claim
	add := func(regime string, ms float64, ci stats.Interval) {
		claims = append(claims, claim{regime, ms / t, ci.Low / t, ci.High / t})
	}
	reading := Memory
	if b.ReadMS != nil {
		if rate := *b.GBPerS * t / *b.ReadMS * 1e9; rate > nearMemory*b.largest {
			reading = Cache
		}
		add(reading, *b.ReadMS, *b.ReadCI)
		if b.ReadCI.Low >= atCeiling*t {
			b.Regime = reading
			return
		}
	}
	if l == nil {
		b.unknown(fmt.Sprintf("fewer than %d sizes: a fixed cost is not told from computing", minModels))
		return
	}
	host := 0.0
	if b.HostMS != nil {
		host = *b.HostMS
	}
	add(Overhead, host+*b.FixedMS, stats.Interval{Low: host + b.FixedCI.Low, High: host + b.FixedCI.High})
	switch {
	case b.ReadMS != nil:
		add(Compute, *b.ComputeMS, *b.ComputeCI)
	case l.split:
		once, ci := l.interval(func(t *costs) float64 { return b.sum(t, perWeight, perWeight) + b.sum(t, perByte, perByte) })
		add(Weights, once, ci)
		each, ci := l.interval(func(t *costs) float64 { return b.sum(t, perOp, perPosition) })
		add(Compute, each, ci)
	default:
		add(Weights, *b.ComputeMS, *b.ComputeCI)
	}
	slices.SortStableFunc(claims, func(x, y claim) int { return cmp.Compare(y.share, x.share) })
	first := claims[0]
	b.Regime = first.regime
	for _, other := range claims[1:] {
		if first.share-other.share < math.Hypot(first.share-first.low, other.high-other.share) {
			b.Between = append(b.Between, other.regime)
		}
	}
	switch {
	case b.Between != nil:
		b.Between = append([]string{first.regime}, b.Between...)
		b.unknown("their shares lie within each other's uncertainty")
	case *b.ResidualMS/t < -exceeded:
		b.unknown(fmt.Sprintf("the parts exceed the time by %.0f %%", -100**b.ResidualMS/t))
	case *b.ResidualMS/t > first.share:
		b.unknown(fmt.Sprintf("the residual, %.0f %% of the time, is larger than every part", 100**b.ResidualMS/t))
	}
}
