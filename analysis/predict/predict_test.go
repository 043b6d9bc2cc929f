package predict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/law"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/stats"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/runner/record"
)

const ladderRun = "../../results/2026-11-23-ladder-xeon-2-cores"

// shaped is a target by the name of a shape.
func shaped(t *testing.T, source, typ string) *Target {
	t.Helper()
	target, err := Shape(source, typ)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func ask(t *testing.T, set *cells.Set, target *Target, asked Asked) *Answer {
	t.Helper()
	p, err := New(set, intervals.Ask(set), DescribeShape, target, asked)
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.Of(target)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestHeldOut: without its two largest sizes, the committed ladder's intervals hold what
// was measured of them, in both scenarios, of both phases and of the whole answer.
func TestHeldOut(t *testing.T) {
	set := celltest.Load(t, ladderRun)
	for _, name := range []string{"9.9b", "20b"} {
		for _, prompt := range []int{1, 64} {
			a := ask(t, set, shaped(t, "ladder:llama/"+name, "q4_0"), Asked{Prompt: prompt, Gen: 32, Without: []string{"llama-9.9b", "llama-20b"}})
			if len(a.Fitted) != 11 {
				t.Errorf("%d models are fitted", len(a.Fitted))
			}
			for what, f := range map[string]Figure{"time to first token": a.TTFT, "decode": a.Decode, "answer": a.Whole, "prefill": a.PrefillTS, "throughput": a.DecodeTS} {
				if f.Basis != Extrapolated || f.Observed == nil || f.CI == nil || *f.Observed < f.CI.Low || *f.Observed > f.CI.High {
					t.Errorf("%s, prompt %d: %s %s", name, prompt, what, show(f))
				}
				if f.CI != nil && f.CI.High > 3*f.CI.Low {
					t.Errorf("%s, prompt %d: %s tells nothing: %s", name, prompt, what, show(f))
				}
			}
		}
	}
}

// TestEachLeftOut: of the committed ladder's sizes, each left out, the intervals hold 90
// to 100 %.
func TestEachLeftOut(t *testing.T) {
	set := celltest.Load(t, ladderRun)
	held, all := 0, 0
	for _, m := range set.Models {
		for _, prompt := range []int{1, 64} {
			a := ask(t, set, shaped(t, m.Source, m.WeightType), Asked{Prompt: prompt, Gen: 32, Without: []string{m.Name}})
			for _, f := range []Figure{a.TTFT, a.Decode} {
				if f.Observed == nil {
					t.Fatalf("%s, prompt %d: %s", m.Name, prompt, show(f))
				}
				if all++; *f.Observed >= f.CI.Low && *f.Observed <= f.CI.High {
					held++
				} else {
					t.Logf("%s, prompt %d: %s", m.Name, prompt, show(f))
				}
			}
		}
	}
	t.Logf("%d of %d hold", held, all)
	if all != 52 || float64(held) < .9*float64(all) {
		t.Errorf("%d of %d intervals hold", held, all)
	}
}

func show(f Figure) string {
	v := func(p *float64) string {
		if p == nil {
			return "?"
		}
		return fmt.Sprintf("%.4g", *p)
	}
	if f.CI == nil {
		return fmt.Sprintf("%s %s %s", f.Basis, v(f.Value), f.Why)
	}
	return fmt.Sprintf("%s %s (%.4g to %.4g), measured %s", f.Basis, v(f.Value), f.CI.Low, f.CI.High, v(f.Observed))
}

// truths are laws of ms per token over bytes, of simulated ladders.
var truths = []struct {
	name string
	f    func(rng *rand.Rand) func(mb float64) float64
}{
	{"power", func(rng *rand.Rand) func(float64) float64 {
		b := .6 + .5*rng.Float64()
		return func(mb float64) float64 { return math.Pow(mb, b) / 10 }
	}},
	{"overhead and bandwidth", func(rng *rand.Rand) func(float64) float64 {
		fixed := math.Exp(4*rng.Float64() - 2)
		return func(mb float64) float64 { return fixed + mb/12 }
	}},
	{"a cache that ends", func(rng *rand.Rand) func(float64) float64 {
		at := 10 * math.Exp(3*rng.Float64())
		return func(mb float64) float64 { return mb/20 + max(0, mb-at)/15 }
	}},
}

// simulated are the records of a ladder whose models scatter about a law; the facts of
// its models are those of the true ladder.
func simulated(t *testing.T, rng *rand.Rand, f func(float64) float64) *cells.Set {
	t.Helper()
	var descs []ledger.Description
	var ms []float64
	for _, s := range ladderShapes {
		descs = append(descs, s.Desc)
		ms = append(ms, f(float64(s.Desc.BytesReadPerToken)/1e6)*math.Exp(.04*rng.NormFloat64()))
	}
	plan := celltest.Plan{Models: len(descs), Reps: 2, Gen: 4, Backends: []string{"cpu"}, Scenarios: []string{"p9"},
		PerToken: func(m int) float64 { return ms[m] },
		Facts: func(m int, f *record.ModelFacts) {
			d := &descs[m]
			*f = record.ModelFacts{WeightType: d.WeightType, Architecture: d.Architecture, NLayer: int(d.NLayer), NEmbd: int(d.NEmbd), NVocab: int(d.NVocab),
				ParamsTotal: d.ParamsTotal, ParamsNonEmbedding: d.ParamsNonEmbedding, ParamsActive: d.ParamsActive, BytesPerToken: d.BytesReadPerToken}
		}}
	rows := plan.Rows(rng.Uint64())
	return celltest.Set(t, rows)
}

var ladderShapes = func() (out []*Target) {
	rungs, _ := synth.Rungs("llama", 0)
	for _, s := range rungs {
		d, err := synth.Describe(s, synth.Options{Type: "q4_0"})
		if err != nil {
			panic(err)
		}
		out = append(out, &Target{Name: s.Name, Desc: d})
	}
	return out
}()

// TestCoverage: fitted without the two largest sizes, 95 % intervals hold what these
// measured in 90 to 99 %, over 200 simulated ladders of each law.
func TestCoverage(t *testing.T) {
	for _, k := range truths {
		t.Run(k.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			of := celltest.Trials(200)
			held := map[string]int{}
			for range of {
				set := simulated(t, rng, k.f(rng))
				for i, name := range []string{"second largest", "largest"} {
					a := ask(t, set, ladderShapes[len(ladderShapes)-2+i], Asked{Without: []string{"m11", "m12"}})
					for what, f := range map[string]Figure{"first token": a.TTFT, "decode": a.Decode} {
						if f.Observed == nil {
							t.Fatal(show(f))
						}
						if *f.Observed >= f.CI.Low && *f.Observed <= f.CI.High {
							held[name+", "+what]++
						}
					}
				}
			}
			for what, n := range held {
				between(t, what, n, of, .9, .99)
			}
		})
	}
}

// between: a share lies within bounds, as far as so many trials tell.
func between(t *testing.T, what string, n, of int, low, high float64) {
	t.Helper()
	share := float64(n) / float64(of)
	t.Logf("%s: %.1f %% of %d", what, 100*share, of)
	slack := func(p float64) float64 {
		if celltest.AllTrials() {
			return 0
		}
		return 3 * math.Sqrt(p*(1-p)/float64(of))
	}
	if share < low-slack(low) || share > high+slack(high) {
		t.Errorf("%s: %.1f %%, want %.0f to %.0f", what, 100*share, 100*low, 100*high)
	}
}

// TestReach: how often an interval holds so many times beyond the largest of sizes, the
// table of docs/predict.md. Reach is where it still holds.
func TestReach(t *testing.T) {
	for _, times := range []float64{2, Reach, 20, 100} {
		for _, sizes := range []int{7, 13} {
			rng := rand.New(rand.NewPCG(3, 4))
			of := celltest.Trials(300)
			held, all, least := 0, 0, 1.0
			for _, k := range truths {
				mine := 0
				for range of {
					f := k.f(rng)
					var points []law.Point
					for i := range sizes {
						x := 3 * math.Pow(1000, float64(i)/float64(sizes-1))
						points = append(points, law.Point{X: x, T: f(x) * math.Exp(.04*rng.NormFloat64())})
					}
					x := 3000 * times
					v := math.Log(f(x)) + .04*rng.NormFloat64()
					if e, ok := law.Compete(points).Predict(law.Point{X: x}); ok && math.Abs(v-e.Value) <= e.Half(1-stats.Confidence) {
						mine++
					}
				}
				held, all, least = held+mine, all+of, min(least, float64(mine)/float64(of))
			}
			t.Logf("%g times beyond %d sizes: %.1f %% of %d, of one law %.1f %% at least", times, sizes, 100*float64(held)/float64(all), all, 100*least)
			if times <= Reach {
				between(t, fmt.Sprintf("%g times beyond %d sizes", times, sizes), held, all, .9, .99)
			}
			// A law that changes right behind the largest size is in no interval.
			changed := 0
			for range of {
				var points []law.Point
				for i := range sizes {
					x := 3 * math.Pow(1000, float64(i)/float64(sizes-1))
					points = append(points, law.Point{X: x, T: math.Pow(x, .7) * math.Exp(.04*rng.NormFloat64())})
				}
				v := .7*math.Log(3000) + math.Log(times) + .04*rng.NormFloat64()
				if e, ok := law.Compete(points).Predict(law.Point{X: 3000 * times}); ok && math.Abs(v-e.Value) <= e.Half(1-stats.Confidence) {
					changed++
				}
			}
			t.Logf("%g times beyond %d sizes, where the exponent becomes 1 instead of .7 right behind them: %.1f %%", times, sizes, 100*float64(changed)/float64(of))
		}
	}
}

// TestBetweenLengths: prefill of prompts that lie between two measured ones a factor of 4
// apart is by the power law through these two as near as lengthError says.
func TestBetweenLengths(t *testing.T) {
	set := celltest.Load(t, "../../results/2026-11-23-ollama-check-xeon-2-cores")
	var off []float64
	for _, s := range set.Series {
		if !strings.HasPrefix(s.Backend, "native") {
			continue
		}
		for _, m := range set.ModelsOf(s.Backend) {
			at := func(n int) float64 {
				c := set.Cell(s, m.Name, fmt.Sprintf("p%d", n), record.ModePrefill)
				if c == nil {
					t.Fatalf("%s %s: no prompt of %d", s.Backend, m.Name, n)
				}
				return math.Log(c.MedianMS)
			}
			for n := 128; n <= 512; n *= 2 {
				off = append(off, at(n)-(at(n/2)+at(n*2))/2)
			}
		}
	}
	s := 0.0
	for _, v := range off {
		s += v * v
	}
	rms := math.Sqrt(s / float64(len(off)))
	t.Logf("%d prompts: %.1f %% off (root mean square)", len(off), 100*rms)
	if len(off) != 36 || rms > lengthError {
		t.Errorf("%d prompts: %.4f off, want at most %.4f", len(off), rms, lengthError)
	}
}

// TestAnswer: a model of the run is told as it was measured, one between as
// interpolated, and figures follow from each other.
func TestAnswer(t *testing.T) {
	set := celltest.Load(t, ladderRun)
	a := ask(t, set, shaped(t, "ladder:llama/1.2b", "q4_0"), Asked{PricePerHour: 2})
	if a.Prompt != 64 || a.Gen != 32 || a.TTFT.Basis != Measured || a.Decode.Basis != Measured {
		t.Errorf("%+v", a)
	}
	celltest.Near(t, "decode", a.Decode.Value, 1764.9791325/32, 1e-9)
	celltest.Near(t, "throughput", a.DecodeTS.Value, 32e3/1764.9791325, 1e-9)
	celltest.Near(t, "tokens per hour", a.Cost.TokensPerHour.Value, 3600*32e3/1764.9791325, 1e-9)
	celltest.Near(t, "price", a.Cost.PerMillion.Value, 2/(3600*32e3/1764.9791325)*1e6, 1e-9)
	celltest.Near(t, "price of a prompt", a.Cost.PerMillionIn.Value, 2/(3600*64e3/(*a.TTFT.Value))*1e6, 1e-9)
	if !(a.DecodeTS.CI.Low < *a.DecodeTS.Value && *a.DecodeTS.Value < a.DecodeTS.CI.High) {
		t.Errorf("throughput %s", show(a.DecodeTS))
	}
	if a.Memory == nil || a.Memory.Fits == nil || !*a.Memory.Fits || a.Memory.PeakMiB.Observed == nil {
		t.Fatalf("memory %+v", a.Memory)
	}
	if p := a.Memory.PeakMiB; math.Abs(*p.Observed / *p.Value - 1) > .01 {
		t.Errorf("peak %s", show(p))
	}
	if largest := ask(t, set, shaped(t, "ladder:llama/20b", "q4_0"), Asked{}); largest.Memory.PeakMiB.Basis != Refused {
		t.Errorf("peak of a model that fills the memory: %s", show(largest.Memory.PeakMiB))
	}
	other := ask(t, set, shaped(t, "shape:qwen2.5-1.5b", "q4_0"), Asked{})
	if other.Decode.Basis != Extrapolated || other.FittedOf != "llama" {
		t.Errorf("another architecture is %s of %s", other.Decode.Basis, other.FittedOf)
	}
	if batch := ask(t, celltest.Load(t, "../../results/2026-11-30-builds-epyc-2-cores"), shaped(t, "ladder:llama/556m", "q4_0"), Asked{Backend: "b_q4_0_llmscale", Prompt: 16, Gen: 32}); batch.Decode.Basis != Extrapolated || len(batch.Fitted) != 6 {
		t.Errorf("%+v", batch)
	}
}

// TestRefused: what the run does not reach is refused, with what would help.
func TestRefused(t *testing.T) {
	set := celltest.Load(t, ladderRun)
	for _, c := range []struct {
		source, typ string
		asked       Asked
		want        string
	}{
		{"ladder:llama/1.2b", "f16", Asked{}, "measure 5 sizes in f16"},
		{"ladder:llama/1.2b", "q4_0", Asked{Backend: "gpu"}, `no backend "gpu"; it has native_cpu_q4_0`},
		{"ladder:llama/1.2b", "q4_0", Asked{Batch: 8}, "measured were 1"},
		{"ladder:llama/1.2b", "q4_0", Asked{Without: []string{"20b"}}, `no model "20b" to leave out`},
		{"ladder:llama/1.2b", "q4_0", Asked{Without: []string{"llama-5m", "llama-9m", "llama-14m", "llama-32m", "llama-62m", "llama-134m", "llama-296m", "llama-556m", "llama-1.2b"}}, "a law takes 5 sizes"},
		{"shape:gpt-oss-20b", "q4_0", Asked{}, "too few mixtures of experts"},
	} {
		if _, err := New(set, intervals.Ask(set), DescribeShape, shaped(t, c.source, c.typ), c.asked); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c, err, c.want)
		}
	}
	small := []string{"llama-2.3b", "llama-4.7b", "llama-9.9b", "llama-20b"}
	for _, c := range []struct {
		source string
		asked  Asked
		want   string
	}{
		{"ladder:llama/20b", Asked{Without: small}, "measure larger models"},
		{"ladder:llama/1.2b", Asked{Prompt: 512}, "prompt_tokens: 512"},
		{"ladder:llama/1.2b", Asked{Prompt: 32}, "prompt_tokens: 32"},
	} {
		a := ask(t, set, shaped(t, c.source, "q4_0"), c.asked)
		if a.TTFT.Basis != Refused || a.TTFT.Value != nil || a.Whole.Value != nil || a.PrefillTS.Value != nil || !strings.Contains(a.TTFT.Helps, c.want) {
			t.Errorf("%+v: %s; %s", c, show(a.TTFT), a.TTFT.Helps)
		}
		if a.Memory == nil || a.Memory.Total == 0 {
			t.Errorf("%+v: no memory", c)
		}
	}
}

