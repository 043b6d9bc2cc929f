package plan

import (
	"fmt"
	"slices"

	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Warnings are the doubts that a plan raises on this machine before anything is measured.
func (p *Plan) Warnings() []record.Warning {
	logical, physical := machine.Cores()
	return p.WarningsOn(logical, physical, machine.CPUQuota())
}

// WarningsOn are those of a machine with that many processors and cores, and CPUs of time by quota.
func (p *Plan) WarningsOn(logical, physical int, quota float64) []record.Warning {
	var out []record.Warning
	add := func(ws ...record.Warning) {
		for _, w := range ws {
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	for _, prog := range p.Programs() {
		for _, w := range prog.Build.Warnings {
			add(record.Warning{Code: "program_build", Where: prog.Name, Text: w, Advice: "build it anew, and start a new run"})
		}
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if !j.Tried() {
			continue
		}
		// As if the runtime took what it is asked for; of a native load the runtime's own word follows.
		asked := &protocol.Threads{Decode: j.Load.Threads, Prefill: j.Load.ThreadsBatch, CPUs: logical, CPUsPrefill: logical}
		crowded := asked.Warnings(j.Backend.Name, &j.Load, quota)
		add(crowded...)
		if most := max(asked.Decode, asked.Prefill); len(crowded) == 0 && most > physical {
			add(record.Warning{Code: "threads_share_cores", Where: j.Backend.Name, Text: fmt.Sprintf("%d threads on %d cores", most, physical),
				Advice: "threads: 0 takes one for each core; two on one core share its arithmetic and its cache"})
		}
		for _, c := range j.Cells {
			add(ContextWarnings(j, c.Scenario, c.Scenario.PromptTokens, p.Config.Gen(c.Scenario))...)
		}
	}
	return out
}

// ContextWarnings says that a sequence is longer than those that the model was trained with; prompt 0 is not known.
func ContextWarnings(j *Job, s config.Scenario, prompt, gen int) []record.Warning {
	trained := j.Model.Desc.NCtxTrain
	if prompt == 0 || trained == 0 || int64(s.Depth+prompt+gen) <= trained {
		return nil
	}
	before := ""
	if s.Depth > 0 {
		before = fmt.Sprintf("%d tokens of depth, ", s.Depth)
	}
	return []record.Warning{{Code: "beyond_trained_context", Where: j.Model.Name + "/" + s.Name,
		Text:   fmt.Sprintf("%s%d tokens of prompt and %d generated are more than the %d of context that the model was made for", before, prompt, gen, trained),
		Advice: "the times are right, the text is not: nobody would use the model so"}}
}
