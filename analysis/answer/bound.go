package answer

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/q/regimes"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// bounded is what bounds one model's decode or prefill.
type bounded struct {
	*cells.Model
	regime string            // of all scenarios whose is told; "" where they differ, or few are told
	cells  []*regimes.Budget // one for each scenario
}

// boundsOf are those of a series' models, by size.
func (a *asker) boundsOf(s cells.Series, mode string) (out []bounded) {
	for _, m := range a.set.ModelsOf(s.Backend) {
		b := bounded{Model: m}
		for i := range a.bounds.Budgets {
			if x := &a.bounds.Budgets[i]; x.Series() == s && x.Mode == mode && x.Model == m.Name && a.set.Joins(x.Scenario) {
				b.cells = append(b.cells, x)
			}
		}
		if len(b.cells) > 0 {
			if b.regime = regimes.Agreed(b.cells); boundWords[b.regime] == "" { // not told, or by scenario
				b.regime = ""
			}
			out = append(out, b)
		}
	}
	return out
}

// share is the most of its ceiling that a model reads at in any scenario; nil unknown.
func (b *bounded) share() (most *float64) {
	for _, c := range b.cells {
		if c.Share != nil && (most == nil || *c.Share > *most) {
			most = c.Share
		}
	}
	return most
}

// boundWords say what a regime is.
var boundWords = map[string]string{regimes.Overhead: "overhead-bound", regimes.Cache: "bound by the cache", regimes.Memory: "memory-bound", regimes.Compute: "compute-bound",
	regimes.Weights: "bound by its weights", regimes.Wall: "behind the memory wall"}

const regimesFile = "regimes.csv"

func at(m *cells.Model) Sentence {
	return say("%s%s", name(m.Name), atSize(m.ParamsMillions, regimesFile+" params_millions_effective"))
}

// bound says what bounds a series' decode of the largest models, and from which one on.
func (a *asker) bound(s cells.Series) Sentence {
	all := a.boundsOf(s, record.ModeDecode)
	if len(all) == 0 {
		return say("")
	}
	last, from := all[len(all)-1], len(all)-1
	for from > 0 && all[from-1].regime == last.regime {
		from--
	}
	where := say(" at all sizes")
	switch {
	case len(all) == 1:
		where = say("")
	case from == len(all)-1:
		where = say(" at %s", at(last.Model))
	case from > 0:
		where = say(" from %s on", at(all[from].Model))
	}
	share := last.share()
	if last.regime == "" {
		reads := say("")
		if share != nil {
			reads = say("; it reads at %s of the measured bandwidth", percent(*share, regimesFile+" share_of_ceiling"))
		}
		return say("What bounds decode%s%s cannot be told%s%s.", a.about(s), where, why(last.cells), reads)
	}
	reads, below := say(""), say("")
	if share != nil {
		reads = say(" (it reads at %s of the measured bandwidth)", percent(*share, regimesFile+" share_of_ceiling"))
	}
	switch first := all[0]; {
	case from == 0:
	case first.regime == "":
		below = say("; below that it is not told at every size")
	default:
		to := 0
		for all[to+1].regime == first.regime {
			to++
		}
		below = say("; up to %s it is %s", at(all[to].Model), boundWords[first.regime])
		if to == 0 {
			below = say("; at %s it is %s", at(first.Model), boundWords[first.regime])
		}
	}
	return say("Decode%s is %s%s%s%s.", a.about(s), boundWords[last.regime], where, reads, below)
}

// why are the regimes between which cells do not decide, or why there is none.
func why(all []*regimes.Budget) Sentence {
	var between []string
	for _, b := range all {
		for _, r := range b.Between {
			between = add(between, r)
		}
		if b.Regime != regimes.Unknown {
			between = add(between, b.Regime)
		}
	}
	if len(between) > 1 {
		return say(" (%s)", text.List(between, "or"))
	}
	for _, b := range all {
		if b.Reason != "" {
			return say(" (%s)", quote(b.Reason, regimesFile+" reason"))
		}
	}
	return say("")
}
