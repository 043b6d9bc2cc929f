package runner

import (
	"cmp"
	"fmt"
	"slices"

	"llmscale/analysis/canary"
	"llmscale/internal/text"
	"llmscale/runner/plan"
	"llmscale/runner/record"
)

// Again is a block that was added to measure some models again, because the machine disturbed processes of them. All of
// their backends are in it: contrasts of backends pair what one block measured.
type Again struct {
	Replicate int      `json:"replicate"` // index of the block
	Models    []string `json:"models"`
	Cells     int      `json:"cells"`
}

// canaries are those of the run's calls.
type canaries struct {
	all    []canary.Call               // of every record that is ok, as the analysis learns their levels
	counts map[plan.Turn][]canary.Call // of calls that count
}

// note keeps what decides on more blocks.
func (r *Run) note(records []record.Record) {
	c := &r.canaries
	if c.counts == nil {
		c.counts = map[plan.Turn][]canary.Call{}
	}
	for i := range records {
		rec := &records[i]
		if !rec.OK() {
			continue
		}
		call := canary.Of(&rec.Phases, &rec.Costs, &rec.ModelFacts, &rec.RuntimeFacts)
		c.all = append(c.all, call)
		if !rec.IsWarmup && rec.Counts() {
			t := plan.Turn{Task: rec.TaskIdx, Replicate: rec.Replicate}
			c.counts[t] = append(c.counts[t], call)
			r.scatter.note(rec, call)
		}
	}
}

// lacking are the cells with fewer undisturbed processes than wanted, of which the machine disturbed others: all calls of
// these were made in another state than most of the run's. Calls without a canary are taken for undisturbed.
func (c *canaries) lacking(wanted int) (tasks []int) {
	levels := canary.Learn(c.all)
	good, disturbed := map[int]int{}, map[int]int{}
	for t, calls := range c.counts {
		if slices.ContainsFunc(calls, func(c canary.Call) bool {
			_, off, _ := levels.Off(c)
			return !off
		}) {
			good[t.Task]++
		} else {
			disturbed[t.Task]++
		}
	}
	for task := range disturbed {
		if good[task] < wanted {
			tasks = append(tasks, task)
		}
	}
	slices.Sort(tasks)
	return tasks
}

// addBlock adds a block after the last one if the run wants another: of all models until the intervals are narrow, then
// of those whose processes were disturbed.
func (r *Run) addBlock() error {
	if r.Plan.Whole != nil {
		return nil // a shard has the blocks that are its, and sees too little of the run to want more
	}
	if r.wantsMore() {
		r.expect(r.Plan.AddBlock())
		return r.noteBlocks()
	}
	cfg := r.Plan.Config
	if cfg.Replicates < 2 || len(r.Manifest.Remeasured) >= cfg.RemeasureBlocks || r.overtime() {
		return nil
	}
	lacking := slices.DeleteFunc(r.canaries.lacking(cfg.Replicates), func(task int) bool {
		_, ended := r.ended[task]
		return ended
	})
	if len(lacking) == 0 {
		return nil
	}
	again := Again{Replicate: len(r.Plan.Blocks)}
	for _, task := range lacking {
		if name := r.Plan.JobOf(task).Model.Name; !slices.Contains(again.Models, name) {
			again.Models = append(again.Models, name)
		}
	}
	b := r.Plan.AddBlock(again.Models...)
	again.Cells = len(b) * len(cfg.Scenarios)
	r.Manifest.Remeasured = append(r.Manifest.Remeasured, again)
	r.Progress.Note(fmt.Sprintf("the machine disturbed processes of %s: block %d measures %s again",
		text.Counted(len(lacking), "cell", "cells"), again.Replicate+1, text.Counted(len(again.Models), "model", "models")))
	r.expect(b)
	return r.noteBlocks()
}

// sayDisturbed says how many processes were measured again, and what is disturbed nevertheless.
func (r *Run) sayDisturbed(sum *Summary) {
	cfg := r.Plan.Config
	if cfg.Replicates < 2 || r.Plan.Whole != nil {
		return
	}
	for _, again := range r.Manifest.Remeasured {
		sum.Remeasured += again.Cells / len(cfg.Scenarios)
	}
	sum.Disturbed = len(r.canaries.lacking(cfg.Replicates))
	if sum.Remeasured+sum.Disturbed == 0 {
		return
	}
	r.Progress.Note(fmt.Sprintf("%s of disturbed models measured again in %s (remeasure_blocks: %d); %s still with fewer than %d that the machine did not disturb",
		text.Counted(sum.Remeasured, "process", "processes"), text.Counted(len(r.Manifest.Remeasured), "block", "blocks"), cfg.RemeasureBlocks,
		text.Counted(sum.Disturbed, "cell", "cells"), cfg.Replicates))
}

// checkAgain refuses a manifest whose blocks of some models are none of the plan's.
func (m *Manifest) checkAgain(p *plan.Plan) error {
	least := len(p.Blocks)
	for i, again := range m.Remeasured {
		if again.Replicate < least || again.Replicate >= max(m.Replicates, least) {
			return fmt.Errorf("its manifest's remeasured[%d] is block %d; want one of %d to %d", i, again.Replicate, least, m.Replicates-1)
		}
		least = again.Replicate + 1
		for _, name := range again.Models {
			if !slices.ContainsFunc(p.Jobs, func(j plan.Job) bool { return j.Model.Name == name }) {
				return fmt.Errorf("its manifest's remeasured[%d] names the model %s, which its config has not", i, cmp.Or(name, `""`))
			}
		}
		if len(again.Models) == 0 {
			return fmt.Errorf("its manifest's remeasured[%d] names no models", i)
		}
	}
	return nil
}
