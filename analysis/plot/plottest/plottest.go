// Package plottest makes up a run's analysis for the tests of the packages that
// draw and write it. Nothing in it was measured.
package plottest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/speedups"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Shape of a made-up run. The zero value has no models.
type Shape struct {
	Models    []Model
	Backends  []Backend
	Scenarios []Scenario
	Reps      int
	GenTokens int
	Seed      uint64
}

// Model is a size of the made-up ladder.
type Model struct {
	Name       string
	ParamsM    float64
	TokenMS    float64 // decode time per token at speed 1
	MBPerToken float64 // at 4 bytes per weight
	Fails      string  // status of all its calls, "" for ok
}

// Backend is a runtime of the made-up run.
type Backend struct {
	Name, Kind  string
	Speed       float64 // decode time is divided by it
	BytesFactor float64 // of MBPerToken
	NoTokens    bool    // gives no times of single tokens
}

// Scenario is a prompt of the made-up run.
type Scenario struct {
	Name   string
	Prompt int // tokens
}

// GPT2 is a run of the GPT-2 ladder, as the default config plans it.
func GPT2() Shape {
	return Shape{
		Models: []Model{
			{"tiny-gpt2", 0.103, 0.09, 0.41, ""}, {"gpt2-5m", 5.037, 1.05, 20.0, ""}, {"gpt2-1m", 11.18, 1.3, 44, ""},
			{"gpt2-25m", 25.016, 2.33, 98.6, ""}, {"gpt2-45m", 45.171, 6.45, 178.6, ""}, {"gpt2-50m", 51.476, 7.99, 203.8, ""},
			{"gpt2-75m", 74.825, 11.5, 296.2, ""}, {"gpt2-100m", 96.088, 16.5, 381.2, ""}, {"gpt2", 124.44, 22.0, 494.6, ""},
		},
		Backends:  []Backend{{"native_cpu_f32", "native", 1, 1, false}, {"native_cpu_f16", "native", 1.7, 0.5, false}},
		Scenarios: []Scenario{{"micro", 1}, {"short", 9}, {"medium", 17}},
		Reps:      7, GenTokens: 64, Seed: 42,
	}
}

// Result makes up the analysis of such a run, the same for the same shape.
func (s Shape) Result() *analysis.Result {
	rng := rand.New(rand.NewPCG(s.Seed, 121))
	r := &analysis.Result{
		SchemaVersion: 1, RunID: "20260101_120000", RunName: "made-up", Harness: runs.HarnessLLMScale,
		Options: cells.Options{Bootstrap: 1000, Seed: 42, XAxis: "params_total"},
		Axis:    cells.Axis{Name: "params_total", Unit: "million parameters", Label: "total parameters (millions)"},
	}
	r.Manifest = manifest(s)
	r.Asked = append(r.Asked, &calls.Answer{}, &summary.Answer{}, &tails.Answer{}, &failures.Answer{}, &firstchange.Answer{})
	for _, b := range s.Backends {
		for _, m := range s.Models {
			s.model(r, b, m, rng)
		}
	}
	s.join(r)
	r.Asked = append(r.Asked, s.speedups(r))
	fits := &scaling.Answer{}
	r.Asked = append(r.Asked, fits)
	for _, b := range s.Backends {
		for _, mode := range record.Modes {
			for _, sc := range append(slices.Clone(s.Scenarios), Scenario{Name: cells.AllScenarios}) {
				fits.Fits = append(fits.Fits, fit(r, b, mode, sc.Name))
			}
			fits.OffsetFits = append(fits.OffsetFits, offset(r, b, mode))
		}
		s.answers(r, fits, b)
	}
	sum := analysis.Get[summary.Answer](r)
	for _, mode := range record.Modes {
		for _, b := range s.Backends {
			var all []summary.Warmup
			for _, u := range sum.Warmups {
				if u.Backend == b.Name && u.Mode == mode {
					all = append(all, u)
				}
			}
			if len(all) > 0 {
				sum.WarmupRatios = append(sum.WarmupRatios, summary.WarmupRatio{Series: cells.Series{Backend: b.Name, BatchSize: 1}, Mode: mode, N: len(all), Median: *all[0].Ratio, Largest: all[0]})
			}
		}
	}
	n := len(r.Cells) * s.Reps
	r.Counts = runs.Counts{Lines: n, Records: n, Used: n, ByStatus: map[string]int{"ok": n}, Expected: &n}
	measured := len(r.Cells) / len(record.Modes) * s.Reps
	r.Counts.Repetitions = &runs.Repetitions{Planned: len(s.Models) * len(s.Backends) * len(s.Scenarios) * s.Reps, Measured: measured}
	if measured > 0 {
		analysis.Get[summary.Answer](r).Phases = &summary.PhaseSum{N: measured, MedianPercent: 0.02, LargestPercent: 0.31, Where: s.Backends[0].Name + " " + s.Models[0].Name + " " + s.Scenarios[0].Name}
	}
	for _, f := range analysis.Get[failures.Answer](r).Failed {
		r.Counts.Repetitions.Final += s.Reps
		r.Counts.ByStatus[f.Status] += 3 * f.Calls
	}
	return r
}

