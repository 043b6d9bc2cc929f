// Package runner turns a config into measurements: it resolves models to files,
// plans cells in a seeded random order, runs each (model, backend) pair in a
// worker process of its own, and writes every record to disk before the next
// call starts.
//
// The coordinator (this package's Run) never touches llama.cpp; a worker (the
// same binary) does, through protocol.Backend. So a crash in native code costs
// one cell, not the sweep.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"llmscale/internal/interrupt"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/worker"
)

// Run is one session of a run, which Start or Resume has made. It is used once.
type Run struct {
	ID       string // the run folder's name
	Plan     *plan.Plan
	Store    *store.Folder
	Worker   worker.Command
	Progress Progress
	Log      *slog.Logger

	// Manifest is manifest.json; Execute completes it.
	Manifest *Manifest

	// Transient, if not nil, writes each of the plan's models just before it is
	// measured, and removes it when nothing more of the plan needs it, so that a
	// sweep needs the disk of its largest model and not of all. Otherwise the plan
	// has been prepared.
	Transient *modelfile.Folder

	// Serve makes a server ready to measure a job of kind ollama, nil: there is no way to.
	Serve Serve

	// Conditions are what bears on the run's figures, as it was before models were written for it.
	Conditions []machine.Condition

	// Session is 0 for a new run and counts resumptions; Previous holds the
	// records of the earlier sessions.
	Session  int
	Previous []record.Record

	order    int // position of the next call
	block    plan.Block
	scatter  scatter
	canaries canaries
	kept     map[keptCall]bool
	eta      eta
	calls    int // acknowledged, in this and earlier sessions
	outcome  map[plan.Turn]string
	ended    map[int]string               // by TaskIdx: status of cells that no further block of this session tries
	checked  map[string]protocol.LoadInfo // by Job.Pair: what the first load of the session found out about the runtime's results
	answers  []Answer
	loads    []loadRow
	settled  record.Settlement // by earlier sessions
	loaded   hashes            // of model files, by earlier sessions
	ownDir   string            // of models that are removed again, see discardKey
	served   map[string]bool   // servers that have answered, by URL
	warned   map[Warning]bool  // said in this session
	begun    bool              // the session is in the manifest on the disk
	cpuQuota float64           // CPUs of time that the control groups grant
	machine  *string           // on which the session measures, as records name it
}

type loadRow struct {
	model, device, dtype string
	ms                   float64
}

// keptCall names a call of the plan that was measured, in whichever session and however often.
type keptCall struct {
	plan.Turn
	idx int
}

// todo lists the calls of a cell's turn that are still to be made. A cell of which
// repetitions are missing is warmed up again: its worker is a new process.
func (r *Run) todo(t plan.Turn) []plan.Call {
	if _, ok := r.outcome[t]; ok {
		return nil // settled in this session
	}
	if r.settled.Stands(t.Task) {
		return nil
	}
	calls := slices.DeleteFunc(r.Plan.Calls(), func(call plan.Call) bool { return call.Rep >= 0 && r.settled.Done(t.Task, t.Replicate, call.Rep) })
	if len(calls) == r.Plan.Config.WarmupRepetitions {
		return nil
	}
	return calls
}

