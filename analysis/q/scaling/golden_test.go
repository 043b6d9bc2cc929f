package scaling

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// reference is testdata/reference.json: numpy 2.4.6 and scipy 1.17.1 on the
// published tables, made by testdata/reference.py.
type reference struct {
	Series map[string]struct {
		X, Y   []float64
		LogLog struct {
			Intercept, Slope, R2 float64
			SlopeSE              float64      `json:"slope_se"`
			InterceptSE          float64      `json:"intercept_se"`
			TLow                 float64      `json:"t_low"`
			THigh                float64      `json:"t_high"`
			TheilSen             float64      `json:"theilsen"`
			TheilSenIntercept    float64      `json:"theilsen_intercept"`
			TheilSenLow          float64      `json:"theilsen_low"`
			TheilSenHigh         float64      `json:"theilsen_high"`
			Rho, P               float64      `json:",omitempty"`
			PExact               float64      `json:"p_exact"`
			LeaveOneOut          [][2]float64 `json:"leave_one_out"`
		}
		Offset struct {
			A, B, R2   float64
			BoundedSSE float64    `json:"bounded_sse"`
			Bounded    [3]float64 `json:"bounded"`
		}
		Plane     *struct{ Alpha, Beta, Gamma, R2 float64 }
		RhoLayers *[2]float64 `json:"rho_layers"`
		RhoWidth  *[2]float64 `json:"rho_width"`
	}
	Exact struct {
		Low, High     float64
		Degenerate, N int
	} `json:"exact_bootstrap_ollama_kv"`
	Draws map[string][]string `json:"draws_seed42"` // by number of models
	Ties  struct {
		X, Y              []float64
		TheilSen          float64 `json:"theilsen"`
		TheilSenIntercept float64 `json:"theilsen_intercept"`
		TheilSenLow       float64 `json:"theilsen_low"`
		TheilSenHigh      float64 `json:"theilsen_high"`
		Rho, P            float64
	}
	Quantiles struct {
		X []float64
		Q map[string]float64
	}
}

