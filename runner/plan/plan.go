// Package plan decides what a run will do and in which order: its jobs (a model under a backend), in blocks that visit
// each, and about how long that takes.
package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"llmscale/internal/interrupt"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/memlimit"
	"llmscale/runner/modelfile"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// Plan is everything a run will do, in the order in which it will do it. The
// same config and models give the same plan: its order comes from the seed.
type Plan struct {
	Config *config.Config
	Jobs   []Job // in the config's order
	Blocks []Block
	Cells  int
	Build  protocol.Build // of this program, whose workers measure where a backend names no other
	Free   int64          // bytes of memory that were available; 0 unknown

	Shard Shard  // what Cut left of it; the zero value: all
	Whole *Whole // what it was before; nil: as it is

	models     [][]string // that each block visits; nil: all
	random     *rand.Rand // of which each block's order is drawn
	fileByFile bool       // see groupByFile
}

// Block is one replicate of a sweep: a visit to each of the plan's jobs, in a random order of its own.
type Block []Visit

// Visit is a job's turn in a block: what one worker process measures.
type Visit struct {
	Job       *Job
	Replicate int    // index of the block
	Cells     []Cell // all of the job's, in order of execution
}

// Cell is one model x backend x scenario: in each block warm-ups and repetitions of one call.
type Cell struct {
	TaskIdx  int // in the config's order, before shuffling
	Scenario config.Scenario
}

// Turn names a cell's calls of one block.
type Turn struct{ Task, Replicate int }

// Turn is a cell's in the visit.
func (v *Visit) Turn(c Cell) Turn { return Turn{c.TaskIdx, v.Replicate} }

// Call is one call of a cell.
type Call struct {
	Idx    int // in its cell, warm-ups first
	Warmup int // index among the warm-ups; -1 for a repetition
	Rep    int // index among the repetitions; -1 for a warm-up
}

// Facts are what a plan depends on beside its config.
type Facts struct {
	FreeBytes int64 // of memory that is available; 0: unknown
	Threads   int   // what a backend's `threads: 0` means
	CPUs      []int // on which this process may run
	Cores     []int // of these one for each physical core

	NoMemoryLimit error // why no process can be held to a memory limit here; nil: it can, or nothing asks for it

	NoDevice map[string]error // by device: why this program cannot use it here; what servers and other programs can, they tell

	models   []modelfile.Model // of the config's pairs, in their order
	programs *worker.Programs
}

// Look finds the facts: it describes the config's models, and starts the programs that backends name to ask what they are.
// Nothing is written. The error is interrupt.Err if ctx ended meanwhile.
func Look(ctx context.Context, cfg *config.Config, models *modelfile.Folder, programs *worker.Programs) (Facts, error) {
	if err := cfg.CheckCells(); err != nil {
		return Facts{}, err
	}
	if err := programs.Ask(ctx, cfg); err != nil {
		return Facts{}, err
	}
	_, threads := machine.Cores()
	cpus := machine.AllowedCPUs()
	f := Facts{FreeBytes: machine.AvailableMemory(), Threads: threads, CPUs: cpus, Cores: machine.OnePerCore(cpus), programs: programs}
	var described []modelfile.Model
	err := interrupt.Await(ctx, func() error {
		for _, pair := range cfg.Pairs() {
			m, err := models.Resolve(pair.Model, pair.Backend)
			if err != nil {
				return err
			}
			described = append(described, m)
		}
		return nil
	})
	if err != nil {
		return Facts{}, err
	}
	f.models = described
	if slices.ContainsFunc(cfg.Backends, func(b config.Backend) bool { return b.MemoryLimitMiB > 0 }) {
		f.NoMemoryLimit = memlimit.Check()
	}
	return f, nil
}

// New pairs the config's models with its backends and scenarios: the same config and facts give the same plan. Models
// that do not fit into memory are planned, so that they end up on record. Prepare makes the files.
func New(cfg *config.Config, facts Facts) (*Plan, error) {
	programs := facts.programs
	p := &Plan{Config: cfg, Build: programs.Build, Free: facts.FreeBytes}
	longest := longestSequence(cfg)
	made := sameWork{}
	for i, pair := range cfg.Pairs() {
		m := facts.models[i]
		if err := checkPaths(m); err != nil {
			return nil, err
		}
		job, err := NewJob(cfg, m, pair.Backend, longest, facts, programs.BuildOf(pair.Backend))
		if err != nil {
			return nil, err
		}
		job.fit(p.Free, facts.NoMemoryLimit)
		for _, s := range cfg.Scenarios {
			job.Cells = append(job.Cells, Cell{TaskIdx: p.Cells, Scenario: s})
			p.Cells++
		}
		job.Program = programs.Of(pair.Backend)
		if err := made.check(cfg, &job, pair.Backend, programs.Identity(pair.Backend)); err != nil {
			return nil, err
		}
		p.Jobs = append(p.Jobs, job)
	}
	label(p.Jobs)
	p.waiveElsewhere()
	for device, reason := range facts.NoDevice {
		p.Waive(device, reason)
	}
	p.makeBlocks()
	return p, nil
}

