// Package intervals asks how well each cell is known: its interval by the processes
// that measured it, what its scatter is made of, and whether what happened meanwhile
// lets one use it.
package intervals

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Answer has a row for each cell, and for each model over all scenarios.
type Answer struct {
	finding.Notes
	set *cells.Set
	of  map[cells.Key]int // index into Cells

	Cells []Cell  `json:"cell_intervals"`
	Audit []Audit `json:"order_audit"`
	Sum   Sum     `json:"cells_judged"`

	States *States `json:"machine_states,omitempty"` // nil: one
}

// Cell is how well one cell is known. Figures of a cell none of whose calls counts are nil.
type Cell struct {
	cells.Subject
	Scenario string          `json:"scenario" doc:"name of the scenario, or \x60__all__\x60: the geometric mean over those of the least depth"`
	Mode     string          `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	Depth    int             `json:"depth" unit:"tokens" doc:"tokens in the KV cache before the call"`
	MedianMS *float64        `json:"median_ms" unit:"ms" doc:"geometric mean of the processes' medians; of one process the median of its calls"`
	CI       *stats.Interval `json:"ci" csv:"ci_*_ms" unit:"ms" doc:"95 % interval: t over the processes; on basis 'nodes' over the machines' medians; on basis 'one process' by its calls' order statistics"`
	Basis    string          `json:"basis" doc:"processes; nodes: three machines or more; or 'one process': then another process may differ by more than the interval says. Of a run of several machines 'processes on one node' and 'processes on two nodes': then another machine may"`

	Replicates   int      `json:"replicates" unit:"processes" doc:"processes that the figure is made of, one in each block"`
	Calls        int      `json:"calls" unit:"calls" doc:"calls that the figure is made of"`
	ShareCall    *float64 `json:"share_call" doc:"share of the variance of one call's logarithm that is the call's own"`
	ShareProcess *float64 `json:"share_process" doc:"the process's own"`
	ShareBlock   *float64 `json:"share_block" doc:"the block's: what all cells of a mode have in common in it"`
	ShareNode    *float64 `json:"share_node" doc:"the machine's: what the processes of a cell on one machine have in common; empty where no machine measured two blocks"`
	Nodes        *int     `json:"nodes" unit:"machines" doc:"machines that measured the cell; empty where records name none"`
	Verdict      string   `json:"verdict" doc:"VALID, AMBIGUOUS or INVALID"`
	Reasons      []string `json:"reasons" sep:" " doc:"codes of what speaks against it"`

	Disturbed *int     `json:"disturbed_calls" unit:"calls" doc:"calls behind a canary far off most of its team's; those of a cell that keeps three processes without them are in no figure but tails; empty where there was no canary"`
	Waited    *float64 `json:"cpu_wait_share" doc:"share of the computing threads' time for which they waited for a processor"`
	Stolen    *float64 `json:"cpu_stolen_share" doc:"share of the processors' time that the hypervisor gave to others"`
	Others    *float64 `json:"cpu_others_share" doc:"share of the computing threads' time for which others used their processors, less what ticks leave open"`
	Throttled *float64 `json:"cpu_throttled_share" doc:"share of the time for which the control group's quota stopped it"`
	Change    *float64 `json:"change_in_process" doc:"by how much a call's time changes from the first of a process to the last, by a line, as a share"`
	ChangeP   *float64 `json:"change_p" doc:"p of no change: t over processes; of one process with 10 calls the rank test"`

	StoppedBy string `json:"stopped_by" doc:"of a run that adds blocks: target_ci where the interval is narrow enough, else time_budget_min"`
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	out     *Answer
	invalid map[cells.Key]int     // calls with the verdict INVALID
	block   map[string]*float64   // variance of the blocks' common part, by mode
	node    map[string]*float64   // variance of the machines, by mode
	samples map[cells.Key]*sample // what was seen of each cell
	target  float64               // target_ci of the config; 0: none
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &asker{c, &Answer{set: c, of: map[cells.Key]int{}}, map[cells.Key]int{}, map[string]*float64{}, map[string]*float64{}, map[cells.Key]*sample{}, 0}
	c.Run.Manifest.Decode(&a.target, "resolved", "config", "target_ci")
	a.look()
	a.blocks()
	a.judge()
	a.stopped()
	a.audit()
	a.states()
	a.sum()
	return a.out
}

// stopped notes, of a run that adds blocks, whether each cell's interval is as narrow as was asked.
func (a *asker) stopped() {
	var by string // what ended the run: of one that was broken off nothing is known
	if a.target <= 0 || !a.Run.Manifest.Decode(&by, "stopped_by") || by == "" {
		return
	}
	for i := range a.out.Cells {
		c := &a.out.Cells[i]
		if c.Calls == 0 {
			continue
		}
		c.StoppedBy = record.StoppedByBudget
		if c.within(a.target) {
			c.StoppedBy = record.StoppedByTarget
		}
	}
}

// Cell is the row of a cell, or of AllScenarios; nil where there is none.
func (a *Answer) Cell(k cells.Key) *Cell {
	if i, ok := a.of[k]; ok {
		return &a.Cells[i]
	}
	return nil
}

// Meanwhile are the reasons that say what else went on on the machine.
func (c *Cell) Meanwhile() []string {
	return slices.DeleteFunc(slices.Clone(c.Reasons), func(code string) bool { return !ReasonOf(code).Meanwhile })
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("cell_intervals.csv", "How well each cell is known, and whether what happened meanwhile lets one use it.", a.Cells, "").Always(),
		finding.TableOf("order_audit.csv", "Whether position in the block, time, the canary before the call or temperature explain times, beyond each cell's own level.", a.Audit, ""),
	}
}