// Execute measures everything that is left to measure. The end of ctx interrupts
// it: what was acknowledged is kept, and the run can be resumed. The error is
// one that ended the run as a whole (a full disk); failed cells are in the
// Summary.
func (r *Run) Execute(ctx context.Context) (_ Summary, err error) {
	defer func() {
		if !r.begun {
			err = errors.Join(err, r.Store.Discard()) // of a new run
		}
	}()
	r.outcome, r.ended, r.checked = map[plan.Turn]string{}, map[int]string{}, map[string]protocol.LoadInfo{}
	r.cpuQuota = machine.CPUQuota()
	r.kept = map[keptCall]bool{}
	r.note(r.Previous)
	for i := range r.Previous {
		p := &r.Previous[i]
		r.settled.Add(p.TaskIdx, p.Replicate, &p.Outcome)
		r.order = max(r.order, p.OrderIdx+1)
		if p.Status == record.StatusOK {
			r.kept[keptCall{plan.Turn{Task: p.TaskIdx, Replicate: p.Replicate}, p.CallIdx}] = true
		}
	}
	for _, b := range r.Plan.Blocks {
		r.expect(b)
	}
	// Blocks that earlier sessions added.
	for _, again := range r.Manifest.Remeasured {
		for len(r.Plan.Blocks) < again.Replicate {
			r.expect(r.Plan.AddBlock())
		}
		r.expect(r.Plan.AddBlock(again.Models...))
	}
	for i := range r.Previous {
		for r.Previous[i].Replicate >= len(r.Plan.Blocks) {
			r.expect(r.Plan.AddBlock())
		}
	}
	r.loaded = loadedFiles(r.Manifest, r.Previous)
	for _, l := range r.Store.Lacks {
		r.warn(Warning{Code: "file_system", Where: r.Store.Dir, Text: l.What, Advice: l.Advice})
	}
	if r.Transient != nil {
		defer r.emptyOwnDir()
		if err := r.beginTransient(); err != nil {
			return Summary{}, err
		}
	}
	before := r.order
	if err := r.begin(); err != nil {
		return Summary{}, err
	}
	r.warnOfMachine()
	for _, w := range r.Plan.Warnings() {
		r.warn(w)
	}
	err = r.probe(ctx)
	for i := 0; err == nil && i < len(r.Plan.Blocks); i++ {
		r.block = r.Plan.Blocks[i]
		for k := 0; err == nil && k < len(r.block); k++ {
			err = r.visit(ctx, r.block[k])
		}
		if err == nil && i == len(r.Plan.Blocks)-1 {
			err = r.addBlock()
		}
	}
	sum := Summary{Cells: r.Plan.OwnCells(), Calls: r.Plan.CallCount(), Kept: len(r.kept), ByStatus: map[string]int{}, Records: (r.order - before) * len(record.Modes)}
	r.sayDisturbed(&sum)
	for _, s := range r.Outcomes() {
		sum.ByStatus[s]++
	}
	if errors.Is(err, interrupt.Err) {
		sum.Interrupted, err = true, nil
	} else if r.Transient != nil {
		err = errors.Join(err, r.Transient.Close()) // after an interrupt a model may still be being written from them
	}
	if end := r.end(sum); err == nil { // otherwise what ended the run is why its tables are not complete
		err = end
	}
	return sum, err
}

// expect counts the calls of a block, those that earlier sessions have made and those to come.
func (r *Run) expect(b plan.Block) {
	for _, v := range b {
		for _, c := range v.Cells {
			t := v.Turn(c)
			if status, ended := r.ended[c.TaskIdx]; ended {
				r.outcome[t] = status
				r.calls += r.Plan.PerTurn()
				continue
			}
			calls := r.todo(t)
			r.calls += r.Plan.PerTurn() - len(calls)
			r.eta.total += r.Plan.Weight(v.Job, c.Scenario) * float64(len(calls))
			if len(calls) == 0 {
				r.outcome[t] = record.StatusOK
				if r.settled.Stands(c.TaskIdx) {
					r.outcome[t] = record.StatusOOM
				}
			}
		}
	}
}

// pending tells whether calls of a visit are left to be made.
func (r *Run) pending(v plan.Visit) bool {
	return slices.ContainsFunc(v.Cells, func(c plan.Cell) bool { return len(r.todo(v.Turn(c))) > 0 })
}

// visit measures one model under one backend in one block. A worker that dies costs the cell
// it was measuring; the visit's other cells get a new one.
func (r *Run) visit(ctx context.Context, v plan.Visit) (err error) {
	j := v.Job
	var w *worker.Process
	var held cleanup
	defer func() {
		if w != nil { // before what it has loaded is taken away
			w.Close()
			w = nil
		}
		err = errors.Join(err, held.release())
	}()
	var info protocol.LoadInfo
	fresh := false // the worker's load is not on record yet
	for _, c := range v.Cells {
		calls := r.todo(v.Turn(c))
		if len(calls) == 0 {
			continue
		}
		if w == nil {
			if err = r.provide(ctx, j, &held); err == nil {
				w, info, err = r.load(ctx, j)
			}
			if errors.Is(err, interrupt.Err) {
				return err
			}
			if err != nil {
				// A model that does not load fails for all scenarios alike.
				return r.failVisit(v, j.Failure(err), w != nil)
			}
			if err := r.sameServer(j, info.Ollama); err != nil {
				return r.failVisit(v, record.AsFailure(err), true)
			}
			fresh = true
			r.noteGPU(info.GPU)
			for _, why := range info.Wrong() {
				r.Progress.Note(fmt.Sprintf("%s: INVALID: %s", j.Pair(), record.WrongResults.Text("%s", why)))
			}
			for _, w := range info.Threads.Warnings(j.Backend.Name, &j.Load, r.cpuQuota) {
				r.warn(w)
			}
			r.loads = append(r.loads, loadRow{j.Model.Name, j.Backend.Device, j.Backend.DType, info.ModelLoadMS})
		}
		alive, err := r.cell(ctx, v, c, calls, w, info, &fresh)
		if err != nil {
			return err
		}
		if !alive {
			w.Close()
			w = nil
		}
	}
	return nil
}

