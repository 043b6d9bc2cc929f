package calls

import (
	"strings"

	"llmscale/analysis/cells"
)

// Said is what a model answered to one prompt, by greedy decoding.
type Said struct {
	Backend  string `json:"backend"`
	Model    string `json:"model"`
	Scenario string `json:"scenario"`
	Prompt   string `json:"prompt"`
	Output   string `json:"output"`
}

// maxSaidPrompt bounds, in bytes, the prompts from which said chooses freely.
const maxSaidPrompt = 300

// said picks one answer of each model that came as a file: of the longest prompt
// that is still short enough to print, else of the shortest. Synthesised weights
// are random, and so is what they say.
func (a *Answer) said(set *cells.Set) {
	best := map[cells.ModelKey]Said{}
	better := func(x, than string) bool {
		if fits := len(x) <= maxSaidPrompt; fits != (len(than) <= maxSaidPrompt) {
			return fits
		} else if fits {
			return len(x) > len(than)
		}
		return len(x) < len(than)
	}
	set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		if m.Kind != "gguf" && m.Kind != cells.KindOllama {
			return
		}
		for _, r := range g.Rows {
			if r.Prompt == nil || r.OutputText == nil || strings.TrimSpace(*r.OutputText) == "" {
				continue
			}
			key := cells.ModelKey{Backend: k.Backend, Model: m.Name}
			if have, seen := best[key]; !seen || better(*r.Prompt, have.Prompt) {
				best[key] = Said{k.Backend, m.Name, k.Scenario, *r.Prompt, *r.OutputText}
			}
			return // greedy: the cell's other calls say the same
		}
	})
	for _, m := range set.Models {
		if s, ok := best[cells.ModelKey{Backend: m.Backend, Model: m.Name}]; ok {
			a.Said = append(a.Said, s)
		}
	}
}