// makeBlocks draws the order of each block. It must not be the order of sizes: a machine that warms up or drifts would
// bend the fit.
func (p *Plan) makeBlocks() {
	p.random = rand.New(rand.NewPCG(uint64(p.Config.Seed), 0x6f72646572)) // "order"
	for range p.Config.LeastBlocks() {
		p.AddBlock()
	}
}

// AddBlock adds a block that visits each job, or where models are named, each job of these.
func (p *Plan) AddBlock(models ...string) Block {
	var b Block
	for i := range p.Jobs {
		if j := &p.Jobs[i]; models == nil || slices.Contains(models, j.Model.Name) {
			b = append(b, Visit{j, len(p.Blocks), slices.Clone(j.Cells)})
		}
	}
	p.random.Shuffle(len(b), func(i, k int) { b[i], b[k] = b[k], b[i] })
	for _, v := range b {
		p.random.Shuffle(len(v.Cells), func(i, k int) { v.Cells[i], v.Cells[k] = v.Cells[k], v.Cells[i] })
	}
	p.bringTogether(b)
	if p.fileByFile {
		b.together(func(j *Job) string { return j.Model.File })
	}
	p.Blocks = append(p.Blocks, b)
	p.models = append(p.models, models)
	return b
}

// Waive marks the jobs of a device that this machine or program does not have: they are put
// on record as waived, and no file is written for them. What a server or another program has, it tells.
func (p *Plan) Waive(device string, reason error) {
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Backend.Device == device && j.Backend.Kind == config.KindNative && j.Program == nil {
			j.waive(reason.Error())
		}
	}
}

// WaiveTooLarge marks the jobs whose file the folder has no room for, and says of each model why: what fits is measured all
// the same. The error is that nothing does.
func (p *Plan) WaiveTooLarge(models *modelfile.Folder) (left []string, err error) {
	why := map[string]string{} // by file
	tried := len(p.Models())
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if !j.Tried() {
			continue
		}
		reason, known := why[j.Model.File]
		if !known {
			if reason = models.NoRoom(&j.Model); reason != "" {
				left = append(left, j.Model.Name+": "+reason)
			}
			why[j.Model.File] = reason
		}
		j.Waived = reason
	}
	if tried > 0 && len(p.Models()) == 0 {
		return nil, fmt.Errorf("no model can be written: %s: choose smaller ones or another --models-dir", strings.Join(left, "; "))
	}
	return left, nil
}

func (j *Job) waive(reason string) { j.Waived = "device " + j.Backend.Device + ": " + reason }

// GroupByFile brings the visits of each block that load the same file together, so that the disk of
// a run with transient models holds one at a time.
func (p *Plan) GroupByFile() {
	p.fileByFile = true
	for _, b := range p.Blocks {
		b.together(func(j *Job) string { return j.Model.File })
	}
}

// together brings the visits to jobs with the same key together. The order of the keys stays the random one, and that of
// the visits of each.
func (b Block) together(key func(*Job) string) {
	first := map[string]int{}
	for i, v := range b {
		if _, ok := first[key(v.Job)]; !ok {
			first[key(v.Job)] = i
		}
	}
	slices.SortStableFunc(b, func(v, w Visit) int { return first[key(v.Job)] - first[key(w.Job)] })
}

// ProbeSpecs lists the devices of visits that are pending, and of the CPU
// each number of threads that decodes, in the order in which they come up.
func (p *Plan) ProbeSpecs(pending func(Visit) bool) []protocol.ProbeSpec {
	var out []protocol.ProbeSpec
	add := func(s protocol.ProbeSpec) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, b := range p.Blocks {
		for _, v := range b {
			j := v.Job
			switch {
			case !j.Tried() || !pending(v):
			case j.Backend.Device == config.DeviceCPU:
				add(protocol.ProbeSpec{Device: config.DeviceCPU, Threads: j.Backend.Threads, Quick: true})
			default:
				add(protocol.ProbeSpec{Device: j.Backend.Device, Quick: true})
			}
		}
	}
	return out
}