func (s Shape) model(r *analysis.Result, b Backend, m Model, rng *rand.Rand) {
	r.Models = append(r.Models, cells.Model{
		Backend: b.Name, BackendKind: b.Kind, Name: m.Name, Kind: "synth", Source: "synth:" + m.Name, File: m.Name + ".gguf", Device: "cpu",
		ParamsMillions: &m.ParamsM, ParamsMillionsMeasured: &m.ParamsM, ParamsTotal: int64(m.ParamsM * 1e6), ParamsActive: int64(m.ParamsM * 1e6),
		WeightBytes: int64(m.MBPerToken * b.BytesFactor * 1.1e6), BytesPerToken: int64(m.MBPerToken * b.BytesFactor * 1e6), KVBytesPerToken: 36864,
		WeightType: "f32", Architecture: "gpt2", NLayer: 12, NEmbd: 768, NHead: 12, Threads: 2, LlamaCommit: "ec98e2002",
	})
	for _, sc := range s.Scenarios {
		if m.Fails != "" {
			analysis.Get[failures.Answer](r).Failed = append(analysis.Get[failures.Answer](r).Failed, failures.Cell{Subject: cells.Subject{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ParamsM: &m.ParamsM}, Scenario: sc.Name,
				Status: m.Fails, Reason: "needs 9.3 GiB, 7.1 GiB are free", Signal: "killed", Stderr: []string{"ggml_aligned_malloc: insufficient memory"}, Calls: s.Reps + 1})
			continue
		}
		step := m.TokenMS / b.Speed
		latency := map[string][]float64{}
		tok := tails.TokenSeries{Subject: cells.Subject{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ParamsM: &m.ParamsM}, Scenario: sc.Name, Reps: s.Reps,
			MedianMS: make([]float64, s.GenTokens), MinMS: make([]float64, s.GenTokens), MaxMS: make([]float64, s.GenTokens), CountAt: make([]int, s.GenTokens)}
		at := make([][]float64, s.GenTokens)
		for range s.Reps {
			prefill := step * (0.6 + 0.35*float64(sc.Prompt)) * math.Exp(rng.NormFloat64()*0.03)
			decode := 0.0
			for i := range at {
				t := step * (1 + 0.0008*float64(i)) * math.Exp(rng.NormFloat64()*0.02)
				if rng.Float64() < 0.03 {
					t *= 1 + rng.ExpFloat64()*0.4
				}
				at[i] = append(at[i], t)
				decode += t
			}
			for mode, v := range map[string]float64{record.ModePrefill: prefill, record.ModeDecode: decode, record.ModeE2E: prefill + decode} {
				latency[mode] = append(latency[mode], v)
			}
		}
		for i, v := range at {
			tok.MedianMS[i], tok.MinMS[i], tok.MaxMS[i], tok.CountAt[i] = median(v), slices.Min(v), slices.Max(v), len(v)
			tok.PooledMS = append(tok.PooledMS, v...)
		}
		if !b.NoTokens {
			analysis.Get[tails.Answer](r).Tokens = append(analysis.Get[tails.Answer](r).Tokens, tok)
			analysis.Get[tails.Answer](r).Tails = append(analysis.Get[tails.Answer](r).Tails, tail(tok))
		}
		for _, mode := range record.Modes {
			v := latency[mode]
			mean, sd := stat.MeanStdDev(v, nil)
			tokens := map[string]float64{record.ModePrefill: float64(sc.Prompt), record.ModeDecode: float64(s.GenTokens), record.ModeE2E: float64(sc.Prompt + s.GenTokens)}[mode]
			c := cells.Cell{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ModelKind: "synth", ParamsM: &m.ParamsM, Scenario: sc.Name, Mode: mode,
				N: s.Reps, LatenciesMS: v, MeanMS: mean, MedianMS: median(v), MinMS: slices.Min(v), MaxMS: slices.Max(v), StdDevMS: &sd,
				P95MS: stats.Percentile{N: s.Reps, Need: 130}, P99MS: stats.Percentile{N: s.Reps, Need: 662},
				TokensPerS: new(tokens / median(v) * 1000), PromptTokens: new(float64(sc.Prompt)), GenTokensTarget: new(float64(s.GenTokens)), RSSPeakMiB: new(60 + m.ParamsM*4)}
			if mode == record.ModeDecode {
				c.MSPerToken = new(c.MedianMS / float64(s.GenTokens))
			}
			if mode == record.ModePrefill {
				c.TTFTMS = new(c.MedianMS * 1.01)
			}
			if mode == record.ModeE2E {
				c.E2EGapPercent = new(0.02)
			}
			r.Cells = append(r.Cells, c)
			analysis.Get[summary.Answer](r).Warmups = append(analysis.Get[summary.Answer](r).Warmups, summary.Warmup{Backend: b.Name, BatchSize: 1, Model: m.Name, Scenario: sc.Name, Mode: mode, WarmupN: 1,
				WarmupMS: new(c.MedianMS * 1.3), MeasuredN: s.Reps, MeasuredMS: &c.MedianMS, Ratio: new(1.3), MinusMS: new(c.MedianMS * 0.3)})
		}
		p, d, e := median(latency[record.ModePrefill]), median(latency[record.ModeDecode]), median(latency[record.ModeE2E])
		analysis.Get[summary.Answer](r).DecodeFractions = append(analysis.Get[summary.Answer](r).DecodeFractions, summary.DecodeFraction{Subject: cells.Subject{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ParamsM: &m.ParamsM},
			Scenario: sc.Name, GenTokens: new(float64(s.GenTokens)), PrefillMS: &p, DecodeMS: d, E2EMS: e, Fraction: d / e})
	}
}

