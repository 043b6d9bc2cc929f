package wall

import (
	"cmp"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

const (
	rereadShare = 0.01 // of the mapped weights: less is not their being read again
	levelFactor = 1.5  // decode has left its level where it surely takes this many times as long
)

// passes is how often a call goes through the weights.
func passes(r *runs.Row) float64 {
	if r.GenTokensRaw == nil || r.PromptTokensRaw == nil {
		return math.NaN()
	}
	return float64(*r.GenTokensRaw) + math.Ceil(float64(*r.PromptTokensRaw)/float64(max(r.NUBatch, 1)))
}

// rereads is whether a call read weights from the disk.
func rereads(r *runs.Row) bool {
	return r.DiskReadBytes != nil && r.MemoryMappedMiB != nil && float64(*r.DiskReadBytes)/passes(r) > rereadShare**r.MemoryMappedMiB*(1<<20)
}

// inMemory fills in how a model on the CPU lay in memory.
func (c *Cell) inMemory(rows []*runs.Row, m *cells.Model) {
	var read, disk []float64
	for _, r := range rows {
		if r.MemoryNeedMiB == nil || r.MemoryMappedMiB == nil {
			continue
		}
		c.NeedMiB, c.mappedMiB, c.context = r.MemoryNeedMiB, *r.MemoryMappedMiB, r.NCtx/r.Sequences()
		c.kvMiB = float64(m.KVBytesPerToken) * float64(r.Sequences()) / (1 << 20)
		if r.MemoryLimitMiB != nil {
			c.MemoryMiB = new(float64(*r.MemoryLimitMiB))
		}
		if r.DiskMBPerS != nil {
			disk = append(disk, *r.DiskMBPerS)
		}
		if r.OK() && r.Counts() && !r.IsWarmup && r.DiskReadBytes != nil {
			read = append(read, float64(*r.DiskReadBytes)/passes(r)/(1<<20))
			c.HostPeakMiB, c.UnmappedMiB = stats.Larger(c.HostPeakMiB, r.GroupPeakMiB), stats.Larger(c.UnmappedMiB, r.GroupAnonMiB)
		}
	}
	c.ReadMiB, c.DiskMBPerS = stats.Finite(stats.Median(read)), stats.Finite(stats.Median(disk))
	if c.NeedMiB != nil && c.MemoryMiB != nil && c.mappedMiB > 0 {
		c.Missing = new(min(max(*c.NeedMiB-*c.MemoryMiB, 0)/c.mappedMiB, 1))
	}
}

// explain says how much of what decode takes longer the disk's speed accounts for.
func (c *Cell) explain(whole *Cell) {
	if c.ReadMiB == nil || c.DiskMBPerS == nil || *c.DecodeMS <= *whole.DecodeMS {
		return
	}
	c.Explained = stats.Finite(*c.ReadMiB * (1 << 20) / (*c.DiskMBPerS * 1e6) * 1e3 / (*c.DecodeMS - *whole.DecodeMS))
}

// Verdicts on a limit.
const (
	Found      = "found"       // decode holds its level at one limit, and has left it at a smaller one
	NotReached = "not_reached" // it holds its level at all limits
	CannotTell = "cannot_tell" // no interval, or none that lies on one side
)

// Cliff is the memory limit at which a model's decode leaves its level.
type Cliff struct {
	Model      string   `json:"model" doc:"name of the model"`
	ParamsM    *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	WeightType string   `json:"weight_type" doc:"type of the weights"`
	BatchSize  int      `json:"batch_size" doc:"sequences decoded together"`
	Verdict    string   `json:"verdict" doc:"found (decode holds its level at one limit and has left it at a smaller one: 1.5 times, beyond its 95 % interval), not_reached (it holds at all limits), cannot_tell"`
	HoldsMiB   *float64 `json:"holds_mib" unit:"MiB" doc:"smallest limit at which decode surely holds its level, with all larger ones"`
	SlowMiB    *float64 `json:"slow_mib" unit:"MiB" doc:"largest limit at which it has surely left it"`
	Times      *float64 `json:"slow_times" doc:"decode there, over that without a limit"`
	Low        *float64 `json:"slow_times_low" doc:"its 95 % interval"`
	High       *float64 `json:"slow_times_high" doc:"likewise"`
	Missing    *float64 `json:"slow_weights_not_fitting" doc:"share of the mapped weights for which there was no room there"`
	Reread     *float64 `json:"slow_weights_reread" doc:"bytes read from the disk in each pass there, over the mapped weights"`
	DiesMiB    *float64 `json:"did_not_fit_mib" unit:"MiB" doc:"largest limit at which it did not run"`

	NeedMiB     *float64 `json:"memory_need_mib" unit:"MiB" doc:"memory that the load was estimated to need: where the wall should stand"`
	PeakMiB     *float64 `json:"memory_peak_mib" unit:"MiB" doc:"most that it took where it was whole"`
	LeastMiB    *float64 `json:"memory_need_unmapped_mib" unit:"MiB" doc:"of the need, what cannot be dropped and read again: below that nothing runs"`
	UnmappedMiB *float64 `json:"memory_unmapped_mib" unit:"MiB" doc:"the same, as measured"`
}

// cliffs looks for the wall of each model that ran under several limits.
func (w *Wall) cliffs() {
	var ran []*Cell
	for i := range w.Cells {
		if c := &w.Cells[i]; c.host() && c.NeedMiB != nil {
			ran = append(ran, c)
		}
	}
	type key struct{ model, weights, settings string }
	order, groups := stats.GroupBy(slices.DeleteFunc(slices.Clone(ran), func(c *Cell) bool { return c.DecodeMS == nil }), func(c *Cell) key { return key{c.Model, c.WeightType, c.settings} })
	for _, k := range order {
		all := groups[k]
		for _, c := range ran { // one that never ran does not tell its threads
			if c.DecodeMS == nil && c.Model == k.model && c.WeightType == k.weights && c.BatchSize == all[0].BatchSize {
				all = append(all, c)
			}
		}
		slices.SortStableFunc(all, func(x, y *Cell) int { return cmp.Compare(cells.OrInf(y.MemoryMiB), cells.OrInf(x.MemoryMiB)) })
		if !slices.ContainsFunc(all, func(c *Cell) bool { return c.MemoryMiB != nil }) {
			continue
		}
		w.Cliffs = append(w.Cliffs, cliffOf(all))
	}
}

// cliffOf goes from the largest limit down.
func cliffOf(all []*Cell) Cliff {
	first := all[0]
	l := Cliff{Model: first.Model, ParamsM: first.ParamsM, WeightType: first.WeightType, BatchSize: first.BatchSize, NeedMiB: first.NeedMiB, Verdict: CannotTell}
	l.LeastMiB = new(*first.NeedMiB - first.mappedMiB)
	doubt := first.State != Whole
	if !doubt {
		l.HoldsMiB = first.MemoryMiB
	}
	for _, c := range all {
		l.UnmappedMiB = stats.Larger(l.UnmappedMiB, c.UnmappedMiB)
		switch {
		case c.State == TooBig && l.DiesMiB == nil:
			l.DiesMiB = c.MemoryMiB
		case c.State == Whole:
			l.PeakMiB = stats.Larger(l.PeakMiB, c.HostPeakMiB)
		}
		switch {
		case c == first || c.State != Whole && c.State != Partial || l.SlowMiB != nil:
		case c.OverLow == nil:
			doubt = true
		case *c.OverHigh < levelFactor && !doubt:
			l.HoldsMiB = c.MemoryMiB
		case *c.OverLow > levelFactor:
			l.SlowMiB, l.Times, l.Low, l.High, l.Missing = c.MemoryMiB, c.OverWhole, c.OverLow, c.OverHigh, c.Missing
			if c.ReadMiB != nil {
				l.Reread = stats.Finite(*c.ReadMiB / c.mappedMiB)
			}
		default:
			doubt = true
		}
	}
	switch {
	case l.HoldsMiB != nil && l.SlowMiB != nil:
		l.Verdict = Found
	case l.HoldsMiB != nil && !doubt:
		l.Verdict = NotReached
	}
	return l
}

// Feasible is the largest size that fits into a memory with a context, by what the sizes of the run need.
type Feasible struct {
	WeightType string   `json:"weight_type" doc:"type of the weights"`
	BatchSize  int      `json:"batch_size" doc:"sequences decoded together"`
	MemoryMiB  float64  `json:"memory_mib" unit:"MiB" doc:"memory"`
	Context    int      `json:"context_tokens" unit:"tokens" doc:"context of each sequence"`
	ParamsM    *float64 `json:"params_millions" unit:"1e6" doc:"largest size, between two of the run's on a line through the logarithms of what they need; nothing: less than the smallest of them"`
	Beyond     bool     `json:"beyond_largest" doc:"the largest of the run fits: how much more is not known"`
}

// feasible reckons what fits from the needs of at least two sizes.
func (w *Wall) feasible() {
	type kind struct {
		weights string
		batch   int
	}
	var ran []*Cell
	for i := range w.Cells {
		if c := &w.Cells[i]; c.host() && c.NeedMiB != nil && c.ParamsM != nil && c.MemoryMiB == nil {
			ran = append(ran, c)
		}
	}
	order, groups := stats.GroupBy(ran, func(c *Cell) kind { return kind{c.WeightType, c.BatchSize} })
	for _, k := range order {
		sizes := groups[k]
		slices.SortStableFunc(sizes, func(x, y *Cell) int { return cmp.Compare(*x.ParamsM, *y.ParamsM) })
		sizes = slices.CompactFunc(sizes, func(x, y *Cell) bool { return *x.ParamsM == *y.ParamsM })
		if len(sizes) < 2 {
			continue
		}
		least, most := *sizes[0].NeedMiB, *sizes[len(sizes)-1].NeedMiB
		for memory := math.Exp2(math.Floor(math.Log2(least))); memory < 2*most; memory *= 2 {
			for _, context := range []int{sizes[0].context, 4096, 32768} {
				f := Feasible{WeightType: k.weights, BatchSize: k.batch, MemoryMiB: memory, Context: context}
				f.fit(sizes)
				w.Feasible = append(w.Feasible, f)
			}
		}
	}
}

func (f *Feasible) fit(sizes []*Cell) {
	need := func(c *Cell) float64 { return *c.NeedMiB + c.kvMiB*float64(f.Context-c.context) }
	for i, c := range sizes {
		if need(c) > f.MemoryMiB {
			if i > 0 {
				was := sizes[i-1]
				t := math.Log(f.MemoryMiB/need(was)) / math.Log(need(c)/need(was))
				f.ParamsM = stats.Finite(*was.ParamsM * math.Pow(*c.ParamsM / *was.ParamsM, t))
			}
			return
		}
	}
	f.ParamsM, f.Beyond = sizes[len(sizes)-1].ParamsM, true
}
