package answer

import (
	"cmp"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/ranking"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/wall"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// mostChanges is how many changes are advised.
const mostChanges = 5

// Change is something to do otherwise, of which more than 10 % are shown.
type Change struct {
	Sentence
	Setting string  `json:"setting"` // "" where it is no setting
	Value   string  `json:"value"`
	Base    string  `json:"instead_of"`
	At      string  `json:"at"`    // settings that both have
	Keep    bool    `json:"keep"`  // value is what others are compared with, and faster
	Times   float64 `json:"times"` // as fast as the other, where the effect is largest told
	Basis   string  `json:"basis"` // of the intervals: processes, or one process

	mode   string // of Times
	best   *policy.Policy
	main   Sentence // what it does to that mode
	phases []phased
}

// phased is what a choice does to a phase, and where.
type phased struct{ phase, as, where Sentence }

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
	a.out.Changes = once[:min(len(once), mostChanges)]
	if len(once) == 0 {
		s := a.advice()
		a.out.Advice = &s
	}
}

func kept(c Change) int {
	if c.Keep {
		return 1
	}
	return 0
}

// told are the policies that are told: joined over scenarios where they can be.
func (a *asker) told() (out []*policy.Policy) {
	type work struct{ choice, base, value, at, mode string }
	of := func(p *policy.Policy) work { return work{p.Choice, p.Base, p.Value, p.At, p.Mode} }
	joined := map[work]bool{}
	for i := range a.policy.Policies {
		p := &a.policy.Policies[i]
		joined[of(p)] = joined[of(p)] || p.Scenario == cells.AllScenarios
	}
	for i := range a.policy.Policies {
		if p := &a.policy.Policies[i]; p.Scenario == cells.AllScenarios || !joined[of(p)] && a.set.Joins(p.Scenario) {
			out = append(out, p)
		}
	}
	return out
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
			out = append(out, change(best, of[c]))
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

// tell says what the change does to all phases: where that is the same of all, once.
func (c *Change) tell() {
	apart, together := say(""), say("")
	alike := true
	for i, p := range c.phases {
		alike = alike && p.where.Text == c.phases[0].where.Text
		if i == 0 {
			apart, together = say("%s %s%s", p.phase, p.as, p.where), say("%s %s", p.phase, p.as)
			continue
		}
		apart, together = say("%s; %s %s%s", apart, p.phase, p.as, p.where), say("%s, %s %s", together, p.phase, p.as)
	}
	if alike && len(c.phases) > 0 {
		apart = say("%s%s", together, c.phases[0].where)
	}
	c.Sentence = say("%s%s: %s", label(c.Setting, c.Value, c.Base), behind(c.At), apart)
}

// change says what a value does in all phases.
func change(best *policy.Policy, all []*policy.Policy) Change {
	ratio, _, _, _, _ := reached(best)
	c := Change{Setting: best.Choice, Value: best.Value, Base: best.Base, At: best.At, Basis: best.Basis, Times: 1 / ratio, mode: best.Mode, best: best}
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		var stretches []*policy.Policy
		for _, p := range all {
			if p.Value == best.Value && p.Mode == mode && p.Effect != "" {
				stretches = append(stretches, p)
			}
		}
		if len(stretches) == 0 {
			continue
		}
		every := slices.Clone(stretches)
		stretches = slices.DeleteFunc(stretches, func(p *policy.Policy) bool { // one that lies in another says nothing
			return p.Verdict == policy.Between && slices.ContainsFunc(every, func(o *policy.Policy) bool {
				return o.Verdict == policy.FromOn && o.Effect == p.Effect && o.FromM != nil && p.FromM != nil && *o.FromM <= *p.FromM
			})
		})
		slices.SortStableFunc(stretches, func(x, y *policy.Policy) int { return cmp.Compare(leads(y, best), leads(x, best)) })
		e := effect(mode, stretches)
		if c.phases = append(c.phases, e); mode == best.Mode {
			c.main = e.after(with(best.Choice, best.Value)+behind(best.At), best.Choice)
		}
	}
	c.tell()
	return c
}

