package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// mostChoices bounds the sentences on settings: the answer is to be read in one go.
const mostChoices = 12

type choice struct{ setting, base, value, at string }

// Sentences say of each choice from which size on it matters.
func (a *Answer) Sentences() (out []string) {
	order, by := stats.GroupBy(a.said(), func(p Policy) choice { return choice{p.Choice, p.Base, p.Value, p.At} })
	for i, c := range order {
		if i == mostChoices {
			return append(out, doc.Count(len(order)-i, "more choice is", "more choices are")+" in policies.csv.")
		}
		s := fmt.Sprintf("**%s %s** against %s", doc.Text(c.setting), doc.Text(c.value), doc.Text(c.base))
		if c.at != "" {
			s += " at " + doc.Text(c.at)
		}
		out = append(out, s+": "+strings.Join(phrases(by[c]), "; ")+".")
	}
	return out
}

// said are the policies that are told: joined over scenarios where they can be.
func (a *Answer) said() []Policy {
	type work struct {
		choice
		mode string
	}
	of := func(p Policy) work { return work{choice{p.Choice, p.Base, p.Value, p.At}, p.Mode} }
	joined := map[work]bool{}
	for _, p := range a.Policies {
		joined[of(p)] = joined[of(p)] || p.Scenario == cells.AllScenarios
	}
	return slices.DeleteFunc(slices.Clone(a.Policies), func(p Policy) bool {
		return p.Scenario != cells.AllScenarios && joined[of(p)] && a.set.Joins(p.Scenario)
	})
}

// phrases name scenarios where there are several.
func phrases(all []Policy) (out []string) {
	scenarios, _ := stats.GroupBy(all, func(p Policy) string { return p.Scenario })
	type work struct{ mode, scenario string }
	works, of := stats.GroupBy(all, func(p Policy) work { return work{p.Mode, p.Scenario} })
	for _, w := range works {
		s := prose.Mode(w.mode)
		if len(scenarios) > 1 && w.scenario != cells.AllScenarios {
			s += " of " + doc.Text(w.scenario)
		}
		p := &of[w][0]
		s += " " + strings.Join(stats.Map(of[w], func(p Policy) string { return p.shown() }), ", ")
		if effects := p.effects(); effects != "" {
			s += " (" + effects + ")"
		}
		out = append(out, s)
	}
	return out
}

// shown is where, bold where more than 10 % are shown.
func (p *Policy) shown() string {
	if p.Effect != "" {
		return "**" + p.where() + "**"
	}
	return p.where()
}

// where says the verdict: "faster from 20M on (95 % 15M to 27M)".
func (p *Policy) where() string {
	effect := p.Effect
	if p.Choice == cells.SettingBatchSize {
		effect = map[string]string{Faster: "more tokens per second", Slower: "fewer tokens per second"}[effect]
	}
	sizes := fmt.Sprintf("at all %d sizes", p.NSizes)
	if p.NSizes == 1 {
		sizes = "at " + shortParams(p.SmallM)
	}
	from, to := reach(p.FromM, p.FromLow, p.FromHigh, "below the smallest", "at the latest"), reach(p.ToM, p.ToLow, p.ToHigh, "above the largest", "at least")
	switch p.Verdict {
	case Always:
		return effect + " " + sizes
	case FromOn:
		return effect + " from " + from + " on"
	case UpTo:
		return effect + " up to " + to
	case Between:
		return effect + " from " + from + " to " + to
	case Never:
		if strings.HasPrefix(p.Reason, "identical") {
			return "the same: it does nothing here"
		}
		return "within 10 % " + sizes
	}
	return "unknown: " + p.Reason
}

// reach is a size with its interval. Where it lies beyond the sizes measured, the bound alone is known.
func reach(at, low, high *float64, beyond, bound string) string {
	end := func(v *float64) string {
		if v == nil {
			return beyond
		}
		return shortParams(v)
	}
	switch {
	case at == nil && high != nil:
		return shortParams(high) + " " + bound
	case at == nil:
		return end(low) + " " + bound
	case low == nil:
		return fmt.Sprintf("%s (95 %% up to %s)", shortParams(at), end(high))
	case high == nil:
		return fmt.Sprintf("%s (95 %% from %s)", shortParams(at), end(low))
	}
	return fmt.Sprintf("%s (95 %% %s to %s)", shortParams(at), end(low), end(high))
}

// effects are the times as fast at both ends, each with its interval.
func (p *Policy) effects() string {
	if p.SmallCI == nil || p.LargeCI == nil || *p.Small == 1 && *p.Large == 1 {
		return ""
	}
	as := " times as fast"
	if p.Choice == cells.SettingBatchSize {
		as = " times as many"
	}
	s := strings.Replace(AsFast(p.Small, p.SmallCI), "[", "[95 % ", 1)
	if p.NSizes == 1 {
		return s + as + prose.Within(p.Basis)
	}
	return fmt.Sprintf("%s%s at %s, %s at %s%s", s, as, shortParams(p.SmallM), AsFast(p.Large, p.LargeCI), shortParams(p.LargeM), prose.Within(p.Basis))
}

// AsFast turns a ratio of times round, with its interval: "1.96 [1.90, 2.03]".
func AsFast(ratio *float64, ci *Interval) string {
	times := func(ratio float64) string {
		if speed := 1 / ratio; speed < 1000 {
			return doc.Fixed(&speed, 2)
		}
		return "over 1000"
	}
	return fmt.Sprintf("%s [%s to %s]", times(*ratio), times(ci.High), times(ci.Low))
}

// shortParams is a size in a list of sizes.
func shortParams(m *float64) string {
	switch {
	case m == nil:
		return "unknown size"
	case *m >= 1000:
		return strconv.FormatFloat(*m/1000, 'g', 3, 64) + "B"
	}
	return strconv.FormatFloat(*m, 'g', 3, 64) + "M"
}

// Varied reports whether a run varies more than the weight type, so that settings are what it is for.
func (a *Answer) Varied() bool {
	return slices.ContainsFunc(a.Policies, func(p Policy) bool { return p.Choice != cells.SettingDType })
}

// Told reports whether a sentence on settings has two backends.
func (a *Answer) Told(x, y string) bool {
	return slices.ContainsFunc(a.Axes, func(c Comparison) bool {
		return c.BaseBackend == x && c.Backend == y || c.BaseBackend == y && c.Backend == x
	})
}
