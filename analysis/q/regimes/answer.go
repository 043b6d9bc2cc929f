// Package regimes asks what bounds each cell: a fixed cost, reading, computing, or weights
// that are not in memory.
package regimes

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/weights"
	"llmscale/runner/ceilings"
)

// Answer has no budgets where no record says what its model reads, and no devices where
// the run stored no ceilings of its machine.
type Answer struct {
	finding.Notes
	set   *cells.Set
	cache int64 // bytes of the last cache of a CPU; 0: not known, or several types of machine

	probed map[string]*ceilings.File // by type of machine; "": there is one

	Devices []Device `json:"ceilings,omitempty"`
	Budgets []Budget `json:"regimes,omitempty"` // of each cell of prefill and decode
}

// Ask makes the budget of each cell of a run. known says which cells may be used for what
// they have in common, types which of them take as long as their bytes.
func Ask(c *cells.Set, known *intervals.Answer, types *weights.Answer) *Answer {
	a := &Answer{set: c, probed: byMachine(c)}
	if len(c.Machines) == 0 || c.Machines[0].Type == "" {
		c.Run.Manifest.Decode(&a.cache, "environment", "l3_cache_bytes")
	}
	a.join()
	a.budgets(known)
	a.heed(types)
	a.profiled()
	a.aboveCeiling()
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	share := func(part string, ms func(*Budget) *float64) finding.Computed[Budget] {
		return finding.Compute("share_"+part, "", part+"_ms over time_ms", func(b Budget) any { return b.part(ms(&b)) })
	}
	return []finding.Table{
		finding.TableOf(file, "Where the time of each cell goes and what bounds it: time = host + fixed + read + compute - overlap + residual. A row for each cell of prefill and decode.", a.Budgets, "",
			share("host", func(b *Budget) *float64 { return b.HostMS }),
			share("fixed", func(b *Budget) *float64 { return b.FixedMS }),
			share("read", func(b *Budget) *float64 { return b.ReadMS }),
			share("compute", func(b *Budget) *float64 { return b.ComputeMS }),
			share("overlap", func(b *Budget) *float64 { return b.OverlapMS }),
			share("residual", func(b *Budget) *float64 { return b.ResidualMS })),
	}
}

// Sections are what bounds the cells, and what the devices can do.
func (a *Answer) Sections() []doc.Section { return []doc.Section{a.section(), a.ceilings()} }
