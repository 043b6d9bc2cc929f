package answer

import (
	"cmp"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/wall"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// settings says what the setting with the largest effect on decode does, else on prefill.
func (a *asker) settings() prose.Sentence {
	if len(a.effects) == 0 {
		if slices.ContainsFunc(a.policy.Policies, func(p policy.Policy) bool { return p.Verdict != policy.Never }) {
			return prose.Say("No setting that was varied is shown to change a time by more than 10 %%.")
		}
		return prose.Say("No setting that was varied changes a time by more than 10 %%.")
	}
	all := slices.Clone(a.effects)
	prefill := func(c Change) int {
		if c.mode == record.ModePrefill {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(x, y Change) int { return cmp.Or(prefill(x)-prefill(y), cmp.Compare(y.Times, x.Times)) })
	c := all[0]
	var slower []prose.Sentence // at the same size
	_, _, _, there, _ := reached(c.best)
	for _, p := range a.told() {
		if ratio, _, _, end, ok := reached(p); ok && end == there && !c.Keep && p.Choice == c.Setting && p.Base == c.Base && p.At == c.At && p.Mode == c.mode && p.Value != c.Value && p.Effect == policy.Slower {
			slower = append(slower, prose.Say("with %s %s times", prose.Name(p.Value), prose.Times(ratio, policy.File+" ratio_"+end)))
		}
	}
	if len(slower) == 0 || len(slower) > 3 {
		return prose.Say("Of what was varied, %s matters most: %s.", prose.Name(c.Setting), c.main)
	}
	return prose.Say("Of what was varied, %s matters most: %s, %s.", prose.Name(c.Setting), c.main, prose.Join(slower, "and"))
}

// walled is whether the run is for where models stop fitting into memory.
func (a *asker) walled() bool {
	w := a.wall.Wall
	if w == nil {
		return false
	}
	return len(w.Cliffs) > 0 || slices.ContainsFunc(w.Edges, func(e wall.Edge) bool { return e.FirstPartial != "" || len(w.Edges) > 1 && e.FirstTooBig != "" })
}

const (
	limitsFile = "memory_wall_limits.csv"
	edgesFile  = "memory_wall_edges.csv"
	wallFile   = "memory_wall.csv"
)

// wallFigure is that of limits, where there are some.
func (a *asker) wallFigure() string {
	if len(a.wall.Wall.Cliffs) > 0 {
		return "memory_wall_limits"
	}
	return "memory_wall"
}

func mib(v float64, from string) prose.Number {
	return prose.Number{Shown: text.Size(int64(v * (1 << 20))), Value: v, From: from}
}

// whereWall says where the wall stands, and what is behind it.
func (a *asker) whereWall() []prose.Sentence {
	if len(a.wall.Wall.Cliffs) == 0 {
		return a.edge()
	}
	var best *wall.Cliff // of the largest model of which it is told
	var open []string
	for i := range a.wall.Wall.Cliffs {
		switch l := &a.wall.Wall.Cliffs[i]; {
		case l.Verdict == wall.Found && l.HoldsMiB != nil && l.SlowMiB != nil:
			if best == nil || cells.OrInf(l.ParamsM) >= cells.OrInf(best.ParamsM) {
				best = l
			}
		case l.Verdict == wall.CannotTell:
			open = add(open, prose.Name(l.Model))
		}
	}
	var rest prose.Sentence
	if len(open) > 0 {
		rest = prose.Say("Where that of %s stands cannot be told.", text.List(open, "and"))
	}
	if best == nil {
		if len(open) > 0 {
			return []prose.Sentence{prose.Say("Where the memory wall of %s stands cannot be told: no two limits surely lie on either side of it.", text.List(open, "and"))}
		}
		return []prose.Sentence{prose.Say("No limit of memory makes decode surely slower: the wall lies below all of them.")}
	}
	reads := prose.Say("")
	if best.Reread != nil {
		reads = prose.Say(", as each pass reads %s of the weights from the disk", prose.Percent(*best.Reread, limitsFile+" slow_weights_reread"))
	}
	need := prose.Say("")
	if best.NeedMiB != nil {
		need = prose.Say(" (estimated: %s)", mib(*best.NeedMiB, limitsFile+" memory_need_mib"))
	}
	over := prose.Say("longer")
	if best.Times != nil && best.Low != nil && best.High != nil {
		over = prose.Say("%s times as long [%s to %s]", prose.Digits(*best.Times, limitsFile+" slow_times"), prose.Digits(*best.Low, limitsFile+" slow_times_low"), prose.Digits(*best.High, limitsFile+" slow_times_high"))
	}
	return []prose.Sentence{prose.Say("The memory wall of %s stands between %s and %s%s: below it decode takes %s%s.", prose.Name(best.Model),
		mib(*best.SlowMiB, limitsFile+" slow_mib"), mib(*best.HoldsMiB, limitsFile+" holds_mib"), need, over, reads), rest}
}

// edge says of a GPU up to which model all layers are on it.
func (a *asker) edge() []prose.Sentence {
	for _, e := range a.wall.Wall.Edges {
		if e.FirstPartial == "" && e.FirstTooBig == "" {
			continue
		}
		whole := prose.Say("no model is whole in its memory")
		if e.LastWhole != "" {
			whole = prose.Say("models are whole in its memory up to %s", prose.Sized(e.LastWhole, e.LastWholeM, edgesFile+" last_whole_params_millions"))
		}
		var beyond []prose.Sentence
		if e.FirstPartial != "" {
			slower := prose.Say("")
			for i := range a.wall.Wall.Cells {
				if c := &a.wall.Wall.Cells[i]; c.Series == e.Series && c.Model == e.FirstPartial && c.OverWhole != nil {
					slower = prose.Say(", where decode takes %s times as long as whole", prose.Digits(*c.OverWhole, wallFile+" times_same_model_whole"))
				}
			}
			beyond = append(beyond, prose.Say("%s is the first with layers elsewhere%s", prose.Sized(e.FirstPartial, e.FirstPartialM, edgesFile+" first_partial_params_millions"), slower))
		}
		if e.FirstTooBig != "" {
			beyond = append(beyond, prose.Say("%s does not fit", prose.Sized(e.FirstTooBig, e.FirstTooBigM, edgesFile+" first_did_not_fit_params_millions")))
		}
		return []prose.Sentence{prose.Say("On %s %s; %s.", prose.Name(e.Title()), whole, prose.Join(beyond, "and"))}
	}
	return nil
}

const crossFile = "ollama_crosscheck.csv"

// engines says what Ollama takes, over native.
func (a *asker) engines() prose.Sentence {
	clocks := []struct {
		of     func(*crosscheck.Comparison) *crosscheck.Beside
		column string
		by     string
	}{
		{func(c *crosscheck.Comparison) *crosscheck.Beside { return &c.Counters }, "ollama_over_native", "by its own counters"},
		{func(c *crosscheck.Comparison) *crosscheck.Beside { return &c.Client }, "client_over_native", "by the client's clock"},
	}
	for _, clock := range clocks {
		var largest *crosscheck.Comparison
		for i := range a.beside.Comparisons {
			if c := &a.beside.Comparisons[i]; clock.of(c).Ratio != nil && !c.Few(clock.of(c)) && (largest == nil || cells.OrInf(c.ParamsM) > cells.OrInf(largest.ParamsM)) {
				largest = c
			}
		}
		if largest == nil {
			continue
		}
		from := crossFile + " " + clock.column
		var there, anywhere []prose.Sentence
		for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
			if of := a.beside.Ratios(mode, largest.Model, clock.of); of.Known {
				there = append(there, prose.Say("%s takes %s to %s times", prose.Mode(mode), prose.Fixed(of.Lo, 2, from), prose.Fixed(of.Hi, 2, from)))
			}
			if all := a.beside.Ratios(mode, "", clock.of); all.Known {
				anywhere = append(anywhere, prose.Say("%s", prose.Fixed(all.Hi, 2, from)))
			}
		}
		return prose.Say("Through Ollama, of %s, %s native's time; of any model %s at most (%s).", prose.Sized(largest.Model, largest.ParamsM, crossFile+" params_millions_effective"), prose.Join(there, "and"), prose.Join(anywhere, "and"), clock.by)
	}
	return prose.Say("Whether Ollama is slower than native cannot be told: no phase has enough calls on both sides.")
}
