// Package compare sets two backends side by side and says whether one is faster: of
// one run that measured both in turns, or of separate runs.
//
// The opinions it holds:
//
//   - What is compared is processes. Calls of one process are no replicates, and cells
//     of one block, or of one run, are not independent. So the test over all sizes takes
//     one number from each block of a run, or from each of several runs.
//   - A verdict answers a question that was asked before: FASTER or SLOWER need an effect
//     that matters, SAME needs proof. What is neither is AMBIGUOUS, with what it would take.
//   - Unequal work is not compared.
package compare

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// schema counts incompatible changes of Comparison.
const schema = 1

// Phases are the modes that are compared. End-to-end time is their sum.
var Phases = []string{record.ModePrefill, record.ModeDecode}

// Options of a comparison.
type Options struct {
	Threshold float64 // smallest effect that matters, as a share: 0.01 is 1 %
}

// Bounds of a threshold.
const (
	MinThreshold     = 0.0001
	MaxThreshold     = 0.5
	DefaultThreshold = 0.01
)

// Check refuses a threshold out of bounds.
func (o Options) Check() error {
	if !(o.Threshold >= MinThreshold && o.Threshold <= MaxThreshold) {
		return fmt.Errorf("compare: a threshold of %v %%; want %v to %v %%", 100*o.Threshold, 100*MinThreshold, 100*MaxThreshold)
	}
	return nil
}

// Side is one side of a comparison: a backend, and the runs that measured it.
type Side struct {
	Backend string
	Runs    []*cells.Set
}

// Designs: what the scatter of an effect is taken from.
const (
	DesignBlocks  = "blocks"      // one run: each block measured both
	DesignRuns    = "runs"        // separate runs, several on each side
	DesignRun     = "one_run"     // separate runs, one on a side at least: what runs differ by is assumed
	DesignProcess = "one_process" // one run without replicates: what processes differ by is assumed
)

// RunSD is what runs of the same work are taken to differ by where there is but one of
// a side, relative: nothing measures it, and it is the upper end of the 1 to 3 % that
// make two runs of one program differ "significantly" in half of the cases.
const RunSD = 0.03

// Comparison is what was found. Ratios are of times, other over base: below 1 the other
// is faster.
type Comparison struct {
	SchemaVersion int          `json:"schema_version"`
	Base          Subject      `json:"base"`
	Other         Subject      `json:"other"`
	Design        string       `json:"design"`    // blocks, runs, one_run or one_process
	Threshold     float64      `json:"threshold"` // smallest effect that matters, as a share
	Differs       []Difference `json:"differs"`   // settings, build and machine: what is compared
	Blocks        int          `json:"blocks"`    // of design blocks
	Scenarios     int          `json:"scenarios"` // those of another batch size apart
	// Of design one_run: effects that cannot be told from what runs differ by, as a share.
	AmbiguousBelow float64 `json:"ambiguous_below,omitempty"`

	Phases  []Phase  `json:"phases"`   // the primary test, over all sizes
	Sizes   []Size   `json:"sizes"`    // the effect on each model
	Cells   []Cell   `json:"cells"`    // the second test
	LeftOut []Absent `json:"left_out"` // of Phases
	Notes   []string `json:"notes"`
}

// Subject is one side.
type Subject struct {
	Backend string `json:"backend"`
	Runs    []Ran  `json:"runs"`
}

// Ran is a run of a side.
type Ran struct {
	Dir   string `json:"dir"`
	RunID string `json:"run_id"`
}

// Phase is one backend against the other over all sizes. Each model weighs the same.
type Phase struct {
	Mode    string  `json:"mode"`
	Models  int     `json:"n_models"`
	InDoubt float64 `json:"in_doubt"` // share of its cells beside which something else went on, on either side
	Effect
	Needed *int   `json:"blocks_for_threshold"` // blocks in which an effect of the threshold is found in 80 %; null where there are none, or 1000 do not suffice
	Trend  *Trend `json:"trend"`                // nil with fewer than three sizes, or where one run of each is compared
}

