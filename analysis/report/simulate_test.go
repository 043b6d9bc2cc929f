package report

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Error rates of what is said to change first, from made-up runs through the whole
// analysis and its report. What the models of a run take is known, so each claim is
// true or false. docs/error-rates.md has the table: -update rewrites it.

// ladderOf is a made-up run: models of one backend, by rising size.
type ladderOf struct {
	name      string
	sizes     []float64           // million parameters
	time      func(i int) float64 // ms per token of model i, against 1; nil: 1
	tail      func(i int) float64 // factor on p95/p50 of the token times; nil: 1
	status    func(i int) string  // of the scenario of 64 tokens; nil, "": ok
	processes float64             // scatter of times and of p95/p50 from process to process, one for each model
	calls     int                 // of each scenario; 0: simCalls
	scattery  bool                // tails scatter three times as much from call to call
	slow      float64             // share of the calls that take five times as long
	clock     float64             // ms that times are a multiple of; 0: ns
	right     float64             // share of the runs of which the whole truth must be said; 0: none need be
	limit     float64             // of the share with a false claim; 0: 5 %
}

const (
	simCalls = 7
	simGen   = 64
	// callScatter is the standard deviation of the logarithm of a call's time.
	callScatter = 0.05
	// tailScatter is that of the logarithm of p95/p50 of a call, relative to it.
	tailScatter = 0.3
)

// steps are n sizes, each twice the one before.
func steps(n int) (sizes []float64) {
	for i := range n {
		sizes = append(sizes, 5*math.Pow(2, float64(i)))
	}
	return sizes
}

// from is 1 below the model i, and x from it on.
func from(at int, x float64) func(int) float64 {
	return func(i int) float64 {
		if i < at {
			return 1
		}
		return x
	}
}

func failing(at int, status string) func(int) string {
	return func(i int) string {
		if i < at {
			return ""
		}
		return status
	}
}

func (l ladderOf) timeOf(i int) float64 {
	if l.time == nil {
		return 1
	}
	return l.time(i)
}

func (l ladderOf) tailOf(i int) float64 {
	if l.tail == nil {
		return 1
	}
	return l.tail(i)
}

// baseTail is p95/p50 of the token times within a call where nothing changes it.
const baseTail = 1.25

// tailUnit is ln p95/p50 within calls of times exp(j e), e exponential, j scattering
// from call to call as in rows.
func tailUnit(jitter float64) float64 {
	rng := rand.New(rand.NewPCG(1, 1))
	var all []float64
	for range 4000 {
		j := math.Exp(jitter * rng.NormFloat64())
		call := make([]float64, simGen)
		for i := range call {
			call[i] = j * rng.ExpFloat64()
		}
		slices.Sort(call)
		mid := (call[simGen/2-1] + call[simGen/2]) / 2
		for _, v := range call {
			all = append(all, v-mid)
		}
	}
	slices.Sort(all)
	return stat.Quantile(0.95, stat.LinInterp, all, nil) - stat.Quantile(0.5, stat.LinInterp, all, nil)
}

var (
	usual    = sync.OnceValue(func() float64 { return tailUnit(tailScatter) })
	scattery = sync.OnceValue(func() float64 { return tailUnit(3 * tailScatter) })
)

