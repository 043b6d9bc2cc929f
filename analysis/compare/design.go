package compare

import (
	"maps"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// CellID names a cell whose backend is a side's.
type CellID struct {
	Model, Scenario, Mode string
	Batch                 int
}

func (id CellID) key(backend string) cells.Key {
	return cells.Series{Backend: backend, BatchSize: id.Batch}.Key(id.Model, id.Scenario, id.Mode)
}

// unit is what is independent of other units: a block, or a run. It has the logarithm
// of each cell's time, in ms, or of the ratio of two.
type unit map[CellID]float64

// term is a cell's weight in what is estimated.
type term struct {
	CellID
	weight float64
}

// mean weighs each model the same, and of a model each cell.
func mean(ids []CellID) []term {
	of := map[string]float64{}
	for _, id := range ids {
		of[id.Model]++
	}
	return stats.Map(ids, func(id CellID) term { return term{id, 1 / (of[id.Model] * float64(len(of)))} })
}

// models are those of cells, in their order.
func models(ids []CellID) (out []string) {
	for _, id := range ids {
		if !slices.Contains(out, id.Model) {
			out = append(out, id.Model)
		}
	}
	return out
}

// of is the weighted sum of the unit's values; ok is false where it lacks one.
func (u unit) of(terms []term) (sum float64, ok bool) {
	for _, t := range terms {
		v, has := u[t.CellID]
		if !has {
			return 0, false
		}
		sum += t.weight * v
	}
	return sum, true
}

func values(units []unit, terms []term) (out []float64) {
	for _, u := range units {
		if v, ok := u.of(terms); ok {
			out = append(out, v)
		}
	}
	return out
}

// sample is one run's view of a backend.
type sample struct {
	blocks  []unit             // one for each replicate
	joined  unit               // their mean, of the blocks that have the cell
	calls   map[CellID]float64 // variance of joined by the scatter of calls; of cells with one process
	runSD   float64
	inBlock map[int]unit            // by number of the replicate
	made    map[int]map[CellID]bool // what each block measured: calls that something disturbed may be in no median
}

// look takes the medians of a backend's processes.
func look(set *cells.Set, backend string) *sample {
	s := &sample{joined: unit{}, calls: map[CellID]float64{}, inBlock: map[int]unit{}, made: map[int]map[CellID]bool{}}
	set.EachCell(func(k cells.Key, _ *cells.Model, g *cells.Group) {
		if k.Backend != backend || !slices.Contains(Phases, k.Mode) || len(g.Rows) == 0 {
			return
		}
		id := CellID{k.Model, k.Scenario, k.Mode, k.BatchSize}
		for _, p := range g.AllProcesses() {
			if s.made[p.Block] == nil {
				s.made[p.Block] = map[CellID]bool{}
			}
			s.made[p.Block][id] = true
		}
		times := g.Times()
		logs := cells.LogBlocks(times)
		if len(logs) == 0 {
			return
		}
		for block, log := range logs {
			if s.inBlock[block] == nil {
				s.inBlock[block] = unit{}
			}
			s.inBlock[block][id] = log
		}
		s.joined[id] = math.Log(times.Typical())
		if len(logs) == 1 {
			if v := stats.OrderedLog(times.All).Variance; v >= 0 && len(times.All) >= stats.MinRatioCalls {
				s.calls[id] = v
			}
		}
	})
	for _, n := range slices.Sorted(maps.Keys(s.inBlock)) {
		s.blocks = append(s.blocks, s.inBlock[n])
	}
	return s
}

func sum(xs []float64) (out float64) {
	for _, x := range xs {
		out += x
	}
	return out
}

// estimate is that of one run: its scatter is that of its blocks, or what processes
// are taken to differ by (stats.ProcessSD) and that of the calls; and what runs are
// taken to differ by.
func (s *sample) estimate(terms []term) (e stats.Estimate, ok bool) {
	weight, byModel := 0.0, map[string]float64{}
	for _, t := range terms {
		weight += t.weight
		byModel[t.Model] += t.weight
	}
	run := stats.Estimate{Variance: weight * weight * s.runSD * s.runSD, DF: math.Inf(1)}
	if e, ok = overBlocks(s.blocks, terms); ok {
		return stats.Sum(e, run), true
	}
	e.DF = math.Inf(1)
	if e.Value, ok = s.joined.of(terms); !ok {
		return e, false
	}
	for _, t := range terms {
		v, has := s.calls[t.CellID]
		if !has {
			return e, false
		}
		e.Variance += t.weight * t.weight * v
	}
	for _, w := range byModel { // the scenarios of a model share its process
		e.Variance += w * w * stats.ProcessSD * stats.ProcessSD
	}
	return stats.Sum(e, run), true
}

// design is what there is to tell an effect from chance.
type design struct {
	kind        string
	blocks      []unit            // of design blocks: the ratios within each
	made        []map[CellID]bool // what each block measured on both sides, also where it has no ratio
	visited     []map[string]bool // models that each block measured on either side: blocks that were added measure some
	base, other []*sample
}

func newDesign(base, other Side) *design {
	d := &design{}
	for _, set := range base.Runs {
		d.base = append(d.base, look(set, base.Backend))
	}
	for _, set := range other.Runs {
		d.other = append(d.other, look(set, other.Backend))
	}
	x, y := d.base[0], d.other[0]
	switch {
	case base.Runs[0] != other.Runs[0]:
		d.kind = DesignRuns
		if min(len(d.base), len(d.other)) < 2 {
			d.kind = DesignRun
			for _, s := range slices.Concat(d.base, d.other) {
				s.runSD = RunSD
			}
		}
	case min(len(x.blocks), len(y.blocks)) > 1:
		d.kind = DesignBlocks
		for _, n := range slices.Sorted(maps.Keys(x.made)) {
			ratios, made, visited := unit{}, map[CellID]bool{}, map[string]bool{}
			for id := range y.made[n] {
				visited[id.Model] = true
			}
			for id := range x.made[n] {
				visited[id.Model], made[id] = true, y.made[n][id]
				u, has := x.inBlock[n][id]
				if v, also := y.inBlock[n][id]; has && also {
					ratios[id] = v - u
				}
			}
			if len(ratios) > 0 {
				d.blocks, d.made, d.visited = append(d.blocks, ratios), append(d.made, made), append(d.visited, visited)
			}
		}
	default:
		d.kind = DesignProcess
	}
	return d
}

// unit is what there are several of.
func (d *design) unit() string {
	if d.kind == DesignBlocks {
		return "block"
	}
	return "run"
}

// count is how many blocks have a ratio of one of cells at least, or the runs of the side
// with fewer.
func (d *design) count(ids []CellID) (n int) {
	if d.kind != DesignBlocks {
		return min(len(d.base), len(d.other))
	}
	for _, u := range d.blocks {
		if slices.ContainsFunc(ids, func(id CellID) bool { _, has := u[id]; return has }) {
			n++
		}
	}
	return n
}

// lacks says why a cell is in no mean: every run, and every block with its model, must
// have measured it, and two blocks at least must have a ratio. "" where it is in them.
func (d *design) lacks(id CellID) string {
	if d.kind != DesignBlocks {
		if slices.ContainsFunc(slices.Concat(d.base, d.other), func(s *sample) bool { _, has := s.joined[id]; return !has }) {
			return "not measured in every run of both"
		}
		return ""
	}
	for i, made := range d.made {
		if d.visited[i][id.Model] && !made[id] {
			return "not measured in every block of both"
		}
	}
	if len(values(d.blocks, []term{{id, 1}})) < 2 {
		return "fewer than two blocks measured both undisturbed"
	}
	return ""
}

// estimate is of the weighted sum of the logarithms of other over base: in blocks the t
// for pairs; of runs the difference of two means (Welch 1947, by Satterthwaite's
// degrees of freedom). ok is false where nothing tells its scatter.
func (d *design) estimate(terms []term) (stats.Estimate, bool) {
	if d.kind == DesignBlocks {
		return overBlocks(d.blocks, terms)
	}
	x, ok := d.over(d.base, terms)
	y, also := d.over(d.other, terms)
	return y.Minus(x), ok && also
}

// overBlocks is the t over blocks. Of a cell that a block lacks since its calls were
// disturbed, or since the block did not visit its model, the mean of its others stands in (Yates 1933), and the variance is that of
// so many fewer values.
func overBlocks(all []unit, terms []term) (e stats.Estimate, ok bool) {
	var blocks []unit
	for _, u := range all {
		if slices.ContainsFunc(terms, func(t term) bool { _, has := u[t.CellID]; return has }) {
			blocks = append(blocks, u)
		}
	}
	if len(blocks) < 2 {
		return e, false
	}
	filled := make([]float64, len(blocks))
	lacking, weight := 0.0, 0.0
	for _, t := range terms {
		own := values(blocks, []term{{t.CellID, 1}})
		if len(own) == 0 {
			return e, false
		}
		mean := sum(own) / float64(len(own))
		for i, u := range blocks {
			v, has := u[t.CellID]
			if !has {
				v = mean
				lacking += math.Abs(t.weight)
			}
			filled[i] += t.weight * v
			weight += math.Abs(t.weight)
		}
	}
	e, ok = stats.MeanT(filled)
	if known := 1 - lacking/weight; ok {
		e.Variance /= known * known
	}
	return e, ok
}

// over is the mean of a side's runs. Their scatter is known where the other side's is.
func (d *design) over(samples []*sample, terms []term) (stats.Estimate, bool) {
	if d.kind == DesignRuns {
		return stats.MeanT(values(stats.Map(samples, func(s *sample) unit { return s.joined }), terms))
	}
	var each []stats.Estimate
	for _, s := range samples {
		e, ok := s.estimate(terms)
		if !ok {
			return e, false
		}
		each = append(each, e)
	}
	return stats.Sum(each...).Times(1 / float64(len(each))), true
}
