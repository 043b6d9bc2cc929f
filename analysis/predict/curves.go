package predict

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/law"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// curve is the law of the models of a kind, at one prompt or depth.
type curve struct {
	at        float64 // tokens of the prompt, or the mean depth of decode
	scenario  string
	gen       int
	low, high float64 // work of the smallest and the largest model
	laws      *law.Tournament
}

// lengthError is how far times between two measured prompts lie from the power law
// through them, beyond what the laws err: a standard deviation of logarithms
// (docs/predict.md).
const lengthError = 0.07

// curves fits the laws of all scenarios.
func (p *Predictor) curves() {
	for _, scenario := range p.set.Scenarios {
		for _, mode := range []string{record.ModePrefill, record.ModeDecode} {
			var points []law.Point
			c := curve{at: -1, scenario: scenario, low: math.Inf(1)}
			for _, m := range p.models {
				cell, t := p.time(m, scenario, mode)
				if t == 0 {
					continue
				}
				f := factsOfModel(m)
				prompt := *cell.PromptEach()
				at, x := prompt, f.prompt(prompt)
				if mode == record.ModeDecode {
					c.gen = int(*cell.AnswerTokens())
					at = float64(cell.Depth) + prompt + *cell.AnswerTokens()/2
					x = f.step(at, p.series.BatchSize)
				}
				if c.at < 0 {
					c.at = at
				}
				if at != c.at || mode == record.ModePrefill && cell.Depth > 0 {
					continue // other work
				}
				c.low, c.high = min(c.low, x), max(c.high, x)
				points = append(points, law.Point{X: x, T: t})
			}
			if stats.Distinct(stats.Map(points, func(p law.Point) float64 { return p.X })) < fewestSizes {
				continue
			}
			c.laws = law.Compete(points)
			list := &p.prefill
			if mode == record.ModeDecode {
				list = &p.decode
			}
			if !slices.ContainsFunc(*list, func(o curve) bool { return o.at == c.at }) {
				*list = append(*list, c)
			}
		}
	}
	for _, list := range [][]curve{p.prefill, p.decode} {
		slices.SortFunc(list, func(a, b curve) int { return cmp.Compare(a.at, b.at) })
	}
}

// time is the cell of a model and its time to the first token, or for each token, in
// ms; 0 where it has none that may be used.
func (p *Predictor) time(m *cells.Model, scenario, mode string) (*cells.Cell, float64) {
	cell := p.set.Cell(p.series, m.Name, scenario, mode)
	j := p.judged.Cell(p.series.Key(m.Name, scenario, mode))
	if cell == nil || j == nil || j.Verdict == record.VerdictInvalid || cell.PromptEach() == nil || cell.AnswerTokens() == nil {
		return nil, 0
	}
	switch {
	case mode == record.ModeDecode && cell.MSPerToken != nil:
		return cell, *cell.MSPerToken
	case mode == record.ModePrefill && cell.TTFTMS != nil:
		return cell, *cell.TTFTMS
	case mode == record.ModePrefill:
		return cell, cell.MedianMS
	}
	return nil, 0
}

// usual are the lengths of the scenario of the longest prompt.
func (p *Predictor) usual() (prompt, gen int) {
	if len(p.prefill) == 0 {
		return 0, 0
	}
	c := p.prefill[len(p.prefill)-1]
	for _, d := range p.decode {
		if d.scenario == c.scenario {
			gen = d.gen
		}
	}
	return int(c.at), gen
}

// ttft is the time to the first token; m is the model itself, if the run has it.
func (p *Predictor) ttft(f facts, m *cells.Model) Figure {
	at := float64(p.asked.Prompt)
	i := slices.IndexFunc(p.prefill, func(c curve) bool { return c.at >= at })
	if i >= 0 && p.prefill[i].at == at {
		return p.look(&p.prefill[i], f, f.prompt(at), m, record.ModePrefill, true)
	}
	if i <= 0 || p.prefill[i].at/p.prefill[i-1].at > lengthStep {
		return Figure{Basis: Refused, Why: fmt.Sprintf("measured were prompts of %s tokens, and %d are not between two of them that lie a factor of %.0f apart at most", ats(p.prefill), p.asked.Prompt, lengthStep),
			Helps: fmt.Sprintf("measure a scenario with prompt_tokens: %d", p.asked.Prompt)}
	}
	below, above := &p.prefill[i-1], &p.prefill[i]
	share := math.Log(at/below.at) / math.Log(above.at/below.at)
	return p.between(f, below, above, share, f.prompt(below.at), f.prompt(above.at), lengthError, func(a, b float64) float64 { return (1-share)*a + share*b })
}

