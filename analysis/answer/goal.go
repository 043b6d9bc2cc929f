package answer

import (
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/predict"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/gguf/synth"
	"llmscale/runner/record"
)

// budgets are the times per token that the table beside the laws has, over the objective.
var budgets = []float64{0.2, 1, 2}

// Budget is the largest model within a time per token, as predicted.
type Budget struct {
	MS        float64  `json:"ms_per_token"`
	SurelyM   *float64 `json:"surely_millions"`  // as in Goal; null: none that can be predicted
	GuessedM  *float64 `json:"guessed_millions"` // likewise
	Ends      bool     `json:"ends"`             // larger ones than surely may keep it: predictions end there
	GuessEnds bool     `json:"guess_ends"`       // larger ones than guessed may, likewise
	Memory    bool     `json:"memory"`           // larger ones do not fit into memory
}

// Goal is the largest model that keeps an objective.
type Goal struct {
	prose.Sentence
	ObjectiveMS float64 `json:"ms_per_token"`
	Backend     string  `json:"backend"`
	WeightType  string  `json:"weight_type"`
	Prompt      int     `json:"prompt_tokens"` // before the answer; 0 where it was measured at several

	SurelyM  *float64        `json:"surely_millions"`  // parameters with which the upper end of the 95 % interval keeps it
	GuessedM *float64        `json:"guessed_millions"` // with which the best guess does
	MS       *float64        `json:"decode_ms_per_token"`
	CI       *stats.Interval `json:"decode_ms_per_token_ci"`
	Basis    string          `json:"basis"`        // measured, interpolated, extrapolated or cannot tell
	Beyond   float64         `json:"times_beyond"` // of extrapolated: work over that of the largest model
	Why      string          `json:"why"`          // there is no prediction
	Budgets  []Budget        `json:"budgets"`      // null without predictions
}

const goalPath = "answer.json objective."

// goal asks the laws of the series that leads, as `llmscale predict --slo` does; without
// laws, the models measured.
func (a *asker) goal(measured bool) {
	g := &a.out.Goal
	g.ObjectiveMS, g.Basis = a.r.Options.SLO.MS, "cannot tell"
	g.Backend = a.lead.Backend
	if !measured || !slices.ContainsFunc(a.r.Aggregates, func(x cells.Aggregate) bool { return x.Mode == record.ModeDecode && x.MSPerToken != nil }) {
		g.Sentence = prose.Say("Which model keeps %s cannot be told: no decode was measured.", a.within())
		return
	}
	if why := a.served(a.lead); why != "" {
		g.Why = why
		a.largestMeasured(a.lead)
	}
}

// within is the objective: "50 ms per token".
func (a *asker) within() prose.Sentence {
	return prose.Say("%s ms per token", prose.Digits(a.out.Goal.ObjectiveMS, goalPath+"ms_per_token"))
}

// served predicts; why says what is lacking.
func (a *asker) served(s cells.Series) (why string) {
	g := &a.out.Goal
	for _, m := range a.set.ModelsOf(s.Backend) {
		if typ, err := synth.ParseType(m.WeightType); err == nil && m.WeightType != "" && a.set.Measured(s, m.Name) {
			g.WeightType = typ
		}
	}
	if g.WeightType == "" {
		return "the weight type has no shapes to predict for"
	}
	shape := func(params int64) (*predict.Target, error) { return predict.Ladder(params, g.WeightType) }
	like, err := shape(1e9)
	if err != nil {
		return err.Error()
	}
	p, err := predict.New(a.set, a.known, predict.DescribeShape, like, predict.Asked{Batch: s.BatchSize, Backend: s.Backend})
	if err != nil {
		return err.Error()
	}
	millions := func(x *predict.Answer) *float64 {
		if x == nil {
			return nil
		}
		return new(float64(x.Params) / 1e6)
	}
	var found *predict.Served
	var all []Budget
	for _, share := range budgets {
		ms := share * g.ObjectiveMS
		within, err := p.Serve(cells.Objective{MS: ms}, shape)
		if err != nil {
			return err.Error()
		}
		all = append(all, Budget{ms, millions(within.Surely), millions(within.Guessed), within.Ends, within.GuessEnds, within.Memory})
		if share == 1 {
			found = within
		}
	}
	g.Budgets, g.Prompt = all, found.Smallest.Prompt
	g.SurelyM, g.GuessedM = millions(found.Surely), millions(found.Guessed)
	of := found.Smallest
	switch {
	case found.Surely != nil:
		of = found.Surely
	case found.Guessed != nil:
		of = found.Guessed
	}
	g.MS, g.CI, g.Basis, g.Beyond = of.Decode.Value, of.Decode.CI, of.Decode.Basis, of.Decode.Times
	a.tell(found)
	return ""
}

