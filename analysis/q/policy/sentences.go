package policy

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
)

type choice struct{ setting, base, value, at string }

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
	if m == nil {
		return "unknown size"
	}
	return doc.Millions(*m)
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
