package analysis

import "strings"

// maxSaidPrompt bounds, in bytes, the prompts from which said chooses freely.
const maxSaidPrompt = 300

// said picks one answer of each model that came as a file: of the longest prompt
// that is still short enough to print, else of the shortest. Synthesised weights
// are random, and so is what they say.
func (a *analyzer) said() {
	best := map[modelKey]Said{}
	better := func(x, than string) bool {
		if fits := len(x) <= maxSaidPrompt; fits != (len(than) <= maxSaidPrompt) {
			return fits
		} else if fits {
			return len(x) > len(than)
		}
		return len(x) < len(than)
	}
	a.eachCell(func(k cellKey, m *Model, g *group) {
		if m.Kind != "gguf" && m.Kind != kindOllama {
			return
		}
		for _, r := range g.rows {
			if r.Prompt == nil || r.OutputText == nil || strings.TrimSpace(*r.OutputText) == "" {
				continue
			}
			key := modelKey{k.backend, m.Name}
			if have, seen := best[key]; !seen || better(*r.Prompt, have.Prompt) {
				best[key] = Said{k.backend, m.Name, k.scenario, *r.Prompt, *r.OutputText}
			}
			return // greedy: the cell's other calls say the same
		}
	})
	for _, m := range a.Models {
		if s, ok := best[modelKey{m.Backend, m.Name}]; ok {
			a.res.Said = append(a.res.Said, s)
		}
	}
}
