package cells

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// FewestNodes is of how many machines of one type intervals are over machines: of fewer too little tells how far another
// one would differ.
const FewestNodes = 3

// Machine is one of several that measured a run.
type Machine struct {
	ID   string // as records have it; "" of those that name none
	Type string // as readers know it; "" where all are of one
	record.Machine
}

// apart keeps machines apart, where several have measured the run. Types differ as backends do: those of a type are
// backends of their own, BACKEND@TYPE, so that nothing is made of two types. Where three machines of one type have measured
// a model, its intervals are over machines.
func (set *Set) apart() {
	known := set.Run.Manifest.Machines()
	byID := map[string]*Machine{}
	for i := range set.Run.Rows {
		id := set.Run.Rows[i].Machine()
		if byID[id] == nil {
			byID[id] = &Machine{ID: id, Machine: known[id]}
		}
	}
	if len(byID) < 2 {
		return
	}
	ids := slices.Sorted(maps.Keys(byID))
	types, of := stats.GroupBy(ids, record.MachineType)
	names := typeNames(types, func(kind string) record.Machine { return byID[of[kind][0]].Machine })
	for _, kind := range types {
		for _, id := range of[kind] {
			if len(types) > 1 {
				byID[id].Type = names[kind]
			}
			set.Machines = append(set.Machines, *byID[id])
		}
	}
	slices.SortStableFunc(set.Machines, func(x, y Machine) int { return cmp.Compare(x.Type, y.Type) })
	run := *set.Run
	run.Rows = slices.Clone(run.Rows)
	type named struct {
		cell *runs.Cell
		kind string
	}
	renamed := map[named]*runs.Cell{}
	set.configured = map[string]string{}
	for i := range run.Rows {
		r := &run.Rows[i]
		m := byID[r.Machine()]
		if r.MachineType = m.Type; m.Type == "" {
			continue
		}
		k := named{r.Cell, m.Type}
		if renamed[k] == nil {
			cell := *r.Cell
			cell.Backend += "@" + m.Type
			renamed[k], set.configured[cell.Backend] = &cell, r.Cell.Backend
		}
		r.Cell = renamed[k]
	}
	nodes := map[ModelKey]map[string]int{} // of each model, its machines
	for i := range run.Rows {
		if r := &run.Rows[i]; r.OK() {
			k := ModelKey{r.Backend, r.Model}
			if nodes[k] == nil {
				nodes[k] = map[string]int{}
			}
			nodes[k][r.Machine()] = 1 + slices.Index(ids, r.Machine())
		}
	}
	for i := range run.Rows {
		r := &run.Rows[i]
		if of := nodes[ModelKey{r.Backend, r.Model}]; len(of) >= FewestNodes {
			r.Node = of[r.Machine()]
		}
	}
	set.Run = &run
}

// MachineSets are the sets of machines that measured models: where there are several, size and machine are confounded.
func MachineSets(models []*Model) int {
	sets := map[string]bool{}
	for _, m := range models {
		sets[strings.Join(m.Machines, "\x00")] = true
	}
	return len(sets)
}

// Configured is the name that the config has for a backend.
func (set *Set) Configured(backend string) string { return cmp.Or(set.configured[backend], backend) }

// longestType is how many letters the name of a type has at most.
const longestType = 32

// notInNames are marks that names of backends, and of files made of them, do without.
var notInNames = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// typeNames has short names for types of machines: of their GPUs where these differ, else of their processors; of several
// that have one name with the type.
func typeNames(types []string, of func(kind string) record.Machine) map[string]string {
	name := func(kind string, byGPU bool) string {
		m := of(kind)
		long := m.CPU
		if byGPU {
			long = cmp.Or(strings.Join(slices.Compact(slices.Clone(m.GPUs)), " "), m.CPU)
		}
		return cmp.Or(shortened(long), "unnamed")
	}
	cards := map[string]bool{}
	for _, kind := range types {
		cards[strings.Join(of(kind).GPUs, "\x00")] = true
	}
	times, out := map[string]int{}, map[string]string{}
	for _, kind := range types {
		out[kind] = name(kind, len(cards) > 1)
		times[out[kind]]++
	}
	for kind, short := range out {
		if times[short] > 1 && kind != "" {
			out[kind] = short + "-" + notInNames.ReplaceAllString(kind, "-")
		}
	}
	return out
}

// said are words of the names of processors and cards that tell none from another.
var said = regexp.MustCompile(`\((R|TM|r|tm)\)|@.*|\b(Intel|AMD|NVIDIA|CPU|Processor|\d+-Core)\b`)

func shortened(name string) string {
	name = strings.Trim(notInNames.ReplaceAllString(said.ReplaceAllString(name, " "), "-"), "-")
	return name[:min(len(name), longestType)]
}
