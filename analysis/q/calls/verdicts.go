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
func (a *Answer) verdicts(set *cells.Set) {
	rows := set.ByScenario()
	set.EachScenario(func(at cells.ScenarioKey, m *cells.Model) {
		c := InvalidCell{Subject: at.Of(m), Scenario: at.Scenario}
		spoiltBy, validBy := modesOf{}, modesOf{}
		for _, r := range rows[at] {
			switch {
			case !r.OK():
				continue
			case !r.Invalid():
				validBy.put(cells.CallIDOf(r), r.Mode)
				continue
			}
			spoiltBy.put(cells.CallIDOf(r), r.Mode)
			for _, reason := range r.VerdictReasons {
				if reason = strings.TrimSpace(reason); reason != "" && !slices.Contains(c.Reasons, reason) {
					c.Reasons = append(c.Reasons, reason)
				}
			}
		}
		if len(spoiltBy) == 0 {
			return
		}
		modes, figures := map[string]bool{}, map[string]bool{}
		for call, spoilt := range spoiltBy {
			maps.Copy(modes, spoilt)
			if call.Warmup {
				c.Warmups++
				continue
			}
			c.Repetitions++
			if len(validBy[call]) > 0 {
				c.Partly++
			}
		}
		for call, valid := range validBy {
			if !call.Warmup {
				c.Valid++
				maps.Copy(figures, valid)
			}
		}
		for _, mode := range set.Modes {
			if modes[mode] {
				c.Modes = append(c.Modes, mode)
				if !figures[mode] && c.Repetitions > 0 {
					c.NoFigure = append(c.NoFigure, mode)
				}
			}
		}
		a.Invalid = append(a.Invalid, c)
		a.Warn("invalid_calls", strings.Join([]string{at.Backend, m.Name, at.Scenario}, " "), c.text(), c.Advice())
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