// TestServe: the largest model that keeps an objective is the largest whose interval
// does.
func TestServe(t *testing.T) {
	set := celltest.Load(t, ladderRun)
	sized := func(params int64) (*Target, error) { return Ladder(params, "q4_0") }
	p, err := New(set, intervals.Ask(set), DescribeShape, shaped(t, "ladder:llama/1.2b", "q4_0"), Asked{})
	if err != nil {
		t.Fatal(err)
	}
	serve := func(objective string) *Served {
		o, err := cells.ParseObjective(objective)
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Serve(o, sized)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := serve("50ms/token")
	larger, err := sized(s.Surely.Params * 103 / 100)
	if err != nil {
		t.Fatal(err)
	}
	beyond, err := p.Of(larger)
	if err != nil {
		t.Fatal(err)
	}
	if s.Surely.Decode.CI.High > 50 || beyond.Decode.CI.High < 50 || s.Ends || s.Memory || s.Guessed.Params <= s.Surely.Params || *s.Guessed.Decode.Value > 50 {
		t.Errorf("%d parameters keep it at %s, %d at %s", s.Surely.Params, show(s.Surely.Decode), beyond.Params, show(beyond.Decode))
	}
	if f := serve("1s/first").Surely.TTFT; f.CI.High > 1000 || f.CI.High < 970 {
		t.Errorf("first token %s", show(f))
	}
	if s := serve("1h/token"); !s.Memory || s.Ends || s.Surely == nil {
		t.Errorf("an hour: %+v", s)
	}
	if s := serve("1us/token"); s.Surely != nil || s.Guessed != nil || s.Smallest == nil {
		t.Errorf("a microsecond: %+v", s)
	}
	for _, wrong := range []string{"", "50", "50ms", "50/token", "-1ms/token", "0ms/token", "50ms/tokens"} {
		if o, err := cells.ParseObjective(wrong); err == nil {
			t.Errorf("%q is %v", wrong, o)
		}
	}
}
