package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// ratioOf is the ratio of the times of one process each.
func ratioOf(x, y [][]float64) (float64, *stats.Interval) {
	times := func(xs [][]float64) []cells.Times {
		return stats.Map(xs, func(x []float64) cells.Times { return cells.Times{All: x} })
	}
	ratio, ci, _ := cells.Ratio(times(x), times(y))
	return ratio, ci
}

// TestRatioOfMedians: figures computed apart from this code, with Python's
// statistics.NormalDist and math.comb from Bonett and Price's formulas.
func TestRatioOfMedians(t *testing.T) {
	x := [][]float64{{10, 11, 12, 13, 14, 15, 30}, {1.0, 1.1, .9, 1.05, 1.2, 1.15, .95, 1.3, 1.01, .99}}
	y := [][]float64{{20, 23, 25, 21, 24}, {3.1, 3.3, 2.9, 3.0, 3.2, 3.05, 2.8, 3.15}}
	ratio, ci := ratioOf(x, y)
	celltest.Near(t, "ratio", &ratio, 2.2982442888111403, 1e-12)
	celltest.Near(t, "low", &ci.Low, 1.8131205386484812, 1e-12)
	celltest.Near(t, "high", &ci.High, 2.9131691459356737, 1e-12)
	if x[0][6] != 30 || y[0][0] != 20 {
		t.Error("a sample was sorted in place")
	}
	if r, ci := ratioOf([][]float64{{2, 2, 2}}, [][]float64{{3, 3, 3, 3}}); math.Abs(r-1.5) > 1e-12 || ci == nil || ci.Low > r || ci.High < r || ci.High-ci.Low > 1e-12 {
		t.Errorf("of equal times: %v %v", r, ci)
	}
	if r, ci := ratioOf([][]float64{{2}}, [][]float64{{5, 5}}); r != 2.5 || ci != nil {
		t.Errorf("of one call: %v %v", r, ci)
	}
	rng := rand.New(rand.NewPCG(2, 1))
	for range 20000 { // an interval holds its own estimate, whatever the sample
		var x, y [][]float64
		for range 1 + rng.IntN(3) {
			draw := func() (s []float64) {
				for range 3 + rng.IntN(6) {
					s = append(s, []float64{math.Exp(3 * rng.NormFloat64()), float64(1 + rng.IntN(3)), 1e-9, 1e9}[rng.IntN(4)])
				}
				return s
			}
			x, y = append(x, draw()), append(y, draw())
		}
		if r, ci := ratioOf(x, y); ci == nil || !(ci.Low <= r && r <= ci.High) {
			t.Fatalf("%v over %v: %v not in %+v", y, x, r, ci)
		}
	}
}

// TestRobustLog: figures from Python, as above.
func TestRobustLog(t *testing.T) {
	e := stats.RobustLog([]float64{10, 11, 12, 13, 14, 15, 30})
	celltest.Near(t, "log of the median", &e.Value, 2.5649493574615367, 1e-12)
	celltest.Near(t, "its variance", &e.Variance, 0.013126991959192938, 1e-5) // 1.4826 there to the last digit
	celltest.Near(t, "degrees of freedom", &e.DF, 2.22, 1e-12)
	slow := stats.RobustLog([]float64{10, 11, 12, 13, 14, 15, 3000})
	if slow != e {
		t.Errorf("a slower call makes it %+v", slow)
	}
	if e := stats.RobustLog([]float64{7, 7, 7, 7, 900}); e.Variance != 0 || e.Value != math.Log(7) {
		t.Errorf("where more than half are equal: %+v", e)
	}
}

// TestPooledTail against the quantiles and the jackknife written out.
func TestPooledTail(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	var groups [][]float64
	for _, n := range []int{40, 64, 3, 90} {
		g := make([]float64, n)
		for i := range g {
			g[i] = 1 + rng.Float64()
		}
		groups = append(groups, g)
	}
	of := func(skip int) float64 {
		var all []float64
		for i, g := range groups {
			if i != skip {
				all = append(all, g...)
			}
		}
		return math.Log(stats.Quantile(all, .95)) - math.Log(stats.Quantile(all, .5))
	}
	left := []float64{of(0), of(1), of(2), of(3)}
	mean, v := (left[0]+left[1]+left[2]+left[3])/4, 0.0
	for _, l := range left {
		v += .75 * (l - mean) * (l - mean)
	}
	e, ok := stats.PooledTail(groups, 0.95, 107) // 197 values, 90 in the longest group
	if !ok || math.Abs(e.Value-of(-1)) > 1e-12 || math.Abs(e.Variance-v) > 1e-12 || e.DF != 3 {
		t.Errorf("%+v %v, want %v, variance %v", e, ok, of(-1), v)
	}
	if _, ok := stats.PooledTail(groups, 0.95, 108); ok {
		t.Error("too few values would remain")
	}
	if _, ok := stats.PooledTail(groups[:1], 0.95, 1); ok {
		t.Error("one group has no jackknife")
	}
}

