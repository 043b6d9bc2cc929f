package answer

import (
	"cmp"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/ranking"
	"llmscale/analysis/q/wall"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// mostChanges is how many changes are advised.
const mostChanges = 5

// Change is something to do otherwise, of which more than 10 % are shown.
type Change struct {
	prose.Sentence
	Setting string  `json:"setting"` // "" where it is no setting
	Value   string  `json:"value"`
	Base    string  `json:"instead_of"`
	At      string  `json:"at"`    // settings that both have
	Keep    bool    `json:"keep"`  // value is what others are compared with, and faster
	Times   float64 `json:"times"` // as fast as the other, where the effect is largest told
	Basis   string  `json:"basis"` // of the intervals: processes, or one process

	mode   string // of Times
	best   *policy.Policy
	main   prose.Sentence // what it does to that mode
	phases []effect
}

// changes lists what to change, the largest effect first; what to keep comes last.
func (a *asker) changes() {
	order := func(x, y Change) int { return cmp.Or(kept(x)-kept(y), cmp.Compare(y.Times, x.Times)) }
	a.effects = a.settingChanges()
	slices.SortStableFunc(a.effects, order)
	all := slices.DeleteFunc(slices.Clone(a.effects), func(c Change) bool { // it says what is done, and not how
		return c.Setting != cells.SettingBatchSize && cells.AllSettings[cells.Index(c.Setting)].Work
	})
	all = slices.Concat(all, a.backendChanges(), a.memoryChanges(), a.engineChanges())
	slices.SortStableFunc(all, order)
	var once []Change
	for _, c := range all {
		if !c.Keep || !slices.ContainsFunc(once, func(o Change) bool { return o.Keep && o.Setting == c.Setting && o.Value == c.Value }) {
			once = append(once, c)
		}
	}
	// Each setting once before any of them at other settings, so that none is cut off.
	seen := map[string]bool{}
	var first, again []Change
	for _, c := range once {
		if c.Setting != "" && seen[c.Setting] {
			again = append(again, c)
			continue
		}
		seen[c.Setting] = true
		first = append(first, c)
	}
	once = append(first, again...)
	a.out.Changes = once[:min(len(once), mostChanges)]
	a.untried()
}

func kept(c Change) int {
	if c.Keep {
		return 1
	}
	return 0
}

// told are the policies that sentences are about: those of the least depth.
func (a *asker) told() []*policy.Policy {
	return slices.DeleteFunc(a.policy.Said(), func(p *policy.Policy) bool { return p.Scenario != cells.AllScenarios && !a.set.Joins(p.Scenario) })
}

// reached is the ratio at the end of the sizes that an effect reaches, with its interval
// and its columns; ok is false where it reaches neither.
func reached(p *policy.Policy) (ratio float64, ci *stats.Interval, m *float64, column string, ok bool) {
	switch {
	case p.Effect == "":
	case (p.Verdict == policy.Always || p.Verdict == policy.FromOn) && p.Large != nil && p.LargeCI != nil:
		return *p.Large, p.LargeCI, p.LargeM, "largest", true
	case p.Verdict == policy.UpTo && p.Small != nil && p.SmallCI != nil:
		return *p.Small, p.SmallCI, p.SmallM, "smallest", true
	}
	return 0, nil, nil, "", false
}

// settingChanges has for each setting the value that makes decode fastest for sure, else
// prefill; of a setting of which none is faster, that its first value is to be kept.
func (a *asker) settingChanges() (out []Change) {
	type choice struct{ setting, base, at string }
	choices, of := stats.GroupBy(a.told(), func(p *policy.Policy) choice { return choice{p.Choice, p.Base, p.At} })
	for _, c := range choices {
		var best, worst *policy.Policy
		gain := func(p *policy.Policy) float64 {
			if _, ci, _, _, ok := reached(p); ok && p.Effect == policy.Faster {
				return 1 / ci.High
			}
			return 0
		}
		loss := func(p *policy.Policy) float64 {
			if _, ci, _, _, ok := reached(p); ok && p.Effect == policy.Slower {
				return ci.Low
			}
			return 0
		}
		for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
			for _, p := range of[c] {
				if p.Mode != mode {
					continue
				}
				if best == nil && gain(p) > 0 || best != nil && best.Mode == mode && gain(p) > gain(best) {
					best = p
				}
				if worst == nil && loss(p) > 0 || worst != nil && worst.Mode == mode && loss(p) > loss(worst) {
					worst = p
				}
			}
		}
		switch {
		case best != nil:
			out = append(out, a.change(best, of[c]))
		case worst != nil:
			out = append(out, keep(worst))
		}
	}
	return withThreads(out)
}