// Trend is how the effect changes with size: whether a change helps all sizes alike.
type Trend struct {
	PerTenfold   float64         `json:"ratio_per_tenfold"` // factor of the ratio for ten times the parameters
	PerTenfoldCI *stats.Interval `json:"ratio_per_tenfold_ci"`
	P            *float64        `json:"p"`
	Smallest     float64         `json:"ratio_at_smallest"` // on the fitted line
	Largest      float64         `json:"ratio_at_largest"`
}

// Size is the effect on one model, over its scenarios.
type Size struct {
	Mode    string          `json:"mode"`
	Model   string          `json:"model"`
	ParamsM *float64        `json:"params_millions_effective"`
	Ratio   float64         `json:"ratio"`
	RatioCI *stats.Interval `json:"ratio_ci"` // of 95 %; nil where nothing tells the scatter
	N       int             `json:"n"`        // blocks; else runs of the side with fewer
}

// Cell is the effect on one model in one scenario and phase.
type Cell struct {
	Mode      string   `json:"mode"`
	Model     string   `json:"model"`
	ParamsM   *float64 `json:"params_millions_effective"`
	Scenario  string   `json:"scenario"`
	BatchSize int      `json:"batch_size"`
	Effect
}

// Absent is a cell that Phases has not.
type Absent struct {
	Mode     string `json:"mode"`
	Model    string `json:"model"`
	Scenario string `json:"scenario"`
	Why      string `json:"why"`
}

// InRun compares two backends of one run.
func InRun(set *cells.Set, base, other string, opt Options) (*Comparison, error) {
	if base == other {
		return nil, fmt.Errorf("compare: the backend %q stands on both sides; name two of %s", base, list(set.Backends()))
	}
	return compare(Side{base, []*cells.Set{set}}, Side{other, []*cells.Set{set}}, opt)
}

// Runs compares separate runs.
func Runs(base, other Side, opt Options) (*Comparison, error) {
	seen := map[string]string{}
	for _, s := range []Side{base, other} {
		for _, set := range s.Runs {
			id := runID(set) + "\x00" + started(set)
			if dir, twice := seen[id]; twice {
				return nil, fmt.Errorf("compare: %s and %s are one run: a run tells nothing against itself; name each run once, or two of its backends", text.Arg(dir), text.Arg(set.Run.Dir))
			}
			seen[id] = set.Run.Dir
		}
	}
	return compare(base, other, opt)
}

func compare(base, other Side, opt Options) (*Comparison, error) {
	if err := opt.Check(); err != nil {
		return nil, err
	}
	for _, s := range []Side{base, other} {
		for _, set := range s.Runs {
			if err := finished(set, s.Backend); err != nil {
				return nil, err
			}
		}
	}
	w, err := commonWork(base, other)
	if err != nil {
		return nil, err
	}
	d := newDesign(base, other)
	c := &Comparison{SchemaVersion: schema, Base: subject(base), Other: subject(other), Design: d.kind, Threshold: opt.Threshold,
		Blocks: len(d.blocks), Scenarios: w.scenarios(),
		Differs: append([]Difference{}, w.differs...), LeftOut: append([]Absent{}, w.absent...), Notes: append([]string{}, w.notes...)} // lists in JSON, be they empty
	j := judge{design: d, threshold: math.Log1p(opt.Threshold)}
	c.phases(w, &j)
	if len(c.Phases) == 0 {
		why := fmt.Sprintf("no cell was measured in every %s of both, or there is one alone", d.unit())
		if d.kind == DesignProcess || d.kind == DesignRun {
			why = fmt.Sprintf("it takes replicates, or %d calls of each cell", stats.MinRatioCalls)
		}
		return nil, fmt.Errorf("compare: nothing tells by how much the times of %s and %s scatter: %s", base.Backend, other.Backend, why)
	}
	c.perModel(w, &j)
	c.perCell(w, &j)
	return c, nil
}