// TestIntervalCoverage: of few calls whose logarithms are normal the interval of a
// ratio holds the truth about as often as docs/statistics.md says, and a lower bound
// by the median absolute deviation errs no more often than it may.
func TestIntervalCoverage(t *testing.T) {
	draws := 4000
	if testing.Short() {
		draws = 1000
	}
	rng := rand.New(rand.NewPCG(7, 1))
	for _, c := range []struct {
		n           int
		least, most float64 // of the coverage
	}{{3, .925, .955}, {5, .955, .98}, {7, .955, .985}, {15, .945, .975}} {
		held, under, over := 0, 0, 0
		for range draws {
			x, y := make([]float64, c.n), make([]float64, c.n)
			for i := range x {
				x[i], y[i] = math.Exp(.02*rng.NormFloat64()), 3*math.Exp(.02*rng.NormFloat64())
			}
			_, ci := ratioOf([][]float64{x}, [][]float64{y})
			if ci.Low <= 3 && 3 <= ci.High {
				held++
			}
			// What the ratio would be of other processes, which scatter by 3 %.
			if other := 3 * math.Exp(.03*math.Sqrt2*rng.NormFloat64()); ci.Low <= other && other <= ci.High {
				over++
			}
			if e := stats.RobustLog(y).Minus(stats.RobustLog(x)); e.Value-e.Half(2*.025/8) > math.Log(3) {
				under++
			}
		}
		noise := 3.3 * math.Sqrt(.04*.96/float64(draws))
		t.Logf("%d calls: holds the truth in %.1f %%, that of other processes in %.1f %%; bound errs in %.2f %%", c.n, 100*float64(held)/float64(draws), 100*float64(over)/float64(draws), 100*float64(under)/float64(draws))
		if share := float64(held) / float64(draws); share < c.least-noise || share > c.most+noise {
			t.Errorf("%d calls: the interval holds the truth in %.1f %%", c.n, 100*share)
		}
		if share := float64(over) / float64(draws); c.n == 7 && (share < .45 || share > .65) {
			t.Errorf("%d calls: over processes it holds it in %.1f %%", c.n, 100*share)
		}
		if share := float64(under) / float64(draws); share > .025/8+3.3*math.Sqrt(.025/8/float64(draws)) {
			t.Errorf("%d calls: the bound errs in %.2f %%, allowed are %.2f", c.n, 100*share, 2.5/8)
		}
	}
}

// estimateOf is what an interval's name says of its estimate's, where it is not the rest of it.
var estimateOf = map[string]string{"SlopeT": "Slope", "FixedCI": "FixedMS", "ShareCI": "Share", "ReadCI": "ReadMS", "ComputeCI": "ComputeMS", "SlopeBoot": "Slope", "InterceptT": "Log10Intercept", "InterceptBoot": "Log10Intercept", "TheilSen": "TheilSenSlope",
	"ACI": "A", "BetaBoot": "Beta", "GammaBoot": "Gamma", "R2Boot": "R2", "RatioCI": "Ratio",
	"OverCI": "OverBytes", "SmallCI": "Small", "LargeCI": "Large", "SlopeCI": "Exponent", "Rank.CI": "Ratio", "FixedT": "FixedMS",
	"ShareT": "Share", "HostSlopeT": "HostSlope", "DeviceSlopeT": "DeviceSlope",
	"TimesCI": "Times", "Between": "SizeM", "Sizes": "Value", "Param.Blocks": "Value", "T0CI": "T0", "BCI": "B", "T0Blocks": "T0", "ExponentCI": "Exponent", "ExponentBlocks": "Exponent", "SecondCI": "Second", "ThirdCI": "Third", "StepCI": "StepRatio", "AllCI": "AllRatio", "Cell.CI": "MedianMS", "Audit.CI": "Effect", "P99CI": "P99Ratio", "Length.CI": "MS", "SlopeBlocks": "Slope", "SlopeHC3": "Slope", "BlocksCI": "Slope"}

// walkIntervals walks through v and gives each interval beside the estimate that it is
// of, by the names of their fields.
func walkIntervals(t *testing.T, v reflect.Value, path string, f func(path string, estimate float64, ci *stats.Interval)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walkIntervals(t, v.Elem(), path, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			at := fmt.Sprintf("%s[%d]", path, i)
			if v.Type() == reflect.TypeFor[[]Answer]() { // its fields are the result's
				at = "Result"
			}
			walkIntervals(t, v.Index(i), at, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			ci, ok := v.Field(i).Interface().(*stats.Interval)
			if !ok {
				walkIntervals(t, v.Field(i), path+"."+field.Name, f)
				continue
			}
			name, ok := estimateOf[v.Type().Name()+"."+field.Name]
			if !ok {
				name = estimateOf[field.Name]
			}
			e := v.FieldByName(name)
			if name == "" || !e.IsValid() {
				t.Fatalf("%s.%s: no estimate is known that this interval is of", path, field.Name)
			}
			if ci == nil {
				continue
			}
			if e.Type() == reflect.TypeFor[stats.Percentile]() {
				e = e.FieldByName("Value")
			}
			if e.Kind() == reflect.Pointer {
				if e.IsNil() && field.Name == "Between" {
					continue // of a size that no law tells
				}
				if e.IsNil() {
					t.Errorf("%s.%s: an interval without an estimate", path, field.Name)
					continue
				}
				e = e.Elem()
			}
			f(path+"."+field.Name, e.Float(), ci)
		}
	}
}