// rows are the run's records of decode: two scenarios, 7 calls of 64 tokens each.
func (l ladderOf) rows(seed uint64) []runs.Row {
	rng := rand.New(rand.NewPCG(seed, 12))
	var rows []runs.Row
	for m, size := range l.sizes {
		process := math.Exp(l.processes * rng.NormFloat64())
		scatter, unit := tailScatter, usual
		if l.scattery {
			scatter, unit = 3*tailScatter, scattery
		}
		k := math.Log(baseTail*l.tailOf(m)*math.Exp(l.processes*rng.NormFloat64())) / unit()
		for sc, scenario := range []string{"p1", "p64"} {
			for rep := range cmp.Or(l.calls, simCalls) {
				gen := simGen
				r := runs.RowOf(record.Record{})
				r.Line = len(rows) + 1
				r.SchemaVersion, r.RunID, r.TaskIdx, r.Scenario, r.Backend, r.BackendKind = record.SchemaVersion, "made-up", 2*m+sc, scenario, "cpu", "native"
				r.Model, r.ModelKind, r.ParamsMillions, r.ParamsTotal, r.Device = fmt.Sprintf("m%02d", m), "synth", size, int64(size*1e6), "cpu"
				r.Rep, r.CallIdx, r.Status, r.Mode, r.GenTokensTarget, r.BatchSizeConfig = &rep, rep, record.StatusOK, record.ModeDecode, gen, 1
				if l.status != nil && l.status(m) != "" {
					why := "made up"
					r.Status, r.Error = l.status(m), &why
					rows = append(rows, r)
					continue
				}
				r.GenTokens, r.GenTokensRaw = &gen, &gen
				call := l.timeOf(m) * process * math.Exp(callScatter*rng.NormFloat64())
				if rng.Float64() < l.slow {
					call *= 5
				}
				j, tokens, mean := k*math.Exp(scatter*rng.NormFloat64()), make([]float64, gen), 0.0
				for i := range tokens {
					tokens[i] = math.Exp(j * rng.ExpFloat64())
					mean += tokens[i] / simGen
				}
				for _, v := range tokens {
					r.TokenNS = append(r.TokenNS, int64(call*v/mean*1e6))
				}
				total := call * simGen
				if l.clock > 0 {
					total = l.clock * math.Round(total/l.clock)
				}
				r.KVDecodeMS, r.LatencyMS = &total, &total
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// true says whether an aspect has changed at model i, by what the run is made of.
func (l ladderOf) changed(aspect string, i int) bool {
	switch aspect {
	case "latency":
		return l.sizes[i] > l.sizes[0] && l.timeOf(i) > 2*l.timeOf(0)
	case "tails":
		for j := range i {
			if l.sizes[i] > l.sizes[j] && l.tailOf(i) > 1.25*l.tailOf(j) {
				return true
			}
		}
	case "feasibility": // of status, the larger models have none but the same
		return l.status != nil && l.status(i) != "" && l.status(len(l.sizes)-1) != "" && l.sizes[i] > l.sizes[0]
	}
	return false
}

// rates counts what the analysis said of made-up runs.
type rates struct{ n, untrue, missed, unknown int }

func (r rates) right() int { return r.n - r.untrue - r.missed - r.unknown }

// judge counts one answer: untrue where any aspect is said to change where it has
// not; missed where a change is not said, or said of too large a model.
func (r *rates) judge(l ladderOf, c firstchange.Change) {
	index := func(model string) int {
		for i := range l.sizes {
			if fmt.Sprintf("m%02d", i) == model {
				return i
			}
		}
		return -1
	}
	r.n++
	for _, a := range c.Aspects {
		if a.Verdict == "changed" && !l.changed(a.Aspect, index(a.Model)) {
			r.untrue++
			return
		}
	}
	var truth []string
	at := -1
	for i := range l.sizes {
		for _, aspect := range []string{"latency", "tails", "feasibility"} {
			if l.changed(aspect, i) {
				truth, at = append(truth, aspect), i
			}
		}
		if at >= 0 {
			break
		}
	}
	switch {
	case c.Verdict == "unknown":
		r.unknown++
	case len(truth) == 0 && c.Verdict == "none", strings.Join(truth, "+") == c.Verdict && index(c.Model) == at:
	default:
		r.missed++
	}
}

// said is what the report must hold about an answer.
func said(c firstchange.Change) string {
	switch c.Verdict {
	case "unknown":
		return "What changes first on cpu as models grow is **unknown**"
	case "none":
		return "On cpu **nothing** is shown to change as total parameters grow"
	}
	return "What changes first on cpu as total parameters grow: **" + strings.ReplaceAll(c.Verdict, "+", " and ") + "**"
}

func growth(i int) float64 { return math.Pow(2, 0.8*float64(i)) }

// sixOfOne are models of one size, as a run of weight types or families has them.
func sixOfOne() []float64 { return []float64{5, 5.02, 5.1, 5.2, 5.3, 5.4} }

func simulations() (all []ladderOf) {
	for _, n := range []int{4, 6, 9, 13} {
		all = append(all, ladderOf{name: "nothing changes", sizes: steps(n), right: .9})
	}
	for _, n := range []int{4, 6, 9, 13} {
		all = append(all, ladderOf{name: "nothing changes, 3 calls, tails scatter widely from call to call", sizes: steps(n), calls: 3, scattery: true})
	}
	for _, n := range []int{4, 6, 9, 13} {
		all = append(all, ladderOf{name: "decode 1.95 times from the second size on, tails 1.2 times", sizes: steps(n), time: from(1, 1.95), tail: from(1, 1.2)})
	}
	return append(all,
		ladderOf{name: "decode 2.05 times from the second size on", sizes: steps(6), time: from(1, 2.05)},
		ladderOf{name: "decode 2.7 times from the second size on", sizes: steps(6), time: from(1, 2.7), right: .9},
		ladderOf{name: "decode as size to the power 0.8", sizes: steps(9), time: growth, right: .95},
		ladderOf{name: "tails 1.3 times from the third size on", sizes: steps(6), tail: from(2, 1.3)},
		ladderOf{name: "tails 2 times from the third size on", sizes: steps(6), tail: from(2, 2), right: .75},
		ladderOf{name: "one call in 100 takes 5 times as long; nothing changes", sizes: steps(6), slow: .01, right: .9},
		ladderOf{name: "one call in 100 takes 5 times as long; power 0.8", sizes: steps(9), time: growth, slow: .01, right: .95},
		ladderOf{name: "clock of 5 ms; power 0.8", sizes: steps(9), time: growth, clock: 5, right: .95},
		ladderOf{name: "six models of one size, decode 1 to 6 times", sizes: sixOfOne(), time: func(i int) float64 { return 1 + float64(i) }, tail: from(3, 2)},
		ladderOf{name: "out of memory from the fourth size on", sizes: steps(6), status: failing(3, record.StatusOOM), right: .9},
		ladderOf{name: "a crash on the third of six sizes", sizes: steps(6), status: func(i int) string {
			return map[int]string{2: record.StatusCrashed}[i]
		}, right: .9},
		ladderOf{name: "processes differ by 2 %: decode 1.95 times, tails 1.2 times", sizes: steps(4), time: from(1, 1.95), tail: from(1, 1.2), processes: .02},
		ladderOf{name: "processes differ by 2 %: decode 1.95 times, tails 1.2 times", sizes: steps(13), time: from(1, 1.95), tail: from(1, 1.2), processes: .02},
		ladderOf{name: "processes differ by 3 %: decode 1.95 times, tails 1.2 times", sizes: steps(13), time: from(1, 1.95), tail: from(1, 1.2), processes: .03},
		ladderOf{name: "processes differ by 3 %: decode as size to the power 0.8", sizes: steps(9), time: growth, processes: .03, right: .95},
		ladderOf{name: "processes differ by 10 %: nothing changes", sizes: steps(4), processes: .10, limit: 1},
		ladderOf{name: "processes differ by 10 %: nothing changes", sizes: steps(13), processes: .10, limit: 1},
	)
}

// TestErrorRates holds the rates of false, missed and unknown answers against what
// is stated. A rate fails where so many would come about in 1 of 1000 tests at the
// stated one.
func TestErrorRates(t *testing.T) {
	n := celltest.Trials(200)
	all := simulations()
	got := make([]rates, len(all))
	t.Run("all", func(t *testing.T) {
		for k, l := range all {
			t.Run(fmt.Sprintf("%s over %d sizes", l.name, len(l.sizes)), func(t *testing.T) {
				t.Parallel()
				for i := range n {
					r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: l.rows(uint64(i))}, cells.Options{Bootstrap: -1})
					if err != nil {
						t.Fatal(err)
					}
					c := analysis.Get[firstchange.Answer](r).Answers.FirstChange[0]
					got[k].judge(l, c)
					if i%20 == 0 {
						if md, err := compose(r, nil).Markdown(""); err != nil || !strings.Contains(md, said(c)) {
							t.Errorf("the report does not say %q: %v", said(c), err)
						}
					}
				}
				limit := l.limit
				if limit == 0 {
					limit = .05
				}
				if g := got[k]; g.untrue > atMost(n, limit) {
					t.Errorf("%d of %d are false, stated are %g %%", g.untrue, n, 100*limit)
				} else if wrong := n - g.right(); l.right > 0 && wrong > atMost(n, 1-l.right) {
					t.Errorf("%d of %d are not right, stated are %.3g %% (%+v)", wrong, n, 100*(1-l.right), g)
				}
			})
		}
	})
	var b strings.Builder
	fmt.Fprintf(&b, "| made-up run, %d of each | sizes | false | missed or late | unknown |\n|---|---:|---:|---:|---:|\n", n)
	for k, l := range all {
		share := func(of int) string { return fmt.Sprintf("%.1f %%", 100*float64(of)/float64(n)) }
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", l.name, len(l.sizes), share(got[k].untrue), share(got[k].missed), share(got[k].unknown))
	}
	t.Log("\n" + b.String())
	if all := !slices.ContainsFunc(got, func(r rates) bool { return r.n < n }); !celltest.AllTrials() || t.Failed() || !all {
		return
	}
	const file, mark = "../../docs/error-rates.md", "<!-- first change -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(data), mark)
	if len(parts) != 3 {
		t.Fatalf("%s has not two lines %s", file, mark)
	}
	if parts[1] == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s states other rates; run: go test ./analysis/report -run ErrorRates -update\n%s", file, b.String())
	}
	parts[1] = b.String()
	if err := os.WriteFile(file, []byte(strings.Join(parts, mark)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// atMost is how many of n the binomial distribution gives in 999 of 1000 tests.
func atMost(n int, p float64) int {
	k := 0
	for b := (distuv.Binomial{N: float64(n), P: p}); k < n && b.CDF(float64(k)) < 0.999; k++ {
	}
	return k
}

// TestMadeUpFromDisk: the same records read from a run folder give the same answer.
func TestMadeUpFromDisk(t *testing.T) {
	l := ladderOf{sizes: steps(6), time: growth, slow: .01, status: failing(4, record.StatusOOM)}
	rows := l.rows(1)
	run := loaded(t, t.TempDir(), rows)
	if len(run.Rows) != len(rows) {
		t.Fatalf("%d of %d records", len(run.Rows), len(rows))
	}
	answer := func(run *runs.Run) firstchange.Change {
		r, err := analysis.Analyze(run, cells.Options{Bootstrap: -1})
		if err != nil {
			t.Fatal(err)
		}
		return analysis.Get[firstchange.Answer](r).Answers.FirstChange[0]
	}
	fromDisk, built := answer(run), answer(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows})
	if !reflect.DeepEqual(fromDisk, built) || !slices.Contains([]string{"latency"}, built.Verdict) {
		t.Errorf("%+v\nand %+v", fromDisk, built)
	}
}
