package crosscheck

import (
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// Sentences say for the opening of the report what the cross-check came to.
func (a *Answer) Sentences() []string {
	var parts []string
	for _, p := range a.pairs() {
		var said []string
		var bench doc.Span
		takes := " takes " // said once
		for _, phase := range textPhases {
			all := a.comparisons(p, phase)
			if s := ratios(all, func(c *Comparison) *Beside { return &c.Counters }); s.Known {
				said = append(said, prose.Mode(phase)+takes+s.Three()+" times native's time")
				takes = " "
			}
			if s := ratios(all, func(c *Comparison) *Beside { return &c.Bench }); s.Known {
				bench.Add(&s.Lo)
				bench.Add(&s.Hi)
			}
		}
		if len(said) == 0 {
			continue
		}
		s := p.Names() + ": " + strings.Join(said, ", ")
		if bench.Known {
			s += "; llama-bench takes " + bench.Three()
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"**Cross-check** with Ollama on the same files, on this machine, by its own counters: " + strings.Join(parts, "; ") + ". See “Cross-check with Ollama”."}
}
