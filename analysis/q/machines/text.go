package machines

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Place is by which the report knows the section.
const Place = "Machines"

// Sections have the types over the sizes, and the machines.
func (a *Answer) Sections() []doc.Section {
	if len(a.Machines) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: Place, Warned: []string{"slow_machine", "mixed_machines"}}
	sec.Add(doc.Pictures(kind))
	if len(a.Sizes) > 0 {
		sec.Say("Types of machine are kept apart like backends, as BACKEND@TYPE: no fit, ranking or contrast joins two. They measured different blocks.")
		sec.Show(doc.TableOf(a.Sizes, sizeColumns), "machine_types.csv")
	}
	t := doc.TableOf(a.Machines, machineColumns)
	t.Wrap = true
	sec.Show(t, "machines.csv")
	return []doc.Section{sec}
}

// title says which machine is slow, else how types compare at the largest size.
func (a *Answer) title() string {
	slow := slices.DeleteFunc(slices.Clone(a.Machines), func(m Machine) bool { return !m.Slow })
	switch types := slices.Compact(stats.Map(a.Machines, func(m Machine) string { return m.Type })); {
	case len(slow) == 1:
		return fmt.Sprintf("Machine %s is %.0f %% slower than others of its type", doc.Text(slow[0].ID), 100*(*slow[0].Times-1))
	case len(slow) > 1:
		return fmt.Sprintf("%d of %d machines are slower than others of their type", len(slow), len(a.Machines))
	case len(types) > 1:
		return a.compared(types)
	}
	return fmt.Sprintf("%d machines of one type measured; none is shown to be %.0f %% slower than the others", len(a.Machines), 100*slower)
}

// compared says how two types compare in decode of the largest model that both ran.
func (a *Answer) compared(types []string) string {
	var largest *Size
	for i := range a.Sizes {
		x := &a.Sizes[i]
		if x.Mode == record.ModeDecode && x.Ratio != nil && (largest == nil || cells.OrInf(x.ParamsM) > cells.OrInf(largest.ParamsM)) {
			largest = x
		}
	}
	if len(types) > 2 || largest == nil || largest.RatioCI == nil {
		return fmt.Sprintf("%d types of machine measured", len(types))
	}
	fast, slow, times := largest.First, largest.Type, *largest.Ratio
	switch ci := largest.RatioCI; {
	case ci.High < 1:
		fast, slow, times = slow, fast, 1/times
	case ci.Low <= 1:
		return fmt.Sprintf("Neither %s nor %s is shown to be faster in decode of %s", doc.Text(fast), doc.Text(slow), doc.Text(largest.Model))
	}
	return fmt.Sprintf("%s decodes %s %.2f times as fast as %s", doc.Text(fast), doc.Text(largest.Model), times, doc.Text(slow))
}

var sizeColumns = []doc.Column[Size]{
	{Head: "<mode", Cell: func(s Size) string { return prose.Mode(s.Mode) }},
	{Head: "<backend", Cell: func(s Size) string { return prose.Of(s.Backend, s.BatchSize).String() }},
	{Head: "<model", Cell: func(s Size) string { return doc.Text(s.Model) }},
	{Head: "<type", Cell: func(s Size) string { return doc.OrNone(s.Type) }},
	{Head: "time (ms)", Cell: func(s Size) string { return doc.Number(s.MS) }},
	{Head: "95 % (ms)", Cell: func(s Size) string { return doc.Numbers(s.CI) }},
	{Head: "times the first type's", Cell: func(s Size) string { return doc.Fixed(s.Ratio, 2) }},
	{Head: "95 %", Cell: func(s Size) string { return doc.Interval(s.RatioCI, 2) }},
}

var machineColumns = []doc.Column[Machine]{
	{Head: "<machine", Cell: func(m Machine) string { return doc.OrNone(m.ID) }},
	{Head: "<type", Cell: func(m Machine) string { return doc.OrNone(m.Type) }},
	{Head: "<processor", Cell: func(m Machine) string { return doc.OrNone(m.CPU) }},
	{Head: "cores", Cell: func(m Machine) string { return doc.OrPlain(doc.NumberText(m.Cores)) }},
	{Head: "memory (GiB)", Cell: func(m Machine) string {
		if m.MemoryGiB == 0 {
			return doc.Unknown
		}
		return doc.Size(m.MemoryGiB)
	}},
	{Head: "<GPUs", Cell: func(m Machine) string { return doc.OrNone(doc.Join(m.GPUs)) }},
	{Head: "processes", Cell: func(m Machine) string { return doc.NumberText(m.Processes) }},
	{Head: "times the others'", Cell: func(m Machine) string { return doc.Fixed(m.Times, 3) }},
	{Head: "95 %", Cell: func(m Machine) string { return doc.Interval(m.TimesCI, 3) }},
	{Head: "canary: reading", Cell: func(m Machine) string { return doc.Fixed(m.CanaryRead, 2) }},
	{Head: "computing", Cell: func(m Machine) string { return doc.Fixed(m.CanaryCompute, 2) }},
}