// withThreads joins decode's threads and prefill's where they are as many: a config's
// threads sets both.
func withThreads(all []Change) (out []Change) {
	for _, c := range all {
		i := slices.IndexFunc(out, func(o Change) bool {
			return o.Setting == cells.SettingThreads && c.Setting == cells.SettingThreadsBatch && o.Value == c.Value && o.Base == c.Base && o.At == c.At && !o.Keep && !c.Keep
		})
		if i < 0 {
			out = append(out, c)
			continue
		}
		out[i].phases = append(out[i].phases, c.phases...)
		out[i].tell()
	}
	return out
}

const crossingsFile = "crossings.csv"

// backendChanges are backends that differ in several settings from the first of the
// plan, and are faster.
func (a *asker) backendChanges() (out []Change) {
	for i := range a.ranks.Crossings {
		c := &a.ranks.Crossings[i]
		if c.Mode != record.ModeDecode || !a.whole(c.Scenario) || c.Base != a.set.Series[0].Backend || a.policy.Told(c.Base, c.Backend) || c.Large == nil || c.LargeCI == nil {
			continue
		}
		change := Change{Value: c.Backend, Base: c.Base, Basis: c.Basis, Times: 1 / *c.Large}
		from := crossingsFile + " ratio_largest"
		at := prose.AtSize(c.LargeM, crossingsFile+" largest_millions")
		where := prose.Say("")
		switch {
		case c.Verdict == ranking.OneFaster && c.NSizes > 1:
			where = prose.Say(" (faster at all %s)", prose.Counted(float64(c.NSizes), crossingsFile+" n_sizes", "size", "sizes"))
		case c.Verdict == ranking.Crosses && c.SizeM != nil:
			where = prose.Say(" (faster from %s on)", prose.Size(*c.SizeM, crossingsFile+" size_millions"))
		case c.Verdict != ranking.OneFaster:
			continue
		}
		if c.LargeCI.High < 1/policy.Matters {
			change.Sentence = prose.Say("%s instead of %s: decode %s times as fast [%s to %s]%s%s", prose.Name(c.Backend), prose.Name(c.Base),
				prose.Times(*c.Large, from), prose.Times(c.LargeCI.High, from+"_ci_high"), prose.Times(c.LargeCI.Low, from+"_ci_low"), at, where)
			out = append(out, change)
		}
	}
	return out
}

// whole is whether a scenario's figures are told: joined ones where there are several.
func (a *asker) whole(scenario string) bool {
	return scenario == cells.AllScenarios || len(a.set.Joined()) < 2 && a.set.Joins(scenario)
}

// memoryChanges are limits of memory below which decode is slower.
func (a *asker) memoryChanges() (out []Change) {
	if a.wall.Wall == nil {
		return nil
	}
	for i := range a.wall.Wall.Cliffs {
		if l := &a.wall.Wall.Cliffs[i]; l.Verdict == wall.Found && l.Times != nil && l.Low != nil && l.High != nil {
			out = append(out, Change{Setting: "", Value: "memory", Basis: cells.BasisProcesses, Times: *l.Times, Sentence: prose.Say("Give %s %s of memory instead of %s: decode %s times as fast [%s to %s]", prose.Name(l.Model),
				mib(*l.HoldsMiB, limitsFile+" holds_mib"), mib(*l.SlowMiB, limitsFile+" slow_mib"), prose.Digits(*l.Times, limitsFile+" slow_times"), prose.Digits(*l.Low, limitsFile+" slow_times_low"), prose.Digits(*l.High, limitsFile+" slow_times_high"))})
		}
	}
	return out
}

// engineChanges is native in place of Ollama, on the largest model of which that is shown.
func (a *asker) engineChanges() []Change {
	var best *crosscheck.Comparison
	for i := range a.beside.Comparisons {
		c := &a.beside.Comparisons[i]
		ci := c.Counters.RatioCI
		if c.Phase != record.ModeDecode || c.Counters.Ratio == nil || ci == nil || c.Few(&c.Counters) || ci.Low <= policy.Matters {
			continue
		}
		if best == nil || cells.OrInf(c.ParamsM) > cells.OrInf(best.ParamsM) || c.Model == best.Model && ci.Low > best.Counters.RatioCI.Low {
			best = c
		}
	}
	if best == nil {
		return nil
	}
	b, from := &best.Counters, crossFile+" ollama_over_native"
	return []Change{{Value: best.Native, Base: best.Ollama, Basis: b.Basis, Times: *b.Ratio, Sentence: prose.Say("%s instead of %s: decode %s times as fast%s at %s", prose.Name(best.Native), prose.Name(best.Ollama),
		prose.Fixed(*b.Ratio, 2, from), prose.Between(b.RatioCI, prose.Decimals(2), from+"_ci_low", from+"_ci_high"), prose.Sized(best.Model, best.ParamsM, crossFile+" params_millions_effective"))}}
}
