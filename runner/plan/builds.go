package plan

import (
	"slices"

	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/worker"
)

// ProgramOf is the name of a job's program on record, and what it was built from.
func (p *Plan) ProgramOf(j *Job) (name string, build protocol.Build) {
	switch {
	case j.Backend.Kind != config.KindNative: // a server computes
		return "", protocol.Build{}
	case j.Program != nil:
		return j.Backend.Program, j.Program.Build
	}
	return "", p.Build
}

// Programs lists the programs that backends name, in the order of the config.
func (p *Plan) Programs() []*worker.Program {
	var out []*worker.Program
	for _, b := range p.Config.Backends {
		for i := range p.Jobs {
			if prog := p.Jobs[i].Program; prog != nil && p.Jobs[i].Backend.Name == b.Name && !slices.Contains(out, prog) {
				out = append(out, prog)
			}
		}
	}
	return out
}

// bringTogether puts visits to jobs that differ in their program alone one after another, so that a machine which drifts
// over the block does not look like a difference of the builds.
func (p *Plan) bringTogether(b Block) {
	if len(p.Programs()) > 0 {
		b.together(func(j *Job) string { return j.Model.Name + "\x00" + j.Load.Identity() })
	}
}

// waiveElsewhere marks the jobs on a GPU whose program cannot use it.
func (p *Plan) waiveElsewhere() {
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Program != nil && j.Program.NoGPU != "" && j.Backend.Device != config.DeviceCPU {
			j.waive(j.Program.Path + ": " + j.Program.NoGPU)
		}
	}
}