// TestIntervalsHoldTheirEstimates: every interval of every analysis holds the
// estimate that it stands beside, whatever the calls are. Runs of few calls, heavy
// tails, equal times, several lengths, weight types and an Ollama server.
func TestIntervalsHoldTheirEstimates(t *testing.T) {
	trials := 40 // of some hundred samples each
	if testing.Short() {
		trials = 12
	}
	seen := map[string]int{}
	for seed := range trials {
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		rows := smallRun(rng)
		r, err := Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: []int{-1, 10, 40, 100}[rng.IntN(4)]})
		if err != nil {
			t.Fatal(err)
		}
		walkIntervals(t, reflect.ValueOf(r), "Result", func(path string, e float64, ci *stats.Interval) {
			name := path[1+len("Result"):]
			kind := ""
			for _, c := range name {
				if c != '[' && c != ']' && (c < '0' || c > '9') {
					kind += string(c)
				}
			}
			seen[kind]++
			slack := 1e-9 * math.Max(math.Abs(e), 1e-9)
			if !(ci.Low <= e+slack && e <= ci.High+slack) {
				t.Errorf("seed %d: %s: %v is not in %v to %v", seed, path, e, ci.Low, ci.High)
			}
		})
		if t.Failed() {
			return
		}
	}
	for _, want := range []string{"Fits.SlopeT", "Fits.SlopeBoot", "WeightTypes.RatioCI", "WeightTypes.OverCI", "Policies.Facts.LargeCI", "Crossings.Facts.SlopeCI", "Ranks.CI",
		"Laws.ExponentCI", "Laws.ShareCI", "Budgets.FixedCI", "Comparisons.Counters.RatioCI", "Comparisons.Client.RatioCI", "GapLaws.FixedT"} {
		if seen[want] == 0 {
			t.Errorf("no run has %s; there are %v", want, seen)
		}
	}
	t.Log(seen)
}

// smallRun makes up a run of anything: 2 to 5 models, some in three weight types,
// natively and through Ollama, 1 to 6 calls of prompts and answers of three lengths.
func smallRun(rng *rand.Rand) (rows []runs.Row) {
	models, calls, types := 2+rng.IntN(4), 1+rng.IntN(6), 1+rng.IntN(3)
	noise := []func() float64{
		func() float64 { return 1 },
		func() float64 { return math.Exp(.02 * rng.NormFloat64()) },
		func() float64 { return math.Exp(rng.NormFloat64()) },
		func() float64 { return []float64{1, 1, 1, 50}[rng.IntN(4)] },
		func() float64 { return 1 + math.Round(2*rng.Float64())/2 },
	}[rng.IntN(5)]
	for m := range models {
		for typ := range types {
			for sc, tokens := range []int{4, 16, 64} {
				for call := range calls {
					for _, kind := range []string{"native", "ollama"} {
						p := celltest.Plan{Models: 1, Reps: 1, Gen: tokens, PerToken: func(int) float64 { return 1 }}
						for _, r := range p.Call(rng, fmt.Sprintf("%s_t%d", kind, typ), fmt.Sprintf("p%d", tokens), m, call+1, sc) {
							// Some prompts are equal, so that answers are compared by length; others differ.
							if r.PromptTokensRaw = new(64); rng.IntN(2) == 0 {
								r.PromptTokensRaw = new(16 * tokens)
							}
							size := math.Pow(2, float64(m)) / float64(1+typ)
							prefill, decode := size*float64(*r.PromptTokensRaw)*noise(), size*float64(tokens)*noise()
							r.BackendKind, r.WeightType = kind, fmt.Sprintf("q%d", typ)
							r.BytesPerToken /= int64(1 + typ)
							hash := fmt.Sprintf("%d-%d", m, typ)
							r.ModelSHA256 = &hash
							r.PrefillMS, r.KVDecodeMS, r.DecodeNoSampMS, r.E2EKVMS, r.TTFTMS = &prefill, &decode, &decode, new(prefill+decode), &prefill
							r.LatencyMS = map[string]*float64{record.ModePrefill: &prefill, record.ModeDecode: &decode, record.ModeE2E: r.E2EKVMS}[r.Mode]
							if kind == "ollama" {
								r.OllamaPromptEvalMS, r.DecodeEquivMS, r.GenTokensEquiv = &prefill, &decode, &tokens
								for i := range tokens {
									r.OllamaPieceNS = append(r.OllamaPieceNS, int64(float64(i)/float64(tokens)*decode*1e6))
								}
								r.OllamaInterTokenNS = slices.Clone(r.OllamaPieceNS)
							}
							r.Line = len(rows) + 1
							rows = append(rows, r)
						}
					}
				}
			}
		}
	}
	return rows
}
