// Package predict says what a model that was not measured would take on the machine of
// a run, from the laws of the models that were: times with 95 % prediction intervals,
// each told to be measured, interpolated or extrapolated, and memory by the ledger. What
// the run does not reach it refuses, with what would help.
package predict

import (
	"fmt"
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/gguf/ledger"
)

// Where a figure comes from.
const (
	Measured     = "measured"     // the run has this model at this work
	Interpolated = "interpolated" // by a law, between the smallest and the largest model
	Extrapolated = "extrapolated" // by a law, beyond them, or of another architecture
	Refused      = "refused"
)

// How far predictions go. docs/predict.md has the simulations.
const (
	Reach       = 5.0  // times the work of the largest model, or that of the smallest over it
	fewestSizes = 5    // of a law
	lengthStep  = 4.0  // between two measured prompts that one between them is told from
	depthShare  = 0.05 // of the bytes of a step: by so much the KV cache may differ from what was measured
	same        = 0.01 // a step whose bytes differ by less is the one that was measured
)

// Target is a model.
type Target struct {
	Name string
	Desc ledger.Description
}

// Asked is what is to be predicted.
type Asked struct {
	Prompt, Gen  int      // tokens; 0: those of the run's scenario of the longest prompt
	Batch        int      // sequences decoded together; 0: 1
	Backend      string   // "": the only one that measured the weight type
	Without      []string // models of the run that are left out of all laws
	PricePerHour float64  // of the machine; 0: no costs
}

// Describe is the header of a model of the run, by its source; ok is false where it
// cannot be had.
type Describe func(source, weightType string) (d ledger.Description, ok bool)

// Figure is a prediction, in the unit of its field's name.
type Figure struct {
	Value    *float64        `json:"value"`                  // null where refused
	CI       *stats.Interval `json:"ci"`                     // 95 %: of one more model; of a measured one that of the run
	Basis    string          `json:"basis"`                  // measured, interpolated, extrapolated or refused
	Times    float64         `json:"times_beyond,omitempty"` // of extrapolated: work over that of the largest model, or of the smallest over it
	Why      string          `json:"why,omitempty"`          // it is refused
	Helps    string          `json:"helps,omitempty"`        // against that
	Observed *float64        `json:"observed,omitempty"`     // what the run measured of a model that was left out
}

// Answer is what is predicted of a model.
type Answer struct {
	Model        string   `json:"model"`
	Architecture string   `json:"architecture"`
	WeightType   string   `json:"weight_type"`
	Params       int64    `json:"params_total"`
	Backend      string   `json:"backend"`
	Batch        int      `json:"batch_size"`
	Prompt       int      `json:"prompt_tokens"`
	Gen          int      `json:"gen_tokens"`
	Fitted       []string `json:"fitted_models"` // whose laws these are
	FittedOf     string   `json:"fitted_architecture"`
	SmallestM    float64  `json:"smallest_params_millions"` // of them
	LargestM     float64  `json:"largest_params_millions"`

	TTFT      Figure  `json:"ttft_ms"`
	Decode    Figure  `json:"decode_ms_per_token"`
	Whole     Figure  `json:"answer_ms"`            // time to the first token and gen_tokens steps
	PrefillTS Figure  `json:"prefill_tokens_per_s"` // over the batch, by the time to the first token
	DecodeTS  Figure  `json:"decode_tokens_per_s"`  // over the batch
	Memory    *Memory `json:"memory"`               // null where the run does not tell how models are loaded
	Cost      *Cost   `json:"cost,omitempty"`
}

// Cost is what tokens cost at a price of the machine, in the price's currency.
type Cost struct {
	PerHour       float64 `json:"price_per_hour"`
	TokensPerHour Figure  `json:"decode_tokens_per_hour"`
	PerMillion    Figure  `json:"price_per_million_tokens"`        // decoded
	PerMillionIn  Figure  `json:"price_per_million_prompt_tokens"` // prefilled
}

// Predictor has the laws of the models of one kind, in one series of a run.
type Predictor struct {
	set      *cells.Set
	judged   *intervals.Answer
	describe Describe
	asked    Asked
	series   cells.Series
	models   []*cells.Model // of the laws
	all      []*cells.Model // of the series
	prefill  []curve        // by prompt
	decode   []curve        // by depth
	memory   *memoryLaw
}

