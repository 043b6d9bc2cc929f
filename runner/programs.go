package runner

import (
	"fmt"
	"slices"

	"llmscale/internal/text"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
)

// ProgramEntry is a program that backends name, as the manifest has it.
type ProgramEntry struct {
	Program string         `json:"program"` // as in the config
	Path    string         `json:"path"`
	SHA256  string         `json:"sha256"`
	Build   protocol.Build `json:"build"`
}

func programEntries(p *plan.Plan) []ProgramEntry {
	out := []ProgramEntry{}
	for _, prog := range p.Programs() {
		out = append(out, ProgramEntry{prog.Name, prog.Path, prog.SHA256(), prog.Build})
	}
	return out
}

// checkPrograms compares the plan's programs with those that a run began with.
func checkPrograms(began []ProgramEntry, p *plan.Plan) error {
	for _, now := range programEntries(p) {
		i := slices.IndexFunc(began, func(e ProgramEntry) bool { return e.Program == now.Program })
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
