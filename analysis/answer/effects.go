package answer

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// effect is what a choice does to a phase: "decode" "1.76" "times as fast" " [1.47 to
// 2.12]" " at 134M". Without an interval only by says where it is shown.
type effect struct {
	phase     string
	by        prose.Sentence
	as        string
	ci, where prose.Sentence
}

func (e *effect) text() prose.Sentence {
	return prose.Say("%s %s%s%s", e.phase, e.by, e.as, e.ci)
}

// after is a sentence that begins with what was chosen.
func (e *effect) after(p *policy.Policy) prose.Sentence {
	verb, than := "is", ""
	if p.Choice == cells.SettingBatchSize {
		verb = "gives"
	}
	if e.as != "" {
		than = " as with " + prose.Name(p.Base)
	}
	return prose.Say("with %s%s %s %s %s%s%s%s%s", label(p.Choice, p.Value), behind(p.At), e.phase, verb, e.by, e.as, than, e.ci, e.where)
}

// effectOf is what a choice does to a phase: where it is shown, and how much at the end of
// the sizes that it reaches.
func effectOf(mode string, stretches []*policy.Policy) effect {
	p := stretches[0]
	out := effect{phase: prose.Mode(mode), by: p.Where()}
	if ratio, ci, m, end, ok := reached(p); ok {
		from := policy.File + " ratio_" + end
		out.by, out.as = prose.Say("%s", prose.Times(ratio, from)), " times as fast"
		if p.Choice == cells.SettingBatchSize {
			out.as = " times as many tokens per second"
		}
		out.ci = prose.Say(" [%s to %s]", prose.Times(ci.High, from+"_ci_high"), prose.Times(ci.Low, from+"_ci_low"))
		if out.where = prose.AtSize(m, policy.File+" "+end+"_millions"); p.NSizes > 1 {
			out.where = prose.Say("%s (%s %s)", out.where, word(p), p.Reach())
		}
	}
	for _, s := range stretches[1:] {
		but := "but"
		if s.Effect == p.Effect {
			but = "and"
		}
		out.where = prose.Say("%s, %s %s %s", out.where, but, word(s), s.Reach())
	}
	return out
}

// word is an effect behind a number of times.
func word(p *policy.Policy) string {
	if p.Choice == cells.SettingBatchSize {
		return map[string]string{policy.Faster: "more", policy.Slower: "fewer"}[p.Effect]
	}
	return p.Effect
}