// tell says what was predicted.
func (a *asker) tell(found *predict.Served) {
	g := &a.out.Goal
	behind := prose.Say("")
	if g.Prompt > 0 {
		behind = prose.Say(", prompt of %s", prose.Counted(float64(g.Prompt), goalPath+"prompt_tokens", "token", "tokens"))
	}
	of := prose.Say("in %s%s", prose.Name(g.WeightType), behind)
	basis := prose.Say("%s", g.Basis)
	if g.Basis == predict.Extrapolated && g.Beyond >= 1.05 {
		basis = prose.Say("extrapolated %s times", prose.Fixed(g.Beyond, 1, goalPath+"times_beyond"))
	}
	if g.Basis == predict.Extrapolated && found.Smallest.FittedOf != found.Smallest.Architecture {
		basis = prose.Say("%s from %s", basis, prose.Name(found.Smallest.FittedOf))
	}
	reading := prose.Say("")
	if g.CI != nil && g.MS != nil {
		reading = prose.Say("%s, ", a.takes(*g.MS, g.CI))
	}
	guessed := func() prose.Number { return prose.Size(*g.GuessedM, goalPath+"guessed_millions") }
	switch {
	case g.GuessedM == nil:
		g.Sentence = prose.Say("No model that can be predicted decodes within %s (%s).", a.within(), basis)
	case g.SurelyM == nil:
		g.Sentence = prose.Say("Within %s: none for sure; by the best guess %s parameters %s (%s).", a.within(), guessed(), of, basis)
	default:
		begins, further := prose.Say("Largest model surely within %s:", a.within()), prose.Say("")
		switch {
		case found.Memory:
			further = prose.Say("; larger ones do not fit into memory")
		case found.Ends:
			begins, further = prose.Say("Within %s: at least", a.within()), prose.Say("; predictions end there")
		case found.GuessEnds:
			further = prose.Say("; by the best guess %s parameters or more", guessed())
		case *g.GuessedM > *g.SurelyM:
			further = prose.Say("; by the best guess %s parameters", guessed())
		}
		g.Sentence = prose.Say("%s %s parameters %s: %s%s%s.", begins, prose.Size(*g.SurelyM, goalPath+"surely_millions"), of, reading, basis, further)
	}
}

// takes is the objective's model's time with its interval.
func (a *asker) takes(ms float64, ci *stats.Interval) prose.Sentence {
	const path = goalPath + "decode_ms_per_token"
	return prose.Say("%s ms%s", prose.Digits(ms, path), prose.Between(ci, prose.Digits, path+"_ci.low", path+"_ci.high"))
}

// largestMeasured is the largest model of the series whose interval keeps the objective,
// of a run of which nothing is predicted.
func (a *asker) largestMeasured(s cells.Series) {
	g := &a.out.Goal
	var best, larger *cells.Model // larger is the next that has figures
	var largerMS *float64
	for _, m := range a.set.ModelsOf(s.Backend) {
		agg, known := a.set.Aggregate(s, m.Name, record.ModeDecode), a.known.Cell(s.Key(m.Name, cells.AllScenarios, record.ModeDecode))
		if agg == nil || agg.MSPerToken == nil {
			continue
		}
		if known != nil && known.CI != nil && known.MedianMS != nil && known.Verdict != record.VerdictInvalid {
			// The interval of the answer's time, for a token.
			if ci := stats.Scaled(known.CI, *agg.MSPerToken / *known.MedianMS); ci.High <= g.ObjectiveMS {
				best, larger, g.MS, g.CI = m, nil, agg.MSPerToken, ci
				continue
			}
		}
		if larger == nil {
			larger, largerMS = m, agg.MSPerToken
		}
	}
	next := prose.Say("")
	if larger != nil {
		next = prose.Say("; %s takes %s ms", prose.Sized(larger.Name, larger.ParamsMillions, aggregates+" params_millions_effective"), prose.Digits(*largerMS, "analysis.json aggregates[].ms_per_token_geomean"))
	}
	because, _, _ := strings.Cut(g.Why, ": ") // what would help is in the JSON
	why := prose.Say("; others are not predicted (%s)", prose.Quoted(because, goalPath+"why"))
	if best == nil {
		g.Sentence = prose.Say("No measured model is shown to keep %s%s%s.", a.within(), next, why)
		return
	}
	g.SurelyM, g.Basis, g.WeightType = best.ParamsMillions, predict.Measured, best.WeightType
	g.Sentence = prose.Say("Largest measured model within %s: %s at %s%s%s.", a.within(), prose.Sized(best.Name, g.SurelyM, goalPath+"surely_millions"), a.takes(*g.MS, g.CI), next, why)
}
