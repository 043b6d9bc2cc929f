package policy

import (
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/prose"
)

// File has the policies.
const File = "policies.csv"

// Said are the policies that are told: joined over scenarios where they can be.
func (a *Answer) Said() (out []*Policy) {
	type work struct {
		choice
		mode string
	}
	of := func(p *Policy) work { return work{p.choice, p.Mode} }
	joined := map[work]bool{}
	for i := range a.Policies {
		p := &a.Policies[i]
		joined[of(p)] = joined[of(p)] || p.Scenario == cells.AllScenarios
	}
	for i := range a.Policies {
		if p := &a.Policies[i]; p.Scenario == cells.AllScenarios || !joined[of(p)] || !a.set.Joins(p.Scenario) {
			out = append(out, p)
		}
	}
	return out
}

// Where says the verdict: "faster from 20M [15M to 27M] on".
func (p *Policy) Where() prose.Sentence {
	effect := p.Effect
	if p.Choice == cells.SettingBatchSize {
		effect = map[string]string{Faster: "more tokens per second", Slower: "fewer tokens per second"}[effect]
	}
	switch {
	case p.Effect != "":
		return prose.Say("%s %s", effect, p.Reach())
	case p.Verdict == Never && strings.HasPrefix(p.Reason, "identical"):
		return prose.Say("the same: it does nothing here")
	case p.Verdict == Never:
		return prose.Say("within 10 %% %s", p.everywhere())
	}
	return prose.Say("unknown: %s", prose.Quoted(p.Reason, File+" reason"))
}

// Reach says at which sizes more than 10 % are shown.
func (p *Policy) Reach() prose.Sentence {
	from := reach(p.FromM, p.FromLow, p.FromHigh, "size_from", p.FromHigh, "at the latest")
	to := reach(p.ToM, p.ToLow, p.ToHigh, "size_to", p.ToLow, "at least")
	switch p.Verdict {
	case FromOn:
		return prose.Say("from %s on", from)
	case UpTo:
		return prose.Say("up to %s", to)
	case Between:
		return prose.Say("from %s to %s", from, to)
	}
	return p.everywhere()
}

func (p *Policy) everywhere() prose.Sentence {
	switch {
	case p.NSizes != 1:
		return prose.Say("at all %s", prose.Counted(float64(p.NSizes), File+" n_sizes", "size", "sizes"))
	case p.SmallM == nil:
		return prose.Say("at a size that is not known")
	}
	return prose.Say("at %s", prose.Size(*p.SmallM, File+" smallest_millions"))
}

// reach is a size with its interval. Where it lies beyond the sizes measured, the bound alone is known.
func reach(at, low, high *float64, column string, end *float64, bound string) prose.Sentence {
	size := func(v *float64, part string) prose.Number { return prose.Size(*v, File+" "+column+part) }
	const below, above = "_ci_low", "_ci_high"
	switch {
	case at == nil && end == nil:
		return prose.Say("a size that is not known")
	case at == nil:
		part := above
		if end == low {
			part = below
		}
		return prose.Say("%s %s", size(end, part), bound)
	case low != nil && high != nil:
		return prose.Say("%s [%s to %s]", size(at, "_millions"), size(low, below), size(high, above))
	case high != nil:
		return prose.Say("%s [up to %s]", size(at, "_millions"), size(high, above))
	case low != nil:
		return prose.Say("%s [from %s]", size(at, "_millions"), size(low, below))
	}
	return prose.Say("%s", size(at, "_millions"))
}

// AsFast turns a ratio of times round, with its interval: "1.96 [1.90 to 2.03]". column
// is where the ratio stands.
func AsFast(ratio float64, ci *Interval, column string) prose.Sentence {
	return prose.Say("%s [%s to %s]", prose.Times(ratio, column), prose.Times(ci.High, column+"_ci_high"), prose.Times(ci.Low, column+"_ci_low"))
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