// Prepare writes the plan's models that are not there yet and hashes them all,
// except those that will not be loaded. One whose files were changed or are gone by
// now is refused, and costs its own cells. The end of ctx ends the wait for it, and should end the process.
func (p *Plan) Prepare(ctx context.Context, models *modelfile.Folder) error {
	err := interrupt.Await(ctx, func() error { return p.prepare(models) })
	if errors.Is(err, interrupt.Err) {
		err = errors.Join(fmt.Errorf("%w before the first measurement; models that were finished are kept, and the same command goes on", err), modelfile.RemoveUnfinished(models.Dir))
	}
	return err
}

func (p *Plan) prepare(models *modelfile.Folder) error {
	if err := models.CheckDisk(p.Models()); err != nil {
		return err
	}
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Tried() {
			if err := j.Prepare(models); err != nil && !errors.As(err, &j.Refused) {
				return fmt.Errorf("model %s: %w", j.Model.Name, err)
			}
		}
	}
	return nil
}

// Models are those that will be loaded.
func (p *Plan) Models() (out []*modelfile.Model) {
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Tried() {
			out = append(out, &j.Model)
		}
	}
	return out
}

// PerTurn is how many calls a cell's turn has.
func (p *Plan) PerTurn() int { return p.Config.WarmupRepetitions + p.Config.Repetitions }

// Calls lists a cell's calls of one block in order.
func (p *Plan) Calls() []Call {
	calls := make([]Call, 0, p.PerTurn())
	for i := range p.Config.WarmupRepetitions {
		calls = append(calls, Call{Idx: len(calls), Warmup: i, Rep: -1})
	}
	for i := range p.Config.Repetitions {
		calls = append(calls, Call{Idx: len(calls), Warmup: -1, Rep: i})
	}
	return calls
}

// Has tells whether the plan has a turn: blocks of some models have those of their cells alone.
func (p *Plan) Has(t Turn) bool {
	models := p.models[t.Replicate]
	return models == nil || slices.Contains(models, p.JobOf(t.Task).Model.Name)
}

// JobOf is the job of a cell.
func (p *Plan) JobOf(task int) *Job { return &p.Jobs[task/len(p.Config.Scenarios)] }

// Turns is how many there are, in all blocks.
func (p *Plan) Turns() (n int) {
	for _, b := range p.Blocks {
		n += len(b) * len(p.Config.Scenarios)
	}
	return n
}

// CallCount is how many calls there are, in all blocks.
func (p *Plan) CallCount() int { return p.Turns() * p.PerTurn() }

// RecordsExpected is how many lines runs.jsonl has when every call went well and
// nothing was resumed.
func (p *Plan) RecordsExpected() int { return p.CallCount() * len(record.Modes) }

// SHA256 identifies the plan, of a shard the whole: what is measured, how, in which order. Model files are
// not in it: where they lie is nothing to the figures, and what they hold is for
// CheckResumable.
func (p *Plan) SHA256() string {
	if p.Whole != nil {
		return p.Whole.onThisMachine
	}
	return p.hash(false)
}

// SharedSHA256 identifies the plan on any machine, whatever `threads: 0` and cpu_affinity come to there.
func (p *Plan) SharedSHA256() string {
	if p.Whole != nil {
		return p.Whole.PlanSHA256
	}
	return p.hash(true)
}

// hash is SHA256, or if shared, SharedSHA256.
func (p *Plan) hash(shared bool) string {
	type cell struct {
		Task           int
		Model, Backend string
		Scenario       config.Scenario
		Load           protocol.LoadSpec // how it runs, threads of this machine included
		Params         int64
		Program        string `json:",omitempty"` // what it holds is for CheckResumable
		Affinity       string `json:",omitempty"` // as written, of a shared one
	}
	asWritten := map[string]config.Backend{}
	for _, b := range p.Config.Backends {
		asWritten[b.Name] = b
	}
	var cells []cell
	for _, b := range p.Blocks {
		for _, v := range b {
			j := v.Job
			load := j.Load
			load.ModelFile, load.Files, load.Expect = "", nil, protocol.Expect{}
			affinity := ""
			if b := asWritten[j.Backend.Name]; shared {
				load.Threads, load.ThreadsBatch, load.CPUAffinity, affinity = b.Threads, b.ThreadsBatch, nil, b.CPUAffinity
			}
			for _, c := range v.Cells {
				cells = append(cells, cell{c.TaskIdx, j.Model.Name, j.Backend.Name, c.Scenario, load, j.Model.Desc.ParamsTotal, j.Backend.Program, affinity})
			}
		}
	}
	data, err := json.Marshal([]any{p.Config.GenTokens, p.Config.Repetitions, p.Config.WarmupRepetitions, p.Config.Seed, cells})
	if err != nil { // strings and integers
		panic("runner: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
