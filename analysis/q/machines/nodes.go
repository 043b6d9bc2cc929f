package machines

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/canary"
	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// slower is by how much a machine is slower at least before it is named: machines of one type differ by a percent or so.
const slower = 0.05

// machines lists them, each compared with the others of its type.
func (a *Answer) machines() {
	of := map[string]int{}
	for i, m := range a.set.Machines {
		of[m.ID] = i
		a.Machines = append(a.Machines, Machine{ID: m.ID, Type: m.Type, CPU: m.CPU, Cores: m.Cores, MemoryGiB: m.MemoryGiB, GPUs: m.GPUs, Driver: m.Driver, Node: m.Node})
	}
	type place struct{ machine, block int }
	off := map[place][]float64{} // of each block on a machine, how far the logarithms of its cells are off their levels
	a.set.EachCell(func(k cells.Key, _ *cells.Model, g *cells.Group) {
		on := map[int][]float64{} // log medians of the processes on each machine
		var places []place
		var logs []float64
		for _, p := range g.Processes() {
			at := of[p.Rows[0].Machine()]
			a.Machines[at].Processes++
			y := math.Log(stats.Median(cells.Latencies(p.Rows)))
			on[at] = append(on[at], y)
			places, logs = append(places, place{at, p.Block}), append(logs, y)
		}
		if len(on) < 2 || k.Mode == record.ModeE2E { // which is the sum of the others
			return
		}
		level := 0.0
		for _, y := range on {
			level += stat.Mean(y, nil) / float64(len(on))
		}
		for at := range on {
			a.Machines[at].Cells++
		}
		for i, at := range places {
			off[at] = append(off[at], logs[i]-level)
		}
	})
	blocks := make([][]float64, len(a.Machines)) // of each machine
	for _, at := range slices.SortedFunc(maps.Keys(off), func(x, y place) int { return cmp.Or(x.machine-y.machine, x.block-y.block) }) {
		blocks[at.machine] = append(blocks[at.machine], stat.Mean(off[at], nil))
	}
	for i := range a.Machines {
		m := &a.Machines[i]
		e, ok := a.beside(i, blocks)
		if m.Times = stats.Finite(math.Exp(e.Value)); !ok {
			if len(blocks[i]) == 0 || math.IsNaN(e.Value) {
				m.Times = nil
			}
			continue
		}
		m.TimesCI, m.P = e.ExpInterval(), stats.Finite(e.P())
		m.Slow = *m.Times >= 1+slower && *m.P < stats.Alpha/float64(len(a.Machines))
	}
}

// beside is the logarithm of machine i's times over those of the others of its type. Its error is by the scatter of blocks
// about their machines, all alike; where that has less than two degrees of freedom, by the scatter of the other machines.
func (a *Answer) beside(i int, blocks [][]float64) (e stats.Estimate, ok bool) {
	e.Value = math.NaN()
	var others, all []float64 // means of machines; blocks about these
	inverse := 0.0            // of the others' numbers of blocks, summed
	for j := range a.Machines {
		n := len(blocks[j])
		if a.Machines[j].Type != a.Machines[i].Type || n == 0 {
			continue
		}
		mean := stat.Mean(blocks[j], nil)
		for _, v := range blocks[j] {
			all = append(all, v-mean)
		}
		if j != i {
			others, inverse = append(others, mean), inverse+1/float64(n)
		}
	}
	if len(others) == 0 || len(blocks[i]) == 0 {
		return e, false
	}
	k := float64(len(others))
	e.Value = stat.Mean(blocks[i], nil) - stat.Mean(others, nil)
	if df := float64(len(all)) - k - 1; df >= 2 {
		sum := 0.0
		for _, v := range all {
			sum += v * v / df
		}
		e.Variance, e.DF = sum*(1/float64(len(blocks[i]))+inverse/(k*k)), df
		return e, true
	}
	if k < 3 {
		return e, false
	}
	e.Variance, e.DF = stat.Variance(others, nil)*(1+1/k), k-1
	return e, true
}

// canaries compares the known work before each call, of the same threads.
func (a *Answer) canaries() {
	type part struct {
		team canary.Team
		kind int // 0: reading, 1: computing
	}
	of := map[part]map[string][]float64{} // logarithms by machine
	var parts []part
	for i := range a.set.Run.Rows {
		r := &a.set.Run.Rows[i]
		if !r.OK() || r.Mode != record.ModeE2E {
			continue
		}
		team := canary.Of(&r.Phases, &r.Costs, &r.ModelFacts, &r.RuntimeFacts).Team
		team.Machine = r.MachineType
		for kind, ms := range []*float64{r.CanaryReadMS, r.CanaryComputeMS} {
			if ms == nil || !(*ms > 0) {
				continue
			}
			p := part{team, kind}
			if of[p] == nil {
				parts, of[p] = append(parts, p), map[string][]float64{}
			}
			of[p][r.Machine()] = append(of[p][r.Machine()], math.Log(*ms))
		}
	}
	for i := range a.Machines {
		m := &a.Machines[i]
		var off [2][]float64
		for _, p := range parts {
			mine, others := of[p][m.ID], []float64{}
			for j := range a.Machines {
				if logs := of[p][a.Machines[j].ID]; j != i && a.Machines[j].Type == m.Type && len(logs) > 0 {
					others = append(others, stats.Median(logs))
				}
			}
			if len(mine) > 0 && len(others) > 0 {
				off[p.kind] = append(off[p.kind], stats.Median(mine)-stat.Mean(others, nil))
			}
		}
		for kind, to := range []**float64{&m.CanaryRead, &m.CanaryCompute} {
			if len(off[kind]) > 0 {
				*to = stats.Finite(math.Exp(stat.Mean(off[kind], nil)))
			}
		}
	}
}

// slow warns of machines that are slower than others of their type.
func (a *Answer) slow() {
	for i := range a.Machines {
		if m := &a.Machines[i]; m.Slow {
			a.Warn("slow_machine", "machine "+m.ID, m.says(a.alike(m)),
				"look at its cooling, memory and neighbours; measure its shards anew elsewhere (--exclude), or keep it: where three machines measured, intervals are over machines")
		}
	}
}

// alike counts the other machines of a type.
func (a *Answer) alike(m *Machine) (n int) {
	for i := range a.Machines {
		if a.Machines[i].Type == m.Type {
			n++
		}
	}
	return n - 1
}

// says by how much a machine is slower.
func (m *Machine) says(others int) string {
	than := "the other one of its type"
	if others > 1 {
		than = fmt.Sprintf("the %d others of its type", others)
	}
	s := fmt.Sprintf("%.1f %% slower than %s, over %s", 100*(*m.Times-1), than, text.Counted(m.Cells, "cell", "cells"))
	if ci := m.TimesCI; ci != nil {
		s += fmt.Sprintf(" [%.1f to %.1f %%]", 100*(ci.Low-1), 100*(ci.High-1))
	}
	if m.CanaryRead != nil && m.CanaryCompute != nil {
		s += fmt.Sprintf("; its canary took %.2f times theirs to read and %.2f to compute", *m.CanaryRead, *m.CanaryCompute)
	}
	return s
}
