package runner

import (
	"fmt"
	"slices"

	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/worker"
)

// programOf is the name of a job's program on record, and what it was built from.
func (p *Plan) programOf(j *Job) (name string, build protocol.Build) {
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

type programEntry struct {
	Program string         `json:"program"` // as in the config
	Path    string         `json:"path"`
	SHA256  string         `json:"sha256"`
	Build   protocol.Build `json:"build"`
}

func programEntries(p *Plan) []programEntry {
	out := []programEntry{}
	for _, prog := range p.Programs() {
		out = append(out, programEntry{prog.Name, prog.Path, prog.SHA256(), prog.Build})
	}
	return out
}

// checkPrograms compares the plan's programs with those that a run began with.
func checkPrograms(began []programEntry, p *Plan) error {
	for _, now := range programEntries(p) {
		i := slices.IndexFunc(began, func(e programEntry) bool { return e.Program == now.Program })
		switch {
		case i < 0:
			return fmt.Errorf("it was begun without the program %s", now.Program)
		case began[i].SHA256 != now.SHA256:
			return fmt.Errorf("its program %s is another by now: %.12s with %s, it was %.12s with %s (SHA-256); put that one back, or start a new run",
				now.Path, now.SHA256, now.Build, began[i].SHA256, began[i].Build)
		case !text.SameJSON(began[i].Build, now.Build):
			return fmt.Errorf("its program %s starts another build by now: %s, it was %s; put that one back, or start a new run", now.Path, now.Build, began[i].Build)
		}
	}
	return nil
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
