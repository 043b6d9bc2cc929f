package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"llmscale/internal/text"
)

// Ways to split a plan.
const (
	SplitBlocks = "blocks" // a block is in one shard: its sizes, types and builds are compared on one machine
	SplitModels = "models" // a block's models may be in several: then machine and size are confounded
)

// Splits are the ways to split a plan, the default first.
var Splits = []string{SplitBlocks, SplitModels}

// Shard names one of the parts of a plan, which is measured into a run folder of its own. The zero value is no shard.
type Shard struct {
	Index int    `json:"shard"` // from 1
	Of    int    `json:"of"`
	Split string `json:"split"`
}

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Of) }

// Part is what a shard has of a block.
type Part struct {
	Replicate int      `json:"replicate"` // index of the block
	Models    []string `json:"models"`    // null: all
	Cells     int      `json:"cells"`
}

// Has tells whether the part has a model in a block.
func (p *Part) Has(replicate int, model string) bool {
	return p.Replicate == replicate && (p.Models == nil || slices.Contains(p.Models, model))
}

// Whole is the plan of which a shard is a part.
type Whole struct {
	PlanSHA256 string `json:"whole_plan_sha256"` // see SharedSHA256
	Blocks     int    `json:"whole_replicates"`
	Cells      int    `json:"whole_task_count"`
	Records    int    `json:"whole_records_expected"`
	Parts      []Part `json:"parts"` // the shard's

	onThisMachine string // SHA256
}

// Cut leaves of the plan what is a shard's. Blocks keep their indices and orders, and cells theirs, so that the records of
// all shards together are those of the plan. The split follows from plan and number of shards alone.
func (p *Plan) Cut(s Shard) error {
	if err := p.CheckSplit(s); err != nil {
		return err
	}
	split := p.splitBlocks
	if s.Split == SplitModels {
		split = p.splitModels
	}
	parts := split(s.Of)[s.Index-1]
	p.Shard = s
	p.Whole = &Whole{PlanSHA256: p.SharedSHA256(), Blocks: len(p.Blocks), Cells: p.Cells, Records: p.RecordsExpected(), Parts: parts, onThisMachine: p.SHA256()}
	mine := map[string]bool{}
	for i, b := range p.Blocks {
		at := slices.IndexFunc(parts, func(part Part) bool { return part.Replicate == i })
		if at < 0 {
			p.Blocks[i], p.models[i] = nil, []string{}
			continue
		}
		p.models[i] = parts[at].Models
		p.Blocks[i] = slices.DeleteFunc(b, func(v Visit) bool { return !parts[at].Has(i, v.Job.Model.Name) })
		for _, v := range p.Blocks[i] {
			mine[v.Job.Model.Name] = true
		}
	}
	for i := range p.Jobs {
		p.Jobs[i].Elsewhere = !mine[p.Jobs[i].Model.Name]
	}
	return nil
}

// CheckSplit refuses a shard that the plan does not have.
func (p *Plan) CheckSplit(s Shard) error {
	switch {
	case p.Config.TargetCI > 0:
		return errors.New("the config has target_ci, which adds blocks until the intervals of all are narrow, and no shard sees the others: leave target_ci out and set replicates")
	case !slices.Contains(Splits, s.Split):
		return fmt.Errorf("no split %q; there are %s", s.Split, text.List(Splits, "and"))
	case s.Index < 1 || s.Index > s.Of:
		return fmt.Errorf("shard %s: want one of 1/%d to %[2]d/%[2]d", s, max(s.Of, 1))
	}
	if most := p.MostShards(s.Split); s.Of > most {
		unit, units, more := "model of a block", "models of blocks", ""
		if s.Split == SplitBlocks {
			unit, units = "block", "blocks"
			more = fmt.Sprintf("; --split models makes up to %d", p.MostShards(SplitModels))
		}
		return fmt.Errorf("%d shards: the plan has %s to split%s", s.Of, text.Counted(most, unit, units), more)
	}
	return nil
}

// MostShards is how many parts a split makes at most.
func (p *Plan) MostShards(split string) int {
	if split == SplitBlocks {
		return len(p.Blocks)
	}
	return len(p.Blocks) * len(p.modelNames())
}

// splitBlocks deals out neighbouring blocks, so that the shards one after another have the plan's order.
func (p *Plan) splitBlocks(n int) [][]Part {
	out := make([][]Part, n)
	for i := range out {
		for b := i * len(p.Blocks) / n; b < (i+1)*len(p.Blocks)/n; b++ {
			out[i] = append(out[i], Part{Replicate: b, Cells: p.Cells})
		}
	}
	return out
}

// splitModels gives each model of each block, the largest first, to the shard with the least to do so far.
func (p *Plan) splitModels(n int) [][]Part {
	work, cells := map[string]float64{}, map[string]int{}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		for _, c := range j.Cells {
			work[j.Model.Name] += p.Weight(j, c.Scenario)
		}
		cells[j.Model.Name] += len(j.Cells)
	}
	names := p.modelNames()
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(work[b], work[a]) })
	out, load := make([][]Part, n), make([]float64, n)
	for b := range p.Blocks {
		for _, name := range names {
			least := 0
			for i := range load {
				if load[i] < load[least] {
					least = i
				}
			}
			load[least] += max(work[name], 1e-9)
			parts := out[least]
			if len(parts) == 0 || parts[len(parts)-1].Replicate != b {
				parts = append(parts, Part{Replicate: b, Models: []string{}})
			}
			last := &parts[len(parts)-1]
			last.Models, last.Cells = append(last.Models, name), last.Cells+cells[name]
			out[least] = parts
		}
	}
	return out
}

// modelNames are those of the plan's models, in the config's order.
func (p *Plan) modelNames() (names []string) {
	for i := range p.Jobs {
		if name := p.Jobs[i].Model.Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Own are the blocks of which there is something to measure: all, or those of the shard.
func (p *Plan) Own() []Block {
	return slices.DeleteFunc(slices.Clone(p.Blocks), func(b Block) bool { return len(b) == 0 })
}

// OwnCells is how many cells there are to measure: all, or those of the shard.
func (p *Plan) OwnCells() (n int) {
	for i := range p.Jobs {
		if !p.Jobs[i].Elsewhere {
			n += len(p.Jobs[i].Cells)
		}
	}
	return n
}