// phases makes the primary test of each phase, over the cells that all units have.
func (c *Comparison) phases(w *work, j *judge) {
	var effects []*Effect
	for _, mode := range Phases {
		var whole, spoilt, doubtful []CellID
		var why, meanwhile []Absent
		for _, id := range w.cells {
			switch {
			case id.Mode != mode:
			case j.design.lacks(id) != "":
				c.LeftOut = append(c.LeftOut, Absent{id.Mode, id.Model, id.scenario(), j.design.lacks(id)})
			case w.invalid[id] != "":
				spoilt = append(spoilt, id)
				why = append(why, Absent{id.Mode, id.Model, id.scenario(), w.invalid[id]})
			case w.meanwhile[id] != "":
				doubtful = append(doubtful, id)
				meanwhile = append(meanwhile, Absent{id.Mode, id.Model, id.scenario(), w.meanwhile[id]})
			default:
				whole = append(whole, id)
			}
		}
		inDoubt := float64(len(doubtful)) / float64(max(1, len(doubtful)+len(whole)))
		if inDoubt > maxInDoubt { // the effect is of all, without a verdict
			whole = inOrder(w.cells, whole, doubtful)
		} else {
			c.LeftOut = append(c.LeftOut, meanwhile...)
		}
		all := len(whole) == 0 // of nothing but INVALID cells the effect is given, without a verdict
		if all {
			whole = spoilt
		} else {
			c.LeftOut = append(c.LeftOut, why...)
		}
		e, ok := j.design.estimate(mean(whole))
		if len(whole) == 0 || !ok {
			continue
		}
		p := Phase{Mode: mode, Models: len(models(whole)), InDoubt: inDoubt, Effect: j.effect(e), Trend: w.trend(j, whole)}
		p.invalid, p.inDoubt = all, inDoubt > maxInDoubt
		c.Phases = append(c.Phases, p)
	}
	for i := range c.Phases {
		effects = append(effects, &c.Phases[i].Effect)
	}
	j.verdicts(effects)
	for i, e := range effects {
		c.Phases[i].Needed = j.needed(e.estimate, len(effects))
		if j.design.kind == DesignRun {
			c.AmbiguousBelow = max(c.AmbiguousBelow, share(e.estimate.Half(alpha/float64(len(effects)))))
		}
	}
}

// perModel has the effect on each model, in the order of size. INVALID cells are in it only where a model has no others.
func (c *Comparison) perModel(w *work, j *judge) {
	for _, mode := range Phases {
		var of []CellID
		for _, id := range w.cells {
			if id.Mode == mode {
				of = append(of, id)
			}
		}
		for _, m := range models(of) {
			var own []CellID
			for _, id := range of {
				if id.Model == m {
					own = append(own, id)
				}
			}
			if some := slices.DeleteFunc(slices.Clone(own), func(id CellID) bool { return w.invalid[id] != "" }); len(some) > 0 {
				own = some
			}
			if e, ok := j.design.estimate(mean(own)); ok {
				c.Sizes = append(c.Sizes, Size{mode, m, w.params[m], math.Exp(e.Value), e.ExpInterval(), j.design.count(own)})
			}
		}
	}
}

// perCell makes the second test.
func (c *Comparison) perCell(w *work, j *judge) {
	for _, id := range w.cells {
		if e, ok := j.design.estimate(mean([]CellID{id})); ok {
			cell := Cell{id.Mode, id.Model, w.params[id.Model], id.Scenario, id.Batch, j.effect(e)}
			cell.invalid, cell.inDoubt = w.invalid[id] != "", w.meanwhile[id] != ""
			c.Cells = append(c.Cells, cell)
		}
	}
	var effects []*Effect
	for i := range c.Cells {
		effects = append(effects, &c.Cells[i].Effect)
	}
	j.verdicts(effects)
}

func subject(s Side) Subject {
	out := Subject{Backend: s.Backend}
	for _, set := range s.Runs {
		out.Runs = append(out.Runs, Ran{set.Run.Dir, runID(set)})
	}
	return out
}