// join makes the aggregates over scenarios.
func (s Shape) join(r *analysis.Result) {
	for _, b := range s.Backends {
		for _, m := range s.Models {
			geo := map[string]float64{}
			for _, mode := range record.Modes {
				var logs, rates, steps []float64
				var names []string
				for _, c := range r.Cells {
					if c.Backend == b.Name && c.Model == m.Name && c.Mode == mode {
						if c.MSPerToken != nil {
							steps = append(steps, *c.MSPerToken)
						}
						logs, rates, names = append(logs, math.Log(c.MedianMS)), append(rates, *c.TokensPerS), append(names, c.Scenario)
					}
				}
				if len(logs) == 0 {
					continue
				}
				geo[mode] = math.Exp(stat.Mean(logs, nil))
				a := cells.Aggregate{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ModelKind: "synth", ParamsM: &m.ParamsM,
					Mode: mode, NScenarios: len(logs), Scenarios: names, GeomeanMS: geo[mode], MedianOfMediansMS: geo[mode], TokensPerS: new(stat.GeometricMean(rates, nil))}
				if len(steps) > 0 {
					a.MSPerToken = new(stat.GeometricMean(steps, nil))
				}
				if mode == record.ModePrefill {
					a.TTFTMS = new(a.GeomeanMS * 1.01)
				}
				r.Aggregates = append(r.Aggregates, a)
			}
			if geo[record.ModeE2E] == 0 {
				continue
			}
			p := geo[record.ModePrefill]
			analysis.Get[summary.Answer](r).DecodeFractions = append(analysis.Get[summary.Answer](r).DecodeFractions, summary.DecodeFraction{Subject: cells.Subject{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ParamsM: &m.ParamsM},
				Scenario: cells.AllScenarios, GenTokens: new(float64(s.GenTokens)), PrefillMS: &p, DecodeMS: geo[record.ModeDecode], E2EMS: geo[record.ModeE2E],
				Fraction: geo[record.ModeDecode] / geo[record.ModeE2E]})
			all := tails.TokenSeries{Subject: cells.Subject{Backend: b.Name, BackendKind: b.Kind, BatchSize: 1, Model: m.Name, ParamsM: &m.ParamsM}, Scenario: cells.AllScenarios}
			for _, t := range analysis.Get[tails.Answer](r).Tokens {
				if t.Backend == b.Name && t.Model == m.Name {
					mid := median(t.PooledMS)
					for _, v := range t.PooledMS {
						all.PooledMS = append(all.PooledMS, v/mid)
					}
				}
			}
			if len(all.PooledMS) > 0 {
				t := tail(all)
				t.P50MS, t.MaxMS = nil, nil
				t.P90MS, t.P95MS, t.P99MS = stats.Percentile{}, stats.Percentile{}, stats.Percentile{}
				analysis.Get[tails.Answer](r).Tails = append(analysis.Get[tails.Answer](r).Tails, t)
			}
		}
	}
}