// load starts a worker and loads the job's model in it.
func (r *Run) load(ctx context.Context, j *plan.Job) (*worker.Process, protocol.LoadInfo, error) {
	if j.Refused != nil {
		return nil, protocol.LoadInfo{}, j.Refused
	}
	if j.Waived != "" {
		return nil, protocol.LoadInfo{}, record.Failf(record.StatusWaived, "%s", j.Waived)
	}
	if !j.Fits {
		return nil, protocol.LoadInfo{}, record.Failf(record.StatusOOM, "the model needs %s (weights %s, KV cache %s, compute about %s), this machine has %s free; not tried",
			text.Size(j.Memory.Resident), text.Size(j.Memory.Weights), text.Size(j.Memory.KV), text.Size(j.Memory.Compute), text.Size(r.Plan.Free))
	}
	cell := j.Pair()
	r.show(Status{Cell: cell, Phase: PhaseLoad})
	if err := r.confirm(ctx, j); err != nil {
		return nil, protocol.LoadInfo{}, err
	}
	w, err := r.startWorker(ctx, j)
	if err != nil {
		return nil, protocol.LoadInfo{}, err
	}
	spec := j.Load
	checked, known := r.checked[cell]
	if !known {
		spec.SelfCheck = r.selfCheck(j)
	}
	rep, err := w.Ask(ctx, protocol.LoadRequest(&spec), r.Plan.Config.CellTimeout(), func(share float64) {
		r.show(Status{Cell: cell, Phase: PhaseLoad, Share: share})
	})
	if err == nil && rep.Loaded == nil {
		err = errors.New("the worker answered a load with something else")
	}
	if err != nil {
		w.Close()
		return w, protocol.LoadInfo{}, err // the worker is gone, but it was there
	}
	info := *rep.Loaded
	if known { // by the same program from the same file: it computes what it computed then
		info.SelfCheck, info.BatchCheck = checked.SelfCheck, checked.BatchCheck
	}
	r.checked[cell] = info
	return w, info, nil
}

// cell makes a cell's calls. alive is false if the worker is gone. The error is
// one that ends the run.
func (r *Run) cell(ctx context.Context, v plan.Visit, c plan.Cell, calls []plan.Call, w *worker.Process, info protocol.LoadInfo, fresh *bool) (alive bool, err error) {
	cfg, j := r.Plan.Config, v.Job
	for i, call := range calls {
		st := Status{Cell: j.ID(c), Phase: PhaseMeasure, Index: call.Rep + 1, Of: cfg.Repetitions}
		if call.Warmup >= 0 {
			st.Phase, st.Index, st.Of = PhaseWarmup, call.Warmup+1, cfg.WarmupRepetitions
		}
		r.show(st)
		spec := protocol.CallSpec{GenTokens: cfg.Gen(c.Scenario), Depth: c.Scenario.Depth}
		if spec.Depth > 0 {
			spec.DepthSeed = protocol.DepthSeed(cfg.Seed)
		}
		if c.Scenario.PromptTokens > 0 {
			spec.PromptTokens, spec.Seed = c.Scenario.PromptTokens, protocol.PromptSeed(cfg.Seed, c.Scenario.Name, v.Replicate*r.Plan.PerTurn()+call.Idx)
		} else {
			spec.Prompt = &c.Scenario.Prompt
		}
		load := machine.LoadAverage()
		started := time.Now()
		rep, err := w.Ask(ctx, protocol.Request{Measure: &spec}, cfg.CellTimeout(), nil)
		if errors.Is(err, interrupt.Err) {
			return false, err
		}
		base := r.base(v, c, call, info, started)
		if err == nil && rep.Measurement == nil {
			err = errors.New("the worker answered a call with something else")
		}
		if err != nil {
			f := j.Failure(err)
			base.Attempted = true
			if err := r.fail(v, c, calls[i:], base, f); err != nil {
				return false, err
			}
			if f.Status == record.StatusOOM && j.Backend.Device != config.DeviceCPU {
				// ggml-cuda may hold a lock for ever that was taken when the memory ran out.
				w.Kill()
			}
			return w.Alive(), nil
		}
		m := rep.Measurement
		info.Judge(m)
		m.LoadAverage1Min = &load
		noteMemory(m, w)
		if *fresh {
			m.ModelLoadMS, m.ContextInitMS = &info.ModelLoadMS, &info.ContextInitMS
			*fresh = false
		}
		if err := r.store(base, *m); err != nil {
			return false, err
		}
		r.kept[keptCall{v.Turn(c), call.Idx}] = true
		r.keepAnswer(j, base, m)
		if m.SeqLen != nil {
			for _, w := range plan.ContextWarnings(j, c.Scenario, *m.SeqLen, spec.GenTokens) {
				r.warn(w)
			}
		}
		r.eta.add(r.Plan.Weight(j, c.Scenario), time.Since(started))
		r.Progress.Stored(j.ID(c), v.Replicate, call.Idx, record.StatusOK)
	}
	r.outcome[v.Turn(c)] = record.StatusOK
	return true, nil
}

