package answer

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/law"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// verdict says in three sentences at most what was found.
func (a *asker) verdict() {
	out := a.out
	out.Kind = a.kind()
	out.Verdict = []prose.Sentence{}
	put := func(place string, all ...prose.Sentence) {
		for _, s := range all {
			if s.Text != "" {
				out.Verdict, out.places = append(out.Verdict, s), append(out.places, place)
			}
		}
	}
	bound := func() { put(regimes.Place, ended(a.bounds.Says(a.lead, record.ModeDecode))) }
	switch out.Kind {
	case Unmeasured:
		put("", a.nothing())
	case Wall:
		put("Memory wall", a.whereWall()...)
		out.Figure = a.wallFigure()
	case Engines:
		put("Cross-check with Ollama", a.engines())
		bound()
		out.Figure = "crosscheck"
	case Settings:
		put("Settings", a.settings())
		bound()
		if !cells.OneSize(a.r.Aggregates) {
			out.Figure = laws.KindOverview
		}
	case OneModel:
		put("Models", a.speed())
		bound()
	case Lengths:
		put(lengths.Place, a.lengths.Says(a.lead))
		bound()
		out.Figure = lengths.KindLengths
	default:
		put(firstchange.Place, a.changesFirst(), a.rest())
		bound()
		out.Figure = laws.KindOverview
	}
}

// ended is a sentence with its full stop.
func ended(s prose.Sentence) prose.Sentence {
	if s.Text == "" {
		return s
	}
	return prose.Say("%s.", s)
}

// changesFirst says what changes first as models grow.
func (a *asker) changesFirst() prose.Sentence {
	f := a.first.First(a.lead)
	if f == nil {
		return prose.Say("")
	}
	s := f.Says(a.on())
	if why := f.Why(); why.Text != "" {
		s = prose.Say("%s: %s", s, why)
	}
	return ended(s)
}

// rest says of latency, tails and feasibility what does not change first.
func (a *asker) rest() prose.Sentence {
	if f := a.first.First(a.lead); f != nil {
		return ended(f.Rest())
	}
	return prose.Say("")
}

// law tells the law of decode, of a run without decode that of prefill.
func (a *asker) law() {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		f := a.laws.Main(a.lead, mode)
		if f == nil {
			continue
		}
		if len(f.Models) > 1 && a.out.Kind != OneModel && a.out.Kind != Lengths {
			s := ended(f.Says(doc.Upper(prose.Mode(mode)) + a.on()))
			a.out.Law = &s
		}
		return
	}
}

// kind is what the run is for, by what it varied.
func (a *asker) kind() string {
	models, _ := stats.GroupBy(a.r.Aggregates, func(g cells.Aggregate) string { return g.Model })
	oneSize := len(models) == 1 || cells.OneSize(a.r.Aggregates)
	switch {
	case len(a.r.Aggregates) == 0:
		return Unmeasured
	case a.walled():
		return Wall
	case len(a.beside.Comparisons) > 0:
		return Engines
	case len(a.policy.Policies) > 0 && (oneSize || a.policy.Varied()):
		return Settings
	case a.lengths.Says(a.lead).Text != "" && a.tooFewSizes():
		return Lengths
	case oneSize:
		return OneModel
	}
	return Sizes
}

// tooFewSizes is whether no law of size can be told, for want of sizes.
func (a *asker) tooFewSizes() bool {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		if f := a.laws.Main(a.lead, mode); f != nil && f.Verdict != law.TooFew {
			return false
		}
	}
	return true
}

// nothing says why there is no figure.
func (a *asker) nothing() prose.Sentence {
	if err := a.r.Unmeasured(); err == nil {
		return prose.Say("No model fitted into memory: there is no time to tell of.")
	}
	return prose.Say("Nothing was measured that counts: no call gave a time.")
}

// on names the series that sentences are about, where there are several.
func (a *asker) on() string { return prose.On(a.set, a.lead) }

// speed is what one model does.
func (a *asker) speed() prose.Sentence {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, m := range a.set.ModelsOf(a.lead.Backend) {
			g := a.set.Aggregate(a.lead, m.Name, mode)
			if g == nil {
				continue
			}
			if g.MSPerToken != nil {
				return prose.Say("%s decodes a token in %s ms%s.", prose.Name(m.Name), prose.Digits(*g.MSPerToken, "analysis.json aggregates[].ms_per_token_geomean"), a.on())
			}
			return prose.Say("%s takes %s ms for %s%s.", prose.Name(m.Name), prose.Digits(g.GeomeanMS, aggregates+" latency_geomean_ms"), prose.Mode(mode), a.on())
		}
	}
	return prose.Say("")
}