// leads is how much a stretch of sizes is what a change is advised for.
func leads(p, best *policy.Policy) (n int) {
	if p.Effect == policy.Faster {
		n++
	}
	if p == best {
		n++
	}
	return n
}

// after is a sentence that begins with what was chosen.
func (p *phased) after(chosen, setting string) Sentence {
	verb := "is"
	if setting == cells.SettingBatchSize {
		verb = "gives"
	}
	return say("%s %s %s %s%s", chosen, p.phase, verb, p.as, p.where)
}

func semicolons(parts []Sentence) Sentence {
	s := say("")
	for i, p := range parts {
		if i > 0 {
			s = say("%s; %s", s, p)
			continue
		}
		s = p
	}
	return s
}

// with is "with threads 2", "with q4_0".
func with(setting, value string) string {
	return "with " + strings.TrimSuffix(label(setting, value, ""), " instead of ")
}

// label names a choice: a weight type needs no name.
func label(setting, value, base string) string {
	if setting == cells.SettingDType {
		return name(value) + " instead of " + name(base)
	}
	return name(setting) + " " + name(value) + " instead of " + name(base)
}

func behind(at string) string {
	if at == "" {
		return ""
	}
	return " at " + text.Elide(doc.Clean(at), longestMachine)
}

// as is what a ratio of times is called.
func as(setting string) string {
	if setting == cells.SettingBatchSize {
		return "times as many tokens per second"
	}
	return "times as fast"
}

// effect is what a choice does to a phase: where it is shown, and how much at the end of
// the sizes that it reaches.
func effect(mode string, stretches []*policy.Policy) phased {
	p := stretches[0]
	out := phased{phase: say("%s", phase(mode)), as: say("%s", where(p))}
	if ratio, ci, m, end, ok := reached(p); ok {
		from := policies + " ratio_" + end
		out.as = say("%s %s [%s to %s]", times(ratio, from), as(p.Choice), times(ci.High, from+"_ci_high"), times(ci.Low, from+"_ci_low"))
		if out.where = atOf(m, policies+" "+end+"_millions"); p.NSizes > 1 {
			out.where = say("%s (%s)", out.where, where(p))
		}
	}
	for _, s := range stretches[1:] {
		but := "but"
		if s.Effect == stretches[0].Effect {
			but = "and"
		}
		out.where = say("%s, %s %s", out.where, but, where(s))
	}
	return out
}

// atOf is " at 134M".
func atOf(m *float64, from string) Sentence {
	if m == nil {
		return say("")
	}
	return say(" at %s", size(*m, from))
}

// where says at which sizes more than 10 % are shown.
func where(p *policy.Policy) Sentence {
	end := func(at, low, high *float64, column, ci string) Sentence {
		switch {
		case at != nil && low != nil && high != nil:
			return say("%s [%s to %s]", size(*at, policies+" "+column), size(*low, policies+" "+ci+"_low"), size(*high, policies+" "+ci+"_high"))
		case at != nil:
			return say("%s", size(*at, policies+" "+column))
		case high != nil:
			return say("%s at the latest", size(*high, policies+" "+ci+"_high"))
		case low != nil:
			return say("%s at least", size(*low, policies+" "+ci+"_low"))
		}
		return say("a size that is not known")
	}
	from, to := end(p.FromM, p.FromLow, p.FromHigh, "size_from_millions", "size_from_ci"), end(p.ToM, p.ToLow, p.ToHigh, "size_to_millions", "size_to_ci")
	switch p.Verdict {
	case policy.FromOn:
		return say("%s from %s on", p.Effect, from)
	case policy.UpTo:
		return say("%s up to %s", p.Effect, to)
	case policy.Between:
		return say("%s from %s to %s", p.Effect, from, to)
	}
	if p.NSizes < 2 {
		return say("%s", p.Effect)
	}
	return say("%s at all %s", p.Effect, counted(float64(p.NSizes), policies+" n_sizes", "size", "sizes"))
}

