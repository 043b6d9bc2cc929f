package runs

import (
	"fmt"
	"math"

	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Settle compares the records with the plan.
func (run *Run) Settle() {
	tasks, reps := run.Manifest.Int("task_count"), run.Manifest.Int("repetitions")
	if tasks == nil || reps == nil || *tasks < 0 || *reps < 0 || *tasks > math.MaxInt32 || *reps > math.MaxInt32 {
		return
	}
	// Blocks that measure some models again hold the cells of these alone.
	var again []struct {
		Models []string
		Cells  int
	}
	run.Manifest.Decode(&again, "remeasured")
	whole := 1
	if blocks := run.Manifest.Int("replicates"); blocks != nil && *blocks > 1 && *blocks <= math.MaxInt32 {
		whole = max(1, *blocks-len(again))
	}
	n := Repetitions{Planned: *tasks * whole * *reps}
	ofModel := map[string]int{}
	for _, b := range again {
		n.Planned += b.Cells * *reps
		for _, m := range b.Models {
			ofModel[m]++
		}
	}
	var settled record.Settlement
	model := map[int]string{}
	for i := range run.Rows {
		r := &run.Rows[i]
		settled.Add(r.TaskIdx, r.Replicate, &r.Outcome)
		model[r.TaskIdx] = r.Model
	}
	for task, c := range settled.Cells {
		counting, spoilt := c.Repetitions()
		n.Measured += counting
		n.Invalid += spoilt
		switch open := max(0, (whole+ofModel[model[task]])**reps-counting-spoilt); {
		case record.IsResult(c.Failure):
			n.Final += open
		case c.Failure != "":
			n.Failed += open
		}
	}
	run.Counts.Repetitions = &n
	if missing := max(0, n.Missing()); missing+n.Failed > 0 {
		run.warn("incomplete", "runs.jsonl",
			fmt.Sprintf("of %d planned repetitions (of all cells) %d were not made, and %d belong to cells that crashed, timed out or gave an error", n.Planned, missing, n.Failed), run.finishing(""))
	}
}

// merged tells whether the run was merged of shards, and cannot be resumed.
func (run *Run) merged() bool {
	_, merged := run.Manifest.Raw("merged")
	return merged
}

// Finish says how what the run lacks is measured.
func (run *Run) Finish() string { return run.finishing(" " + text.Arg(run.Dir)) }

// finishing is Finish with the folder's name as it is to stand there: what an analysis says
// does not depend on where its run lies.
func (run *Run) finishing(dir string) string {
	if run.merged() {
		return "resume the shards that lack calls, measure those that are missing (`llmscale slurm --submit` does both), and merge again (`llmscale merge` names them)"
	}
	return fmt.Sprintf("finish it with `llmscale run --resume%s`, which tries failed cells again", dir)
}

// cellKey says which cell of the plan a record is of.
type cellKey struct {
	task                     int
	backend, model, scenario string
}

// callKey says which planned measurement of a cell a record is of.
type callKey struct {
	batch, replicate   int
	mode               string
	warmup             bool
	session, rep, line int // session for warm-ups only: each session's are measurements of their own
}

func keyOf(r *Row) callKey {
	k := callKey{batch: r.Sequences(), replicate: r.Replicate, mode: r.Mode, warmup: r.IsWarmup, rep: -1}
	switch {
	case r.IsWarmup && r.WarmupIdx != nil:
		k.rep, k.session = *r.WarmupIdx, r.Session
	case r.IsWarmup:
		k.line = r.Line
	case r.Rep != nil:
		k.rep = *r.Rep
	case r.Status == record.StatusOK:
		k.line = r.Line // nothing says that it repeats another one
	}
	return k
}

// supersede leaves the records that count, in file order, in the memory of rows.
func (run *Run) supersede(rows []Row) []Row {
	ofCell := map[cellKey][]int32{}
	for i := range rows {
		r := &rows[i]
		k := cellKey{r.TaskIdx, r.Backend, r.Model, r.Scenario}
		ofCell[k] = append(ofCell[k], int32(i))
	}
	dropped, duplicates := make([]bool, len(rows)), 0
	for _, cell := range ofCell {
		duplicates += supersedeIn(rows, cell, dropped)
	}
	kept := rows[:0]
	for i := range rows {
		if !dropped[i] {
			kept = append(kept, rows[i])
		}
	}
	run.Counts.Superseded = len(rows) - len(kept)
	clear(rows[len(kept):])
	if duplicates > 0 {
		run.warn("duplicate_records", "runs.jsonl",
			fmt.Sprintf("%d records repeat an earlier one of the same session, cell and repetition; the last one of each counts", duplicates),
			"look whether two runs were appended to one file")
	}
	return kept
}

// supersedeIn marks the records of a cell that do not count, and counts those that
// repeat an earlier one of the same session.
func supersedeIn(rows []Row, cell []int32, dropped []bool) (duplicates int) {
	best := make(map[callKey]int32, len(cell))
	for _, i := range cell {
		k := keyOf(&rows[i])
		j, seen := best[k]
		if !seen {
			best[k] = i
			continue
		}
		a, b := &rows[j], &rows[i]
		if a.Session == b.Session && a.OK() && b.OK() {
			duplicates++
		}
		if x, y := a.standing(), b.standing(); y > x || y == x && b.Session >= a.Session {
			i, j = j, i
			best[k] = j
		}
		dropped[i] = true
	}
	// A failure counts no more once a later session has measured the same
	// repetition of its block. One that names no repetition,
	// or a warm-up's, goes when the later session has measured the cell in that block at all.
	const anyRep = -1
	again := func(r *Row, rep int) callKey {
		return callKey{batch: r.Sequences(), replicate: r.Replicate, mode: r.Mode, rep: rep}
	}
	var okSession map[callKey]int // of cells with failures
	for _, i := range cell {
		r := &rows[i]
		if r.OK() {
			continue
		}
		if okSession == nil {
			okSession = map[callKey]int{}
			for _, j := range cell {
				if r := &rows[j]; r.OK() && !r.IsWarmup {
					for _, rep := range []int{anyRep, keyOf(r).rep} {
						k := again(r, rep)
						okSession[k] = max(okSession[k], r.Session)
					}
				}
			}
		}
		rep := anyRep
		if !r.IsWarmup && r.Rep != nil {
			rep = *r.Rep
		}
		dropped[i] = dropped[i] || okSession[again(r, rep)] > r.Session
	}
	return duplicates
}