// step is the time for each token of an answer.
func (p *Predictor) step(f facts, m *cells.Model) Figure {
	if len(p.decode) == 0 {
		return Figure{Basis: Refused, Why: "decode was measured of too few sizes", Helps: "measure with gen_tokens above 0"}
	}
	at := float64(p.asked.Prompt) + float64(p.asked.Gen)/2
	x := f.step(at, p.series.BatchSize)
	nearest := &p.decode[0]
	for i := range p.decode {
		if c := &p.decode[i]; math.Abs(c.at-at) < math.Abs(nearest.at-at) {
			nearest = c
		}
	}
	off := math.Abs(f.step(nearest.at, p.series.BatchSize)/x - 1)
	if off <= depthShare {
		return p.look(nearest, f, x, m, record.ModeDecode, off <= same)
	}
	i := slices.IndexFunc(p.decode, func(c curve) bool { return c.at >= at })
	if i <= 0 {
		return Figure{Basis: Refused, Why: fmt.Sprintf("decode was measured behind %s tokens in the KV cache, and behind %.0f this model's cache changes what a step reads by %.0f %%", ats(p.decode), at, 100*off),
			Helps: fmt.Sprintf("measure a scenario with prompt_tokens: %d, or with a depth", p.asked.Prompt)}
	}
	below, above := &p.decode[i-1], &p.decode[i]
	share := (at - below.at) / (above.at - below.at)
	return p.between(f, below, above, share, f.step(below.at, p.series.BatchSize), f.step(above.at, p.series.BatchSize), 0,
		func(a, b float64) float64 { return math.Log((1-share)*math.Exp(a) + share*math.Exp(b)) })
}

// look is a figure of one curve. exactly: the curve's own work, so that a model which
// the run has is told as it was measured.
func (p *Predictor) look(c *curve, f facts, x float64, m *cells.Model, mode string, exactly bool) Figure {
	var observed *float64
	if m != nil && exactly {
		cell, t := p.time(m, c.scenario, mode)
		if t > 0 && !slices.Contains(p.asked.Without, m.Name) {
			j := p.judged.Cell(p.series.Key(m.Name, c.scenario, mode))
			return Figure{Value: &t, CI: stats.Scaled(j.CI, t/cell.MedianMS), Basis: Measured}
		}
		if t > 0 {
			observed = &t
		}
	}
	out, e := p.reach(c, f, x)
	if out.Basis != Refused {
		out.tell(e)
	}
	out.Observed = observed
	return out
}

// between is a figure between two curves. Their errors are taken to go together.
func (p *Predictor) between(f facts, below, above *curve, share, xBelow, xAbove, off float64, join func(a, b float64) float64) Figure {
	a, ea := p.reach(below, f, xBelow)
	b, eb := p.reach(above, f, xAbove)
	if a.Basis == Refused {
		return a
	}
	if b.Basis == Refused {
		return b
	}
	sd := (1-share)*math.Sqrt(ea.Variance) + share*math.Sqrt(eb.Variance)
	out := Figure{Basis: Interpolated, Times: max(a.Times, b.Times)}
	if a.Basis == Extrapolated || b.Basis == Extrapolated {
		out.Basis = Extrapolated
	}
	out.tell(stats.Estimate{Value: join(ea.Value, eb.Value), Variance: sd*sd + off*off, DF: min(ea.DF, eb.DF)})
	return out
}

// reach says where a model lies against those of a curve, and ln of its time there.
func (p *Predictor) reach(c *curve, f facts, x float64) (Figure, stats.Estimate) {
	out := Figure{Basis: Interpolated}
	beyond := max(x/c.high, c.low/x)
	if beyond > 1+1e-9 {
		out.Basis, out.Times = Extrapolated, beyond
	}
	if f.arch != p.models[0].Architecture {
		out.Basis = Extrapolated
	}
	if beyond > Reach {
		side, size := "the largest", "larger"
		if x < c.low {
			side, size, beyond = "the smallest", "smaller", 1/beyond
		}
		return Figure{Basis: Refused, Why: fmt.Sprintf("its work is %.3g times %s measured one's, and beyond %.0f times nothing tells whether the laws go on", beyond, side, Reach),
			Helps: "measure " + size + " models"}, stats.Estimate{}
	}
	e, ok := c.laws.Predict(law.Point{X: x})
	if !ok {
		return Figure{Basis: Refused, Why: "no law of these models has an error", Helps: "measure more sizes"}, e
	}
	return out, e
}

// ats lists where curves are.
func ats(list []curve) string {
	return join(stats.Map(list, func(c curve) string { return fmt.Sprintf("%.0f", c.at) }))
}