func tail(t tails.TokenSeries) tails.Tail {
	sorted := slices.Sorted(slices.Values(t.PooledMS))
	mid := stat.Quantile(0.5, stat.LinInterp, sorted, nil)
	at := func(p float64, need int, unit float64) stats.Percentile {
		out := stats.Percentile{N: len(sorted), Need: need}
		if len(sorted) >= need {
			out.Value = new(stat.Quantile(p, stat.LinInterp, sorted, nil) / unit)
		}
		return out
	}
	return tails.Tail{Subject: t.Subject, Scenario: t.Scenario, N: len(sorted), P50MS: &mid,
		P90MS: at(.9, 64, 1), P95MS: at(.95, 130, 1), P99MS: at(.99, 662, 1), MaxMS: new(sorted[len(sorted)-1]),
		P90Ratio: at(.9, 64, mid), P95Ratio: at(.95, 130, mid), P99Ratio: at(.99, 662, mid)}
}

// speedups sets decode of each backend beside the first's.
func (s Shape) speedups(r *analysis.Result) *speedups.Answer {
	out := &speedups.Answer{}
	decode := func(b Backend) (all []*cells.Aggregate) {
		for i := range r.Aggregates {
			if g := &r.Aggregates[i]; g.Backend == b.Name && g.Mode == record.ModeDecode {
				all = append(all, g)
			}
		}
		return all
	}
	for _, b := range s.Backends[1:] {
		if x := speedups.Between(decode(s.Backends[0]), decode(b)); x.NModels > 0 {
			out.Speedups = append(out.Speedups, x)
		}
	}
	return out
}

