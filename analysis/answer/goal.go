package answer

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/predict"
	"llmscale/analysis/stats"
	"llmscale/gguf/synth"
	"llmscale/runner/record"
)

// objectiveMS is what a reader is asked to wait for each token, at most.
const objectiveMS = 50

// budgets are the times per token that the table beside the laws has, in ms.
var budgets = []float64{10, objectiveMS, 100}

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
	Sentence
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

// goal asks the laws of the series whose largest model decodes fastest, as
// `llmscale predict --slo` does; without laws, the models measured.
func (a *asker) goal() {
	g := &a.out.Goal
	g.ObjectiveMS, g.Basis = objectiveMS, "cannot tell"
	s, ok := a.fastest()
	if !ok {
		g.Sentence = say("Which model keeps 50 ms per token cannot be told: no decode was measured.")
		return
	}
	g.Backend = s.Backend
	if why := a.served(s); why != "" {
		g.Why = why
		a.largestMeasured(s)
	}
}

// fastest is the series of one sequence, or else of fewest, that decodes its largest
// model fastest, of those that measured most models.
func (a *asker) fastest() (best cells.Series, ok bool) {
	var most int
	var least float64
	for _, s := range a.set.Series {
		n, ms := 0, 0.0
		for _, m := range a.set.ModelsOf(s.Backend) {
			if g := a.set.Aggregate(s, m.Name, record.ModeDecode); g != nil && g.MSPerToken != nil {
				n, ms = n+1, *g.MSPerToken
			}
		}
		if n > 0 && (!ok || s.BatchSize < best.BatchSize || s.BatchSize == best.BatchSize && (n > most || n == most && ms < least)) {
			best, most, least, ok = s, n, ms, true
		}
	}
	return best, ok
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
	for _, ms := range budgets {
		within, err := p.Serve(predict.Objective{MS: ms}, shape)
		if err != nil {
			return err.Error()
		}
		all = append(all, Budget{ms, millions(within.Surely), millions(within.Guessed), within.Ends, within.GuessEnds, within.Memory})
		if ms == objectiveMS {
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
	behind := say("")
	if g.Prompt > 0 {
		behind = say(", prompt of %s", counted(float64(g.Prompt), goalPath+"prompt_tokens", "token", "tokens"))
	}
	of := say("in %s%s", name(g.WeightType), behind)
	basis := say("%s", g.Basis)
	if g.Basis == predict.Extrapolated && g.Beyond >= 1.05 {
		basis = say("extrapolated %s times", fixed(g.Beyond, 1, goalPath+"times_beyond"))
	}
	if g.Basis == predict.Extrapolated && found.Smallest.FittedOf != found.Smallest.Architecture {
		basis = say("%s from %s", basis, name(found.Smallest.FittedOf))
	}
	reading := say("")
	if g.CI != nil && g.MS != nil {
		reading = say("%s ms [%s to %s], ", digits(*g.MS, goalPath+"decode_ms_per_token"), digits(g.CI.Low, goalPath+"decode_ms_per_token_ci.low"), digits(g.CI.High, goalPath+"decode_ms_per_token_ci.high"))
	}
	switch {
	case g.GuessedM == nil:
		g.Sentence = say("No model that can be predicted decodes within 50 ms per token (%s).", basis)
	case g.SurelyM == nil:
		g.Sentence = say("Within 50 ms per token: none for sure; by the best guess %s parameters %s (%s).", size(*g.GuessedM, goalPath+"guessed_millions"), of, basis)
	default:
		begins, further := "Largest model within 50 ms per token:", say("")
		switch {
		case found.Memory:
			further = say("; larger ones do not fit into memory")
		case found.Ends:
			begins, further = "Within 50 ms per token: at least", say("; predictions end there")
		case found.GuessEnds:
			further = say("; by the best guess %s parameters or more", size(*g.GuessedM, goalPath+"guessed_millions"))
		case *g.GuessedM > *g.SurelyM:
			further = say("; by the best guess %s parameters", size(*g.GuessedM, goalPath+"guessed_millions"))
		}
		g.Sentence = say("%s %s parameters %s: %s%s%s.", begins, size(*g.SurelyM, goalPath+"surely_millions"), of, reading, basis, further)
	}
}

// largestMeasured is the largest model of the series whose interval keeps the objective.
func (a *asker) largestMeasured(s cells.Series) {
	g := &a.out.Goal
	var best, largest *cells.Model
	for _, m := range a.set.ModelsOf(s.Backend) {
		agg, known := a.set.Aggregate(s, m.Name, record.ModeDecode), a.known.Cell(s.Key(m.Name, cells.AllScenarios, record.ModeDecode))
		if agg == nil || agg.MSPerToken == nil {
			continue
		}
		largest = m
		if known == nil || known.CI == nil || known.MedianMS == nil || known.Verdict == record.VerdictInvalid {
			continue
		}
		// The interval of the answer's time, for a token.
		ci := stats.Scaled(known.CI, *agg.MSPerToken / *known.MedianMS)
		if ci.High <= objectiveMS {
			best, g.MS, g.CI = m, agg.MSPerToken, ci
		}
	}
	switch {
	case best == nil:
		g.Sentence = say("No model measured decodes surely within 50 ms per token.")
		return
	case best.ParamsMillions != nil:
		g.SurelyM = best.ParamsMillions
	}
	g.Basis, g.WeightType = predict.Measured, best.WeightType
	further := "; of larger ones these models cannot tell"
	if best != largest {
		further = "; larger ones take longer"
	}
	g.Sentence = say("Largest measured model within 50 ms per token: %s%s at %s ms [%s to %s]%s.", name(best.Name), atSize(g.SurelyM, goalPath+"surely_millions"),
		digits(*g.MS, goalPath+"decode_ms_per_token"), digits(g.CI.Low, goalPath+"decode_ms_per_token_ci.low"), digits(g.CI.High, goalPath+"decode_ms_per_token_ci.high"), further)
}