// failVisit records a failure for each of the visit's remaining cells; attempted
// says whether a worker tried.
func (r *Run) failVisit(v plan.Visit, f *record.Failure, attempted bool) error {
	for _, c := range v.Cells {
		calls := r.todo(v.Turn(c))
		if len(calls) == 0 {
			continue
		}
		base := r.base(v, c, calls[0], protocol.LoadInfo{}, time.Now())
		base.Attempted = attempted && f.Status != record.StatusWaived
		if err := r.fail(v, c, calls, base, f); err != nil {
			return err
		}
	}
	return nil
}

// fail records the first of a cell's remaining calls as failed; the block's others are not made in this session. After a
// crash, which may have been chance, the next block tries the cell again; what else ended it would end it there too.
func (r *Run) fail(v plan.Visit, c plan.Cell, calls []plan.Call, base record.Record, f *record.Failure) error {
	reason := text.OneLine(f.Reason) // of a file or a server, perhaps
	base.Status = f.Status
	base.Error = &reason
	if f.Signal != "" {
		base.Signal = &f.Signal
	}
	base.ExitCode = f.ExitCode
	base.Stderr = f.Stderr
	if err := r.Store.Append(inModes(base)); err != nil {
		return err
	}
	r.order++
	r.giveUp(v.Job, c, v.Turn(c), len(calls), f.Status)
	if f.Status != record.StatusCrashed {
		r.ended[c.TaskIdx] = f.Status
		for t := v.Turn(c); t.Replicate < len(r.Plan.Blocks); t.Replicate++ {
			if left := r.todo(t); len(left) > 0 && r.Plan.Has(t) {
				r.giveUp(v.Job, c, t, len(left), f.Status)
			}
		}
	}
	r.Progress.Stored(v.Job.ID(c), v.Replicate, calls[0].Idx, f.Status)
	r.Progress.Note(fmt.Sprintf("%s: %s: %s", v.Job.ID(c), f.Status, reason))
	return nil
}

// giveUp ends a cell's turn of which some calls are left.
func (r *Run) giveUp(j *plan.Job, c plan.Cell, t plan.Turn, left int, status string) {
	r.calls += left
	r.eta.skip(r.Plan.Weight(j, c.Scenario) * float64(left))
	r.outcome[t] = status
}

// Answer is what a model whose weights are not random said to a text.
type Answer struct{ Cell, Prompt, Text string }

// Answers returns the first answer of each cell that has a model of one's own and
// a text for a prompt: whether it is sense shows whether the model is computed
// rightly.
func (r *Run) Answers() []Answer { return slices.Clone(r.answers) }

// keepAnswer keeps a cell's first answer.
func (r *Run) keepAnswer(j *plan.Job, base record.Record, m *protocol.Sample) {
	if j.Model.Random() || m.OutputText == nil {
		return
	}
	if slices.ContainsFunc(r.answers, func(a Answer) bool { return a.Cell == base.CellID }) {
		return
	}
	r.answers = append(r.answers, Answer{base.CellID, *base.Prompt, *m.OutputText})
}

func (r *Run) show(s Status) {
	s.CallsDone, s.Calls, s.Remaining = r.calls, r.Plan.CallCount(), r.eta.remaining()
	r.Progress.Update(s)
}

// Outcomes maps each cell that is settled in all blocks, by its TaskIdx, to its status: that of the first block in which
// it is not ok.
func (r *Run) Outcomes() map[int]string {
	out := map[int]string{}
	for task := range r.Plan.Cells {
		if r.Plan.JobOf(task).Elsewhere {
			continue
		}
		status := record.StatusOK
		for replicate := 0; replicate < len(r.Plan.Blocks) && status == record.StatusOK; replicate++ {
			if t := (plan.Turn{Task: task, Replicate: replicate}); r.Plan.Has(t) {
				status = r.outcome[t]
			}
		}
		if status != "" {
			out[task] = status
		}
	}
	return out
}
