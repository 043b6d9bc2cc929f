package answer

import (
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// verdict says in two sentences at most what was found.
func (a *asker) verdict() {
	out := a.out
	out.Kind = a.kind()
	put := func(all ...Sentence) {
		out.Verdict = slices.DeleteFunc(all, func(s Sentence) bool { return s.Text == "" })
	}
	switch out.Kind {
	case Unmeasured:
		put(a.nothing())
	case Wall:
		put(a.whereWall()...)
		out.Figure = a.wallFigure()
	case Engines:
		put(a.engines(), a.bound(a.lead))
		out.Figure = "crosscheck"
	case Settings:
		if s, ok := a.fastest(); ok {
			a.lead = s
		}
		put(a.settings(), a.bound(a.lead))
		if !cells.OneSize(a.r.Aggregates) {
			out.Figure = laws.KindOverview
		}
	case OneModel:
		put(a.speed(), a.bound(a.lead))
	default:
		put(a.changesFirst(), a.bound(a.lead))
		out.Figure = laws.KindOverview
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
	case oneSize:
		return OneModel
	}
	return Sizes
}

// nothing says why there is no figure.
func (a *asker) nothing() Sentence {
	if err := a.r.Unmeasured(); err == nil {
		return say("No model fitted into memory: there is no time to tell of.")
	}
	return say("Nothing was measured that counts: no call gave a time.")
}

// about names the series that a sentence is about, where there are several.
func (a *asker) about(s cells.Series) string {
	if len(a.set.Series) < 2 {
		return ""
	}
	return " on " + name(s.Title())
}

const firstFile = "first_change.csv"

// changesFirst says what changes first as models grow.
func (a *asker) changesFirst() Sentence {
	i := slices.IndexFunc(a.first.Answers.First, func(f firstchange.First) bool { return f.Series == a.lead })
	if i < 0 {
		return say("")
	}
	f := &a.first.Answers.First[i]
	topics := strings.Split(f.Verdict, "+")
	switch f.Verdict {
	case firstchange.Unknown:
		for _, c := range f.Changes {
			if c.Verdict == firstchange.Unknown && c.Reason != "" {
				return say("What changes first as models grow%s cannot be told: %s.", a.about(a.lead), quote(c.Reason, firstFile+" reason"))
			}
		}
		return say("What changes first as models grow%s cannot be told.", a.about(a.lead))
	case "none":
		return say("Within the measured sizes neither latency nor tails nor what runs changes%s.", a.about(a.lead))
	}
	parts := map[string][]Sentence{}
	for _, c := range f.Changes {
		if c.Verdict != firstchange.Changes {
			continue
		}
		switch c.Aspect {
		case "latency":
			if c.Mode == record.ModeDecode {
				parts["latency"] = []Sentence{say("decode takes twice the smallest model's time from %s on", from(c))}
			}
		case "tails_in_calls":
			parts["tails"] = append(parts["tails"], say("the tail in a call is %s times the smallest model's from %s on", digits(c.Factor, firstFile+" factor"), from(c)))
		case "tails_between_processes":
			parts["tails"] = append(parts["tails"], say("the tail between processes is %s times the smallest model's from %s on", digits(c.Factor, firstFile+" factor"), from(c)))
		case "feasibility":
			parts["feasibility"] = []Sentence{say("%s", quote(c.Reason, firstFile+" reason"))}
		}
	}
	var said []Sentence
	for _, t := range topics {
		said = append(said, parts[t]...)
	}
	verb := " changes first as models grow"
	switch {
	case len(topics) > 1:
		verb = " changes first as models grow (the run cannot tell which)"
	case len(f.Unknown) > 0:
		verb = " is the first that is shown to change as models grow"
	}
	return say("%s%s%s: %s.", doc.Upper(strings.Join(topics, " or ")), verb, a.about(a.lead), join(said, "and"))
}

// from is the size of a change.
func from(c *firstchange.Change) Sentence {
	low, high := firstFile+" low_millions", firstFile+" high_millions"
	switch {
	case c.SizeM == nil && c.Between == nil:
		return say("a size that is not known")
	case c.SizeM == nil:
		return say("somewhere between %s and %s parameters", size(c.Between.Low, low), size(c.Between.High, high))
	case c.Between == nil:
		return say("%s parameters", size(*c.SizeM, firstFile+" size_millions"))
	}
	return say("%s parameters [%s to %s]", size(*c.SizeM, firstFile+" size_millions"), size(c.Between.Low, low), size(c.Between.High, high))
}

// speed is what one model does.
func (a *asker) speed() Sentence {
	for _, mode := range []string{record.ModeDecode, record.ModePrefill} {
		for _, m := range a.set.ModelsOf(a.lead.Backend) {
			g := a.set.Aggregate(a.lead, m.Name, mode)
			if g == nil {
				continue
			}
			if g.MSPerToken != nil {
				return say("%s decodes a token in %s ms%s.", name(m.Name), digits(*g.MSPerToken, "analysis.json aggregates[].ms_per_token_geomean"), a.about(a.lead))
			}
			return say("%s takes %s ms for %s%s.", name(m.Name), digits(g.GeomeanMS, aggregates+" latency_geomean_ms"), phase(mode), a.about(a.lead))
		}
	}
	return say("")
}

// phase is what a reader calls a mode.
func phase(mode string) string {
	switch mode {
	case record.ModeDecode:
		return "decode"
	case record.ModePrefill:
		return "prefill"
	}
	return "a whole answer"
}