// change says what a value does in all phases.
func (a *asker) change(best *policy.Policy, all []*policy.Policy) Change {
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
		e := effectOf(mode, stretches)
		if mode == best.Mode {
			e.where = prose.Say("%s%s", e.where, a.price(best))
			c.main = e.after(best)
		}
		c.phases = append(c.phases, e)
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

// tell says what the change does to all phases: where that is the same of all, once.
func (c *Change) tell() {
	var apart, together []prose.Sentence
	alike := true
	for _, e := range c.phases {
		alike = alike && e.where.Text == c.phases[0].where.Text
		apart, together = append(apart, prose.Say("%s%s", e.text(), e.where)), append(together, e.text())
	}
	does := prose.Semicolons(apart)
	if alike && len(c.phases) > 0 {
		does = prose.Say("%s%s", prose.Commas(together), c.phases[0].where)
	}
	c.Sentence = prose.Say("%s instead of %s%s: %s", label(c.Setting, c.Value), prose.Name(c.Base), behind(c.At), does)
}

// price is what each sequence pays where more are decoded together: its time for a token,
// in the scenarios that join; "" of another setting.
func (a *asker) price(p *policy.Policy) prose.Sentence {
	const file = "batches.csv step_ratio"
	_, _, m, _, _ := reached(p)
	if p.Choice != cells.SettingBatchSize || p.Mode != record.ModeDecode || m == nil {
		return prose.Say("")
	}
	var all doc.Span
	var last *policy.Batch
	n := 0
	for i := range a.policy.Batches {
		b := &a.policy.Batches[i]
		if b.Backend == p.Backend && b.Base == p.BaseBackend && strconv.Itoa(b.BatchSize) == p.Value && b.ParamsM != nil && *b.ParamsM == *m && b.StepRatio != nil && a.set.Joins(b.Scenario) {
			all.Add(b.StepRatio)
			last, n = b, n+1
		}
	}
	times := prose.Fixed(all.Lo, 2, file)
	switch {
	case n == 0:
		return prose.Say("")
	case n == 1:
		return prose.Say(", each sequence waiting %s times as long for a token%s", times, prose.Between(last.StepCI, prose.Decimals(2), file+"_ci_low", file+"_ci_high"))
	}
	return prose.Say(", each sequence waiting %s to %s times as long for a token", times, prose.Fixed(all.Hi, 2, file))
}

// label names a choice: a weight type needs no name.
func label(setting, value string) string {
	if setting == cells.SettingDType {
		return prose.Name(value)
	}
	return prose.Name(setting) + " " + prose.Name(value)
}

func behind(at string) string {
	if at == "" {
		return ""
	}
	return " at " + text.Elide(doc.Clean(at), longestMachine)
}

// keep says that the first value of a setting is faster than another.
func keep(p *policy.Policy) Change {
	ratio, _, _, _, _ := reached(p)
	e := effectOf(p.Mode, []*policy.Policy{p})
	does := e.after(p)
	return Change{Setting: p.Choice, Value: p.Base, Base: p.Value, At: p.At, Basis: p.Basis, Times: ratio, Keep: true, mode: p.Mode, best: p, main: does,
		Sentence: prose.Say("Keep %s: %s", label(p.Choice, p.Base), does)}
}

// The questions of a reader who has settings to choose: how many threads, and what a
// smaller weight type would buy.
var asked = []struct{ setting, plural string }{{cells.SettingThreads, "numbers of threads"}, {cells.SettingDType, "weight types"}}

// untried says of each that has no change why not, or what to try.
func (a *asker) untried() {
	put := func(s prose.Sentence) { a.out.Advice = append(a.out.Advice, s) }
	if len(a.policy.Policies) > 0 && len(a.out.Changes) == 0 {
		put(prose.Say("Of what can be set otherwise, nothing that was varied is shown to change a time by more than 10 %%."))
	}
	var try []string
	for _, q := range asked {
		varied := slices.ContainsFunc(a.policy.Policies, func(p policy.Policy) bool { return p.Choice == q.setting })
		switch {
		case slices.ContainsFunc(a.out.Changes, func(c Change) bool { return c.Setting == q.setting }):
		case varied && len(a.out.Changes) > 0:
			put(prose.Say("Of the %s that were varied none is shown to change a time by more than 10 %%.", q.plural))
		case !varied:
			if s := a.try(q.setting); s != "" {
				try = append(try, s)
			}
		}
	}
	if len(try) > 0 {
		put(prose.Say("Not varied: %s.", text.List(try, "and")))
	}
}

// try says how a setting would be varied; "" where that is no question.
func (a *asker) try(setting string) string {
	models := a.bounds.Models(a.lead, record.ModeDecode)
	if len(models) == 0 {
		return ""
	}
	last := models[len(models)-1]
	if setting == cells.SettingThreads {
		if last.BackendKind == cells.KindNative && last.GPULayers == nil {
			return "threads (try `" + a.flag("-t", setting, a.someThreads()) + "`)"
		}
		return ""
	}
	smaller := smallerThan(last.WeightType)
	switch {
	case last.WeightType == "":
		return ""
	case len(smaller) == 0:
		return "weights below " + prose.Name(last.WeightType) + " (try a file in `q3_K` or `q2_K`)"
	case last.Kind == "gguf" || last.Kind == cells.KindOllama:
		return "weight types (try a file in `" + strings.Join(smaller, "` or `") + "`)"
	}
	return "weight types (try `" + a.flag("--types", setting, append([]string{last.WeightType}, smaller...)) + "`)"
}

// flag is how a sweep is told to vary a setting: as this run was told.
func (a *asker) flag(flag, key string, values []string) string {
	if strings.Contains(a.out.Run.Command, "--config") {
		return key + ": [" + strings.Join(values, ", ") + "]"
	}
	return flag + " " + strings.Join(values, ",")
}

// someThreads are the machine's processors, half of them and a quarter.
func (a *asker) someThreads() (out []string) {
	n := 4
	if cores := a.r.Manifest.Int("environment", "logical_cores"); cores != nil && *cores > 1 {
		n = *cores
	}
	for i := n; i > 0 && len(out) < 3; i /= 2 {
		out = append([]string{strconv.Itoa(i)}, out...)
	}
	return out
}

// smallerThan are the weight types that take about half of a type's bytes, and a quarter.
func smallerThan(typ string) []string {
	switch typ = strings.ToLower(typ); {
	case typ == "f32":
		return []string{"f16", "q8_0", "q4_0"}
	case typ == "f16" || typ == "bf16":
		return []string{"q8_0", "q4_0"}
	case strings.HasPrefix(typ, "q8") || strings.HasPrefix(typ, "q6") || strings.HasPrefix(typ, "q5"):
		return []string{"q4_0"}
	}
	return nil
}