func loadReference(t testing.TB) reference {
	t.Helper()
	data, err := os.ReadFile("../../testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// modelNames are the models of the published tables, in the order of their rows.
var modelNames = map[int][]string{
	7: {"tiny-gpt2", "gpt2-5m", "gpt2-25m", "gpt2-45m", "gpt2-50m", "gpt2-75m", "gpt2-100m"},
	5: {"gemma3:270m", "gemma3:1b-it-qat", "qwen2.5:7b", "llama3.1:8b-instruct-q4_0", "gpt-oss-20b:latest"},
}

// exactGPT2 are the GPT-2 models' parameters in millions, tr121.md 1.5.
var exactGPT2 = []float64{.102714, 5.036720, 25.016064, 45.171200, 51.475968, 74.824704, 96.088320}

var gptLayers = []float64{2, 12, 3, 6, 8, 5, 8} // tr121.md 1.5

func pointsOf(x, y []float64) (out []Point) {
	for i := range x {
		out = append(out, Point{Model: modelNames[len(x)][i], X: x[i], Y: y[i]})
	}
	return out
}

func fitOf(x, y []float64, opt cells.Options) *Fit {
	opt, _, err := opt.WithDefaults()
	if err != nil {
		panic(err)
	}
	f := &Fit{Subject: Subject{Series: cells.Series{Backend: "b", BatchSize: 1}, Mode: "m", Scenario: cells.AllScenarios}, Axis: opt.XAxis}
	FitLogLog(f, pointsOf(x, y), opt)
	return f
}

// TestScipy compares every statistic with scipy's, on the published tables.
func TestScipy(t *testing.T) {
	const tol = 1e-9 // both work in float64; only the order of sums differs
	for name, s := range loadReference(t).Series {
		t.Run(name, func(t *testing.T) {
			x, y := slices.Clone(s.X), slices.Clone(s.Y)
			f := fitOf(x, y, cells.Options{Bootstrap: -1})
			if !slices.Equal(x, s.X) || !slices.Equal(y, s.Y) {
				t.Error("the caller's slices were changed")
			}
			w := s.LogLog
			celltest.Near(t, "intercept", f.Log10Intercept, w.Intercept, tol)
			celltest.Near(t, "slope", f.Slope, w.Slope, tol)
			celltest.Near(t, "R2", f.R2, w.R2, tol)
			celltest.Near(t, "slope SE", f.SlopeSE, w.SlopeSE, tol)
			celltest.Near(t, "intercept SE", f.InterceptSE, w.InterceptSE, tol)
			celltest.Near(t, "t low", &f.SlopeT.Low, w.TLow, tol)
			celltest.Near(t, "t high", &f.SlopeT.High, w.THigh, tol)
			celltest.Near(t, "Theil-Sen", f.TheilSenSlope, w.TheilSen, tol)
			celltest.Near(t, "Theil-Sen intercept", f.TheilSenIntercept, w.TheilSenIntercept, tol)
			celltest.Near(t, "Theil-Sen low", &f.TheilSen.Low, w.TheilSenLow, tol)
			celltest.Near(t, "Theil-Sen high", &f.TheilSen.High, w.TheilSenHigh, tol)
			celltest.Near(t, "rho", f.SpearmanRho, w.Rho, tol)
			celltest.Near(t, "p", f.SpearmanP, w.P, tol)
			celltest.Near(t, "exact p", f.SpearmanPExact, w.PExact, tol)
			for i, l := range f.LeaveOneOut { // points and tables are both by rising size
				celltest.Near(t, "slope without "+l.Dropped, l.Slope, w.LeaveOneOut[i][0], tol)
				celltest.Near(t, "R2 without "+l.Dropped, l.R2, w.LeaveOneOut[i][1], tol)
			}

			l, _ := stats.OLS(s.X, s.Y)
			celltest.Near(t, "a", &l.A, s.Offset.A, tol)
			celltest.Near(t, "b", &l.B, s.Offset.B, tol)
			celltest.Near(t, "linear R2", &l.R2, s.Offset.R2, tol)

			if s.Plane != nil {
				p := &TwoPredictorFit{}
				fitPlane(p, pointsOf(s.X, s.Y), gptLayers, cells.Options{})
				celltest.Near(t, "alpha", p.Alpha, s.Plane.Alpha, tol)
				celltest.Near(t, "beta", p.Beta, s.Plane.Beta, tol)
				celltest.Near(t, "gamma", p.Gamma, s.Plane.Gamma, tol)
				celltest.Near(t, "plane R2", p.R2, s.Plane.R2, tol)
				rho, pv, _ := stats.Spearman(gptLayers, s.Y)
				celltest.Near(t, "rho layers", &rho, s.RhoLayers[0], tol)
				celltest.Near(t, "p layers", &pv, s.RhoLayers[1], tol)
			}
		})
	}
}

// TestScipyTies has equal values in x and in y.
func TestScipyTies(t *testing.T) {
	w := loadReference(t).Ties
	slope, intercept, ci, ok := stats.TheilSen(w.X, w.Y)
	rho, p, ok2 := stats.Spearman(w.X, w.Y)
	if !ok || !ok2 {
		t.Fatal("no result")
	}
	celltest.Near(t, "Theil-Sen", &slope, w.TheilSen, 1e-12)
	celltest.Near(t, "intercept", &intercept, w.TheilSenIntercept, 1e-12)
	celltest.Near(t, "low", &ci.Low, w.TheilSenLow, 1e-12)
	celltest.Near(t, "high", &ci.High, w.TheilSenHigh, 1e-12)
	celltest.Near(t, "rho", &rho, w.Rho, 1e-12)
	celltest.Near(t, "p", &p, w.P, 1e-12)
	if _, ok := stats.SpearmanExact(w.X, w.Y); ok {
		t.Error("an exact p in spite of ties")
	}
}

func TestQuantileNumpy(t *testing.T) {
	w := loadReference(t).Quantiles
	for ps, want := range w.Q {
		p, _ := strconv.ParseFloat(ps, 64)
		got := stats.Quantile(w.X, p)
		celltest.Near(t, "quantile "+ps, &got, want, 1e-12)
	}
}

// published are the log10 OLS fits of tr121.md 2.1, as printed there.
var published = []struct{ backend, mode, intercept, slope, r2 string }{
	{"hf_cpu_fp32", "prefill", ".8928", ".2810", ".8726"},
	{"hf_cpu_fp32", "kv_decode", "2.5791", ".2912", ".8476"},
	{"hf_cpu_fp32", "e2e_kv", "2.5880", ".2912", ".8482"},
	{"hf_gpu_fp16", "prefill", ".7567", ".0339", ".0340"},
	{"hf_gpu_fp16", "kv_decode", "2.4683", ".0426", ".0608"},
	{"hf_gpu_fp16", "e2e_kv", "2.4764", ".0427", ".0609"},
	{"ollama", "prefill", "-1.2149", ".6232", ".9016"},
	{"ollama", "kv_decode", ".4579", ".6486", ".9250"},
	{"ollama", "e2e_kv", ".4670", ".6482", ".9247"},
}

// tr121 asks the synthetic run folder.
func tr121Fits(t testing.TB, opt cells.Options) *Answer {
	t.Helper()
	run, err := runs.Load("../../testdata/tr121")
	if err != nil {
		t.Fatal(err)
	}
	set, err := cells.New(run, opt)
	if err != nil {
		t.Fatal(err)
	}
	return Ask(set, intervals.Ask(set))
}

func fitAlong(t testing.TB, a *Answer, backend, mode, scenario string) *Fit {
	t.Helper()
	for i := range a.Fits {
		if f := &a.Fits[i]; f.Backend == backend && f.Mode == mode && f.Scenario == scenario {
			return f
		}
	}
	t.Fatalf("no fit %s %s %s", backend, mode, scenario)
	return nil
}

// TestPublishedFits feeds the analyzer a whole run folder of the Python harness
// (synthetic, testdata/make_tr121.py) and expects the study's fits from it.
func TestPublishedFits(t *testing.T) {
	r := tr121Fits(t, cells.Options{})
	for _, w := range published {
		f := fitAlong(t, r, w.backend, w.mode, cells.AllScenarios)
		name := w.backend + " " + w.mode
		celltest.Printed(t, name+" intercept", f.Log10Intercept, w.intercept)
		celltest.Printed(t, name+" slope", f.Slope, w.slope)
		celltest.Printed(t, name+" R2", f.R2, w.r2)
	}

	kv := fitAlong(t, r, "ollama", "kv_decode", cells.AllScenarios)
	celltest.Printed(t, "Theil-Sen", kv.TheilSenSlope, ".554")
	celltest.Printed(t, "Spearman", kv.SpearmanRho, ".900")
	celltest.Printed(t, "t low", &kv.SlopeT.Low, ".309")
	celltest.Printed(t, "t high", &kv.SlopeT.High, ".988")
	celltest.Printed(t, "slope without gpt-oss", kv.LeaveOneOut[4].Slope, ".5145")
	celltest.Printed(t, "R2 without gpt-oss", kv.LeaveOneOut[4].R2, ".998")
	if kv.MostInfluential != "gpt-oss-20b:latest" {
		t.Errorf("most influential: %q", kv.MostInfluential)
	}

	// tr121.md 2.2: what the other points say.
	for _, w := range []struct{ backend, mode, dropped, slope, r2 string }{
		{"hf_cpu_fp32", "kv_decode", "tiny-gpt2", ".123", ".20"},
		{"hf_cpu_fp32", "prefill", "tiny-gpt2", ".109", ".25"},
		{"hf_gpu_fp16", "kv_decode", "tiny-gpt2", "-.13", ""},
		{"hf_gpu_fp16", "prefill", "tiny-gpt2", "-.18", ""},
		{"ollama", "prefill", "gpt-oss-20b:latest", ".473", ".999"},
	} {
		f := fitAlong(t, r, w.backend, w.mode, cells.AllScenarios)
		l := f.Influential()
		if l == nil || l.Dropped != w.dropped {
			t.Errorf("%s %s: most influential is %q, want %s", w.backend, w.mode, f.MostInfluential, w.dropped)
			continue
		}
		celltest.Printed(t, w.backend+" "+w.mode+" slope without "+w.dropped, l.Slope, w.slope)
		if w.r2 != "" {
			celltest.Printed(t, w.backend+" "+w.mode+" R2 without "+w.dropped, l.R2, w.r2)
		}
	}
}

// TestPublishedLeaveOneOut has the five slopes of anchors.md 11. They reproduce
// to the printed digits from the table's column of ms per token. From its column
// of ms per 64 tokens, which is rounded otherwise, the second, fourth and fifth
// come out at .6525, .6815 and .5145, one unit of the third digit higher when
// printed (tr121.md 2.2 has the .5145).
func TestPublishedLeaveOneOut(t *testing.T) {
	x := loadReference(t).Series["ollama kv_decode"].X
	f := fitOf(x, []float64{1.900, 4.077, 11.079, 10.929, 45.535}, cells.Options{}) // tr121.md 1.9, ms/token
	for i, w := range []string{".724", ".652", ".675", ".681", ".514"} {
		celltest.Printed(t, "slope without "+f.LeaveOneOut[i].Dropped, f.LeaveOneOut[i].Slope, w)
	}
}

// TestPublishedPlane has the two-predictor fits of tr121.md 1.9. The study fitted
// measured parameter counts, so these are the exact ones of 1.5; from the sizes
// rounded to three decimals the GPU's gamma comes out at .7335 on the other side
// of the rounding, and prints as .733.
func TestPublishedPlane(t *testing.T) {
	for _, w := range []struct{ series, beta, gamma, r2 string }{
		{"cpu e2e_kv", ".231", ".422", ".929"},
		{"gpu e2e_kv", "-.0616", ".734", ".874"},
	} {
		f := &TwoPredictorFit{}
		fitPlane(f, pointsOf(exactGPT2, loadReference(t).Series[w.series].Y), gptLayers, cells.Options{Bootstrap: 1000})
		celltest.Printed(t, w.series+" beta", f.Beta, w.beta)
		celltest.Printed(t, w.series+" gamma", f.Gamma, w.gamma)
		celltest.Printed(t, w.series+" R2", f.R2, w.r2)
		if f.BetaBoot == nil || f.GammaBoot == nil || f.R2Boot == nil || f.BootUsed < 900 {
			t.Errorf("%s: bootstrap %+v", w.series, f)
		}
	}
}

// TestPublishedShape has the e2e figures of tr121.md 1.9 on depth and offsets,
// out of the run folder.
func TestPublishedShape(t *testing.T) {
	r := tr121Fits(t, cells.Options{})
	ref := loadReference(t)
	for backend, series := range map[string]string{"hf_cpu_fp32": "cpu", "hf_gpu_fp16": "gpu"} {
		for _, f := range r.TwoPredictors {
			if f.Backend == backend {
				w := ref.Series[series+" "+f.Mode].Plane
				celltest.Near(t, f.Backend+" "+f.Mode+" beta", f.Beta, w.Beta, 1e-9)
				celltest.Near(t, f.Backend+" "+f.Mode+" gamma", f.Gamma, w.Gamma, 1e-9)
				celltest.Near(t, f.Backend+" "+f.Mode+" R2", f.R2, w.R2, 1e-9)
			}
		}
	}
	for _, w := range []struct{ backend, rhoP, pP, rhoL, pL, rhoW, pW string }{
		{"hf_gpu_fp16", ".286", ".535", ".811", ".027", "", ""},
		{"hf_cpu_fp32", ".857", ".014", ".523", ".229", ".855", ".014"},
	} {
		i := slices.IndexFunc(r.Correlations, func(c Correlation) bool { return c.Backend == w.backend && c.Mode == "e2e_kv" })
		c := r.Correlations[i]
		celltest.Printed(t, "rho params", c.RhoParams, w.rhoP)
		celltest.Printed(t, "p params", c.PParams, w.pP)
		celltest.Printed(t, "rho layers", c.RhoLayers, w.rhoL)
		celltest.Printed(t, "p layers", c.PLayers, w.pL)
		if w.rhoW != "" {
			celltest.Printed(t, "rho width", c.RhoWidth, w.rhoW)
			celltest.Printed(t, "p width", c.PWidth, w.pW)
		}
	}
	// The study's offset fit is least squares in ms.
	var x, y []float64
	for _, p := range fitAlong(t, r, "hf_gpu_fp16", "e2e_kv", cells.AllScenarios).Points {
		x, y = append(x, p.X), append(y, p.Y)
	}
	l, _ := stats.OLS(x, y)
	celltest.Printed(t, "a", &l.A, "358")
	celltest.Printed(t, "b", &l.B, ".097")
	celltest.Printed(t, "R2", &l.R2, ".0005")
	// tr121.md 2.2: on the non-embedding axis.
	ne := tr121Fits(t, cells.Options{XAxis: "params_non_embedding"})
	f := fitAlong(t, ne, "hf_cpu_fp32", "kv_decode", cells.AllScenarios)
	celltest.Printed(t, "non-embedding slope", f.Slope, ".160")
	celltest.Printed(t, "non-embedding R2", f.R2, ".895")
	if o := fitAlong(t, ne, "ollama", "kv_decode", cells.AllScenarios); o.OK || o.Slope != nil || len(o.Warnings) == 0 || o.Warnings[0].Code != "axis_missing" {
		t.Errorf("no axis, but %+v", o)
	}
}

// TestExactBootstrap enumerates all 5^5 resamples of the Ollama decode series.
// tr121.md 2.1 gives [.478,1.453] and 5 degenerate ones.
func TestExactBootstrap(t *testing.T) {
	ref := loadReference(t)
	s := ref.Series["ollama kv_decode"]
	x, y := logPoints(pointsOf(s.X, s.Y))
	var slopes []float64
	total, degenerate := 0, 0
	index := make([]int, len(x))
	var walk func(int)
	walk = func(k int) {
		if k == len(x) {
			total++
			if _, b, sizes := stats.ResampledLine(x, y, index); sizes >= 2 {
				slopes = append(slopes, b)
			} else {
				degenerate++
			}
			return
		}
		for i := range x {
			index[k] = i
			walk(k + 1)
		}
	}
	walk(0)
	if total != 3125 || degenerate != 5 {
		t.Errorf("%d resamples, %d degenerate", total, degenerate)
	}
	ci := stats.PercentileInterval(slopes, total, nil)
	celltest.Near(t, "low", &ci.Low, ref.Exact.Low, 1e-9)
	celltest.Near(t, "high", &ci.High, ref.Exact.High, 1e-9)
	celltest.Printed(t, "low", &ci.Low, ".478")
	celltest.Printed(t, "high", &ci.High, "1.453")
}

// TestPublishedBootstrap feeds the draws of numpy at seed 42, the study's own, to
// this package's resampling, and gets the nine published intervals of tr121.md
// 1.9. Two lower ends of the CPU are given there as .018. They are .01749 and
// .01747, and no rounding of the table's latencies lifts them to .0175 (4000
// random ones tried), so .018 is a second rounding of a printed .0175: that is
// what is expected here.
func TestPublishedBootstrap(t *testing.T) {
	ref := loadReference(t)
	for _, w := range []struct{ series, low, high string }{
		{"cpu prefill", ".019", ".510"}, {"cpu kv_decode", ".0175", ".650"}, {"cpu e2e_kv", ".0175", ".649"},
		{"gpu prefill", "-.313", ".602"}, {"gpu kv_decode", "-.262", ".620"}, {"gpu e2e_kv", "-.263", ".620"},
		{"ollama prefill", ".454", "1.502"}, {"ollama kv_decode", ".478", "1.439"}, {"ollama e2e_kv", ".478", "1.440"},
	} {
		s := ref.Series[w.series]
		x, y := logPoints(pointsOf(s.X, s.Y))
		var slopes []float64
		draws := ref.Draws[strconv.Itoa(len(x))]
		for _, draw := range draws {
			index := make([]int, len(draw))
			for i, c := range draw {
				index[i] = int(c - '0')
			}
			if _, b, sizes := stats.ResampledLine(x, y, index); sizes >= 2 {
				slopes = append(slopes, b)
			}
		}
		ci := stats.PercentileInterval(slopes, len(draws), nil)
		celltest.Printed(t, w.series+" low", &ci.Low, w.low)
		celltest.Printed(t, w.series+" high", &ci.High, w.high)
	}
}

// TestSampledBootstrap compares 1000 seeded resamples with the published [.478,
// 1.439]. numpy's generator is not Go's, so only the distribution is shared. Over
// 200 seeds the lower end lies in .474 to .483 and the upper in 1.424 to 1.453
// (the exact ends are .478 and 1.453), so the tolerance is .01 and .03.
func TestSampledBootstrap(t *testing.T) {
	s := loadReference(t).Series["ollama kv_decode"]
	f := fitOf(s.X, s.Y, cells.Options{})
	if f.BootRequested != 1000 || f.BootUsed < 990 {
		t.Errorf("%d of %d resamples used", f.BootUsed, f.BootRequested)
	}
	for seed := uint64(1); seed <= 200; seed++ {
		if ci := fitOf(s.X, s.Y, cells.Options{Seed: seed}).SlopeBoot; ci.Low < .47 || ci.Low > .49 || ci.High < 1.41 || ci.High > 1.46 {
			t.Errorf("seed %d: bootstrap [%.4f, %.4f]", seed, ci.Low, ci.High)
		}
	}
	for _, c := range []struct {
		name      string
		got, want float64
		tolerance float64
	}{
		{"low", f.SlopeBoot.Low, .478, .01},
		{"high", f.SlopeBoot.High, 1.439, .03},
	} {
		if math.Abs(c.got-c.want) > c.tolerance {
			t.Errorf("bootstrap %s %.4f, published %.3f +- %.3f", c.name, c.got, c.want, c.tolerance)
		}
	}
	again := fitOf(s.X, s.Y, cells.Options{})
	if *again.SlopeBoot != *f.SlopeBoot {
		t.Error("the same seed gave another interval")
	}
	other := fitOf(s.X, s.Y, cells.Options{Seed: 7})
	if *other.SlopeBoot == *f.SlopeBoot {
		t.Error("another seed gave the same interval")
	}
}