// keep says that the first value of a setting is faster than another.
func keep(p *policy.Policy) Change {
	ratio, _, _, _, _ := reached(p)
	e := effect(p.Mode, []*policy.Policy{p})
	does := e.after(with(p.Choice, p.Value)+behind(p.At), p.Choice)
	return Change{Setting: p.Choice, Value: p.Base, Base: p.Value, At: p.At, Basis: p.Basis, Times: ratio, Keep: true, mode: p.Mode, best: p, main: does,
		Sentence: say("Keep %s: %s", strings.TrimPrefix(with(p.Choice, p.Base), "with "), does)}
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
		at := atOf(c.LargeM, crossingsFile+" largest_millions")
		where := say("")
		switch {
		case c.Verdict == ranking.OneFaster && c.NSizes > 1:
			where = say(" (faster at all %s)", counted(float64(c.NSizes), crossingsFile+" n_sizes", "size", "sizes"))
		case c.Verdict == ranking.Crosses && c.SizeM != nil:
			where = say(" (faster from %s on)", size(*c.SizeM, crossingsFile+" size_millions"))
		case c.Verdict != ranking.OneFaster:
			continue
		}
		if c.LargeCI.High < 1/policy.Matters {
			change.Sentence = say("%s instead of %s: decode %s times as fast [%s to %s]%s%s", name(c.Backend), name(c.Base), times(*c.Large, from), times(c.LargeCI.High, from+"_ci_high"), times(c.LargeCI.Low, from+"_ci_low"), at, where)
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
			out = append(out, Change{Setting: "", Value: "memory", Basis: cells.BasisProcesses, Times: *l.Times, Sentence: say("Give %s %s of memory instead of %s: decode %s times as fast [%s to %s]", name(l.Model),
				mib(*l.HoldsMiB, limitsFile+" holds_mib"), mib(*l.SlowMiB, limitsFile+" slow_mib"), digits(*l.Times, limitsFile+" slow_times"), digits(*l.Low, limitsFile+" slow_times_low"), digits(*l.High, limitsFile+" slow_times_high"))})
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
	return []Change{{Value: best.Native, Base: best.Ollama, Basis: b.Basis, Times: *b.Ratio, Sentence: say("%s instead of %s: decode %s times as fast%s at %s%s", name(best.Native), name(best.Ollama),
		fixed(*b.Ratio, 2, from), between(b.RatioCI, 2, from+"_ci_low", from+"_ci_high"), name(best.Model), atSize(best.ParamsM, crossFile+" params_millions_effective"))}}
}

// advice is what to do where no change is shown.
func (a *asker) advice() Sentence {
	if len(a.policy.Policies) > 0 {
		return say("Of what can be set otherwise, nothing that was varied is shown to change a time by more than 10 %%.")
	}
	all := a.boundsOf(a.lead, record.ModeDecode)
	if len(all) == 0 {
		return say("No setting was varied: vary threads and dtype to learn what helps.")
	}
	last := all[len(all)-1]
	switch last.regime {
	case regimes.Memory, regimes.Weights:
		if strings.HasPrefix(last.WeightType, "q4") || strings.HasPrefix(last.WeightType, "q3") || strings.HasPrefix(last.WeightType, "q2") || strings.HasPrefix(last.WeightType, "iq") {
			return say("No setting was varied. Weights are small already: try other numbers of threads.")
		}
		return say("No setting was varied. Decode of the largest model waits for its weights: try a smaller type than %s.", name(last.WeightType))
	case regimes.Compute, regimes.Cache:
		return say("No setting was varied. Decode of the largest model computes: try other numbers of threads, and another weight type.")
	case regimes.Overhead:
		return say("No setting was varied. Decode is overhead: try several sequences together (batch_size).")
	case regimes.Wall:
		return say("Give the largest model more memory, or a smaller weight type.")
	}
	return say("No setting was varied: vary threads and dtype to learn what helps.")
}
