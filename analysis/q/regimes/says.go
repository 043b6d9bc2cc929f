package regimes

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/internal/text"
)

const file = "regimes.csv"

// said is how a sentence calls a regime.
var said = map[string]string{Overhead: "overhead-bound", Cache: "bound by the cache", Memory: "memory-bound", Compute: "compute-bound",
	Weights: "bound by its weights", Wall: "behind the memory wall"}

// Bounded is what bounds one model in a mode.
type Bounded struct {
	*cells.Model
	Regime string    // of all scenarios whose is told; "" where they differ, or few are told
	cells  []*Budget // one for each scenario
}

// Ran is whether the model gave a time: one that did not fit has none.
func (b *Bounded) Ran() bool {
	return slices.ContainsFunc(b.cells, func(x *Budget) bool { return x.ran() })
}

func (b *Budget) ran() bool { return b.TimeMS != nil || b.Regime != Wall }

// Share is the most of its ceiling that a model reads at in any scenario; nil unknown.
func (b *Bounded) Share() (most *float64) {
	for _, c := range b.cells {
		if c.Share != nil && (most == nil || *c.Share > *most) {
			most = c.Share
		}
	}
	return most
}

// Models are what bounds those of a series, by size, over the scenarios that join.
func (a *Answer) Models(s cells.Series, mode string) (out []Bounded) {
	for _, m := range a.set.ModelsOf(s.Backend) {
		b := Bounded{Model: m, cells: a.those(func(x *Budget) bool {
			return x.Series() == s && x.Mode == mode && x.Model == m.Name && a.set.Joins(x.Scenario)
		})}
		if len(b.cells) > 0 {
			if b.Regime = Agreed(b.cells); said[b.Regime] == "" { // not told, or by scenario
				b.Regime = ""
			}
			out = append(out, b)
		}
	}
	return out
}

func (b *Bounded) text() prose.Sentence {
	return prose.Sized(b.Name, b.ParamsMillions, file+" params_millions_effective")
}

// Says is what bounds a mode of a series on its largest models, and from which one on; ""
// where nothing is known.
func (a *Answer) Says(s cells.Series, mode string) prose.Sentence {
	all := a.Models(s, mode)
	large := slices.DeleteFunc(slices.Clone(all), func(b Bounded) bool { return b.Ran() })
	all = slices.DeleteFunc(all, func(b Bounded) bool { return !b.Ran() })
	of := prose.Mode(mode) + prose.On(a.set, s)
	unfit := prose.Say("")
	if len(large) > 0 {
		unfit = prose.Say("%s did not fit into memory", large[0].text())
	}
	if len(all) == 0 {
		return unfit
	}
	if unfit.Text != "" {
		unfit = prose.Say("; %s", unfit)
	}
	last, from := &all[len(all)-1], len(all)-1
	for from > 0 && all[from-1].Regime == last.Regime {
		from--
	}
	where := prose.Say(" at all sizes")
	switch {
	case len(all) == 1:
		where = prose.Say("")
	case from == len(all)-1:
		where = prose.Say(" at %s", last.text())
	case from > 0:
		where = prose.Say(" from %s on", all[from].text())
	}
	reads := last.reads(from < len(all)-1)
	if last.Regime == "" {
		if reads.Text != "" {
			reads = prose.Say("; %s", reads)
		}
		return prose.Say("What bounds %s%s cannot be told%s%s%s", of, where, why(last.cells), reads, unfit)
	}
	if last.Regime == Weights {
		const blind = "reading them is not told from computing"
		if reads.Text == "" {
			reads = prose.Say(blind)
		} else {
			reads = prose.Say(blind+"; %s", reads)
		}
	}
	if reads.Text != "" {
		reads = prose.Say(" (%s)", reads)
	}
	return prose.Say("%s is %s%s%s%s%s", doc.Upper(of), said[last.Regime], where, reads, below(all, from), unfit)
}

// reads says what reading has to do with the time of the model, whose size the sentence has if named.
func (b *Bounded) reads(named bool) prose.Sentence {
	share := b.Share()
	if share == nil {
		return prose.Say("")
	}
	at := prose.Say("")
	if named {
		at = prose.AtSize(b.ParamsMillions, file+" params_millions_effective")
	}
	percent := prose.Percent(*share, file+" share_of_ceiling")
	switch {
	case *share >= 1:
		return prose.Say("it reads as fast as the probe did%s", at)
	case b.Regime == Compute || b.Regime == Overhead:
		return prose.Say("reading alone would take %s of the time%s", percent, at)
	}
	return prose.Say("it reads at %s of the measured bandwidth%s", percent, at)
}

// below says what bounds the models that are smaller than those of the last regime.
func below(all []Bounded, from int) prose.Sentence {
	switch first := &all[0]; {
	case from == 0:
		return prose.Say("")
	case first.Regime == "" || first.Regime == all[from].Regime:
		return prose.Say("; below that it is not told at every size")
	default:
		to := 0
		for all[to+1].Regime == first.Regime {
			to++
		}
		if to == 0 {
			return prose.Say("; at %s it is %s", first.text(), said[first.Regime])
		}
		return prose.Say("; up to %s it is %s", all[to].text(), said[first.Regime])
	}
}

// why are the regimes between which cells do not decide, or why there is none.
func why(all []*Budget) prose.Sentence {
	var between []string
	add := func(r string) {
		if !slices.Contains(between, r) {
			between = append(between, r)
		}
	}
	for _, b := range all {
		for _, r := range b.Between {
			add(r)
		}
		if b.Regime != Unknown {
			add(b.Regime)
		}
	}
	if len(between) > 1 {
		return prose.Say(" (%s)", text.List(between, "or"))
	}
	for _, b := range all {
		if b.Reason != "" {
			return prose.Say(" (%s)", prose.Quoted(b.Reason, file+" reason"))
		}
	}
	return prose.Say("")
}