func fit(r *analysis.Result, b Backend, mode, scenario string) scaling.Fit {
	f := scaling.Fit{Subject: scaling.Subject{Series: cells.Series{Backend: b.Name, BatchSize: 1}, BackendKind: b.Kind, Mode: mode, Scenario: scenario}, Aggregation: scaling.AggScenario, Axis: "params_total"}
	if scenario == cells.AllScenarios {
		f.Aggregation = scaling.AggGeomean
		for _, a := range r.Aggregates {
			if a.Backend == b.Name && a.Mode == mode {
				f.Points = append(f.Points, scaling.Point{Model: a.Model, X: *a.ParamsM, Y: a.GeomeanMS})
			}
		}
	} else {
		for _, c := range r.Cells {
			if c.Backend == b.Name && c.Mode == mode && c.Scenario == scenario {
				f.Points = append(f.Points, scaling.Point{Model: c.Model, X: *c.ParamsM, Y: c.MedianMS})
			}
		}
	}
	f.NModels = len(f.Points)
	if f.NModels < 2 {
		f.Reason = fmt.Sprintf("%d models of known size, 2 are needed", f.NModels)
		f.Warnings = []finding.Warning{{Code: "too_few_models", Where: b.Name + " " + mode, Text: f.Reason, Advice: "measure more sizes"}}
		return f
	}
	f.OK = true
	line(&f)
	if f.NModels > 3 {
		far := 0.0
		for i := range f.Points {
			g := scaling.Fit{Points: slices.Delete(slices.Clone(f.Points), i, i+1)}
			line(&g)
			change := *g.Slope - *f.Slope
			f.LeaveOneOut = append(f.LeaveOneOut, scaling.LeaveOneOut{Dropped: f.Points[i].Model, N: len(g.Points), Slope: g.Slope, Log10Intercept: g.Log10Intercept, R2: g.R2, SlopeChange: &change})
			if math.Abs(change) > far {
				far, f.MostInfluential = math.Abs(change), f.Points[i].Model
			}
		}
	}
	f.BootRequested, f.BootUsed, f.Law = 1000, 1000, scaling.LawPower
	f.SlopeBoot = f.SlopeT
	f.TheilSenSlope, f.TheilSen = f.Slope, f.SlopeT
	f.SpearmanRho, f.SpearmanP = new(0.98), new(0.0001)
	return f
}

func line(f *scaling.Fit) {
	var x, y []float64
	for _, p := range f.Points {
		x, y = append(x, math.Log10(p.X)), append(y, math.Log10(p.Y))
	}
	a, b := stat.LinearRegression(x, y, nil, false)
	f.Log10Intercept, f.Slope, f.R2 = &a, &b, new(stat.RSquared(x, y, nil, a, b))
	n := float64(len(x))
	if n < 3 {
		return
	}
	sse := 0.0
	for i := range x {
		sse += math.Pow(y[i]-a-b*x[i], 2)
	}
	sxx := stat.Variance(x, nil) * (n - 1)
	f.ResidualSD = new(math.Sqrt(sse / (n - 2)))
	f.SlopeSE, f.InterceptSE = new(*f.ResidualSD/math.Sqrt(sxx)), new(*f.ResidualSD/math.Sqrt(n))
	t := distuv.StudentsT{Sigma: 1, Nu: n - 2}.Quantile(0.975)
	f.SlopeT = &stats.Interval{Low: b - t**f.SlopeSE, High: b + t**f.SlopeSE}
}

func offset(r *analysis.Result, b Backend, mode string) scaling.OffsetFit {
	o := scaling.OffsetFit{Subject: scaling.Subject{Series: cells.Series{Backend: b.Name, BatchSize: 1}, BackendKind: b.Kind, Mode: mode, Scenario: cells.AllScenarios}, Aggregation: scaling.AggGeomean, Form: scaling.FormLinear, Axis: "params_total"}
	var x, y []float64
	for _, a := range r.Aggregates {
		if a.Backend == b.Name && a.Mode == mode {
			x, y = append(x, *a.ParamsM), append(y, a.GeomeanMS)
		}
	}
	o.Verdict = scaling.OffsetUnknown
	if o.NModels = len(x); o.NModels < 3 {
		o.Reason = "fewer than 3 models"
		return o
	}
	a, slope := stat.LinearRegression(x, y, nil, false)
	o.OK, o.A, o.B, o.R2 = true, &a, &slope, new(stat.RSquared(x, y, nil, a, slope))
	o.Verdict, o.Reason = scaling.OffsetNoLine, "the times lie up to 40 % off a straight line"
	return o
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
