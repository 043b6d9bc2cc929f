package calls

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// InvalidCell is a backend x model x scenario of which calls were judged INVALID,
// in all of their modes or in some, and left out of every figure of these modes.
type InvalidCell struct {
	cells.Subject
	Scenario    string   `json:"scenario" doc:"name of the scenario"`
	Modes       []string `json:"modes" doc:"modes that are spoilt in any call"`
	Repetitions int      `json:"invalid_repetitions" unit:"calls" doc:"repetitions left out, of one mode at least"`
	Warmups     int      `json:"invalid_warmups" unit:"calls" doc:"warm-ups left out"`
	Partly      int      `json:"partly_valid_repetitions" unit:"calls" doc:"invalid repetitions of which another mode counts"`
	Valid       int      `json:"valid_repetitions" unit:"calls" doc:"repetitions that count, in one mode at least; with 0 the cell has no figure"`
	NoFigure    []string `json:"modes_without_figure" doc:"modes in which no repetition counts"`
	Reasons     []string `json:"reasons" sep:"; " doc:"what spoilt them"` // distinct, in run order
}

// modesOf says of each call in which modes something holds.
type modesOf map[cells.CallID]map[string]bool

func (m modesOf) put(call cells.CallID, mode string) {
	if m[call] == nil {
		m[call] = map[string]bool{}
	}
	m[call][mode] = true
}

// verdicts lists the cells that have INVALID calls.
func (a *asker) verdicts() {
	type tally struct {
		spoilt, valid modesOf
		reasons       []string
	}
	tallies := map[cells.ScenarioKey]*tally{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if !r.OK() {
			continue
		}
		t := tallies[cells.ScenarioKeyOf(r)]
		if t == nil {
			t = &tally{spoilt: modesOf{}, valid: modesOf{}}
			tallies[cells.ScenarioKeyOf(r)] = t
		}
		if !r.Invalid() {
			t.valid.put(cells.CallIDOf(r), r.Mode)
			continue
		}
		t.spoilt.put(cells.CallIDOf(r), r.Mode)
		for _, reason := range r.VerdictReasons {
			if reason = strings.TrimSpace(reason); reason != "" && !slices.Contains(t.reasons, reason) {
				t.reasons = append(t.reasons, reason)
			}
		}
	}
	a.EachScenario(func(at cells.ScenarioKey, m *cells.Model) {
		t := tallies[at]
		if t == nil || len(t.spoilt) == 0 {
			return
		}
		c := InvalidCell{Subject: at.Of(m), Scenario: at.Scenario, Reasons: t.reasons}
		modes, figures := map[string]bool{}, map[string]bool{}
		for call, spoilt := range t.spoilt {
			maps.Copy(modes, spoilt)
			if call.Warmup {
				c.Warmups++
				continue
			}
			c.Repetitions++
			if len(t.valid[call]) > 0 {
				c.Partly++
			}
		}
		for call, valid := range t.valid {
			if !call.Warmup {
				c.Valid++
				maps.Copy(figures, valid)
			}
		}
		for _, mode := range a.Modes {
			if modes[mode] {
				c.Modes = append(c.Modes, mode)
				if !figures[mode] && c.Repetitions > 0 {
					c.NoFigure = append(c.NoFigure, mode)
				}
			}
		}
		a.out.Invalid = append(a.out.Invalid, c)
		a.out.Warn("invalid_calls", strings.Join([]string{at.Backend, m.Name, at.Scenario}, " "), c.text(), c.Advice())
	})
}

// Wrong reports whether the build that made these calls failed its self-check.
func (c *InvalidCell) Wrong() bool {
	return slices.ContainsFunc(c.Reasons, func(text string) bool { return record.ReasonOf(text) == record.WrongResults })
}

// Advice says what to do about the reasons, once for each kind.
func (c *InvalidCell) Advice() string {
	var out []string
	for _, text := range c.Reasons {
		if advice := record.ReasonOf(text).Advice; !slices.Contains(out, advice) {
			out = append(out, advice)
		}
	}
	if len(out) == 0 {
		return record.Disturbed.Advice
	}
	return strings.Join(out, "; ")
}

func (c *InvalidCell) text() string {
	s := text.Counted(c.Repetitions, "repetition", "repetitions")
	if c.Warmups > 0 {
		s += " and " + text.Counted(c.Warmups, "warm-up", "warm-ups")
	}
	s += " left out as INVALID"
	switch {
	case c.Partly == 0:
	case c.Partly == c.Repetitions:
		s += " in " + text.List(c.Modes, "and") + " alone"
	default:
		s += fmt.Sprintf(", %d of them not in all modes", c.Partly)
	}
	switch {
	case c.Valid == 0 && c.Repetitions > 0:
		s += "; no repetition is left, so that the cell has no figure"
	default:
		s += fmt.Sprintf("; %d of %d repetitions count", c.Valid, c.Valid+c.Repetitions-c.Partly)
		if len(c.NoFigure) > 0 {
			s += fmt.Sprintf(", none of them in %s, of which there is no figure", text.List(c.NoFigure, "and"))
		}
	}
	if len(c.Reasons) > 0 {
		s += ": " + strings.Join(c.Reasons, "; ")
	}
	return s
}