// New finds the models of the run that tell of a target, and their laws. judged says
// which cells may be used.
func New(set *cells.Set, judged *intervals.Answer, describe Describe, target *Target, asked Asked) (*Predictor, error) {
	p := &Predictor{set: set, judged: judged, describe: describe, asked: asked}
	p.asked.Batch = max(1, asked.Batch)
	for _, name := range asked.Without {
		if !slices.ContainsFunc(set.Models, func(m cells.Model) bool { return m.Name == name }) {
			return nil, fmt.Errorf("the run has no model %q to leave out; it has %s", name, modelNames(set))
		}
	}
	if err := p.choose(factsOf(&target.Desc)); err != nil {
		return nil, err
	}
	p.curves()
	if len(p.prefill) == 0 && len(p.decode) == 0 {
		return nil, fmt.Errorf("no scenario of %s has %d models of different sizes: a law takes as many", p.series.Backend, fewestSizes)
	}
	if p.asked.Prompt == 0 || p.asked.Gen == 0 {
		prompt, gen := p.usual()
		if p.asked.Prompt == 0 {
			p.asked.Prompt = prompt
		}
		if p.asked.Gen == 0 {
			p.asked.Gen = gen
		}
	}
	if p.asked.Prompt <= 0 || p.asked.Gen <= 0 {
		return nil, fmt.Errorf("the records do not tell the lengths of prompts and answers: say which are meant, --prompt 512 --gen 128")
	}
	p.memory = p.learnMemory()
	return p, nil
}

// Of predicts for a target of the predictor's kind.
func (p *Predictor) Of(target *Target) (*Answer, error) {
	f := factsOf(&target.Desc)
	f.kv = p.kv(&target.Desc)
	batch := float64(p.asked.Batch)
	a := &Answer{Model: target.Name, Architecture: f.arch, WeightType: f.typ, Params: target.Desc.ParamsTotal, Backend: p.series.Backend,
		Batch: p.asked.Batch, Prompt: p.asked.Prompt, Gen: p.asked.Gen, FittedOf: p.models[0].Architecture}
	a.Fitted = stats.Map(p.models, func(m *cells.Model) string { return m.Name })
	a.SmallestM, a.LargestM = float64(p.models[0].ParamsTotal)/1e6, float64(p.models[len(p.models)-1].ParamsTotal)/1e6
	m := p.twin(f)
	a.TTFT = p.ttft(f, m)
	a.Decode = p.step(f, m)
	a.Whole = sum(a.TTFT, a.Decode, float64(p.asked.Gen))
	a.PrefillTS = a.TTFT.over(1e3 * batch * float64(p.asked.Prompt))
	a.DecodeTS = a.Decode.over(1e3 * batch)
	var err error
	if a.Memory, err = p.memoryOf(target); err != nil {
		return nil, err
	}
	if price := p.asked.PricePerHour; price > 0 {
		a.Cost = &Cost{PerHour: price, TokensPerHour: a.DecodeTS.times(3600),
			PerMillion: a.Decode.times(price / 3600 / 1e3 / batch * 1e6), PerMillionIn: a.TTFT.times(price / 3600 / 1e3 / batch / float64(p.asked.Prompt) * 1e6)}
	}
	return a, nil
}

// of is the figure of what rises, or falls, with it.
func (f Figure) of(g func(float64) float64) Figure {
	value := func(v *float64) *float64 {
		if v == nil {
			return nil
		}
		return stats.Finite(g(*v))
	}
	f.Value, f.Observed = value(f.Value), value(f.Observed)
	if ci := f.CI; ci != nil {
		f.CI = stats.NewInterval(min(g(ci.Low), g(ci.High)), max(g(ci.Low), g(ci.High)))
	}
	return f
}

// times is the figure in another unit.
func (f Figure) times(by float64) Figure {
	return f.of(func(v float64) float64 { return v * by })
}

// over is so much in the figure's time.
func (f Figure) over(what float64) Figure {
	return f.of(func(v float64) float64 { return what / v })
}

// sum is a time and so many of another. Both ends add up, as if both figures erred
// together: how far they do is not known.
func sum(a, b Figure, n float64) Figure {
	if a.Value == nil {
		return a
	}
	if b.Value == nil {
		return b
	}
	out := Figure{Value: stats.Finite(*a.Value + n**b.Value), Basis: a.Basis, Times: max(a.Times, b.Times)}
	if a.CI != nil && b.CI != nil {
		out.CI = stats.NewInterval(a.CI.Low+n*b.CI.Low, a.CI.High+n*b.CI.High)
	}
	if rank := []string{Measured, Interpolated, Extrapolated}; slices.Index(rank, b.Basis) > slices.Index(rank, a.Basis) {
		out.Basis = b.Basis
	}
	if a.Observed != nil && b.Observed != nil {
		out.Observed = stats.Finite(*a.Observed + n**b.Observed)
	}
	return out
}

// tell takes the value that a law has for one more model, a logarithm.
func (f *Figure) tell(e stats.Estimate) {
	f.Value, f.CI = stats.Finite(math.Exp(e.Value)), e.ExpInterval()
}
