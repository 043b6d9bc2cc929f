package intervals

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Audit says whether something that should not matter explains times, beyond each
// cell's own level.
type Audit struct {
	Mode   string          `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	Factor string          `json:"factor" doc:"position in the block, time, canary, or temperature"`
	Effect *float64        `json:"effect" doc:"change of the time, as a share, by the step in 'per'"`
	Per    string          `json:"per" doc:"the step of the factor"`
	CI     *stats.Interval `json:"ci" doc:"its 95 % interval, by t over the blocks or processes; of time of a line over the blocks' means"`
	P      *float64        `json:"p" doc:"p of no effect"`
	N      int             `json:"n" doc:"blocks or processes"`
	Over   string          `json:"over" doc:"blocks, or processes where there are fewer than three blocks"`
}

// Factors of the audit.
const (
	FactorPosition    = "position"
	FactorTime        = "time"
	FactorCanary      = "canary"
	FactorTemperature = "temperature"
)

// auditBlocks is the fewest blocks that a slope is taken over.
const auditBlocks = 3

// seen is a call beside what is known of it: y is how far its logarithm is off its cell's level.
type seen struct {
	row     *runs.Row
	y       float64
	process int // number of the process
}

// audit asks each mode's calls.
func (a *asker) audit() {
	places := a.places()
	for _, mode := range a.Modes {
		calls := a.offLevel(mode)
		blocks, of := stats.GroupBy(calls, func(c seen) int { return c.row.Replicate })
		slices.Sort(blocks)
		over, groups := "blocks", stats.Map(blocks, func(b int) []seen { return of[b] })
		if len(blocks) < auditBlocks {
			over = "processes"
			var ids []int
			ids, of = stats.GroupBy(calls, func(c seen) int { return c.process })
			groups = stats.Map(ids, func(p int) []seen { return of[p] })
		} else {
			a.found(mode, FactorPosition, "from a block's first process to its last", over, groups, 1, func(c seen) (float64, bool) {
				at, ok := places[placeKey{c.row.Replicate, cells.ModelKey{Backend: c.row.Backend, Model: c.row.Model}}]
				return at, ok
			})
			a.overTime(mode, groups)
		}
		a.found(mode, FactorCanary, "a canary that takes a tenth longer", over, groups, math.Log(1.1), func(c seen) (float64, bool) {
			times, _, known := a.Canary(c.row)
			return math.Log(times), known
		})
		a.found(mode, FactorTemperature, "10 °C", over, groups, 10, func(c seen) (float64, bool) {
			if c.row.TemperatureMaxC == nil {
				return 0, false
			}
			return *c.row.TemperatureMaxC, true
		})
	}
}

// offLevel are the calls of a mode beside the level of their cells.
func (a *asker) offLevel(mode string) (out []seen) {
	processes := 0
	a.EachCell(func(k cells.Key, _ *cells.Model, g *cells.Group) {
		if k.Mode != mode || len(g.Rows) == 0 {
			return
		}
		level := math.Log(g.Times().Typical())
		for _, p := range g.Processes() {
			processes++
			for _, r := range p.Rows {
				ms, _ := r.Latency()
				out = append(out, seen{r, math.Log(ms) - level, processes})
			}
		}
	})
	return out
}

type placeKey struct {
	block int
	cells.ModelKey
}

// places are those of the processes in their block, from 0 for the first to 1.
func (a *asker) places() map[placeKey]float64 {
	first := map[placeKey]int{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		k := placeKey{r.Replicate, cells.ModelKey{Backend: r.Backend, Model: r.Model}}
		if at, ok := first[k]; !ok || r.OrderIdx < at {
			first[k] = r.OrderIdx
		}
	}
	_, of := stats.GroupBy(slices.Collect(maps.Keys(first)), func(k placeKey) int { return k.block })
	out := map[placeKey]float64{}
	for _, keys := range of {
		slices.SortFunc(keys, func(x, y placeKey) int { return cmp.Compare(first[x], first[y]) })
		for i, k := range keys {
			if len(keys) > 1 {
				out[k] = float64(i) / float64(len(keys)-1)
			}
		}
	}
	return out
}

// found adds the mean over groups of the slope of the calls' times over a factor.
func (a *asker) found(mode, factor, per, over string, groups [][]seen, step float64, of func(seen) (float64, bool)) {
	var slopes []float64
	for _, g := range groups {
		var x, y []float64
		for _, c := range g {
			if v, ok := of(c); ok {
				x, y = append(x, v), append(y, c.y)
			}
		}
		if l, ok := stats.OLS(x, y); ok && len(x) >= stats.MinPoints {
			slopes = append(slopes, l.B*step)
		}
	}
	if e, ok := stats.MeanT(slopes); ok && len(slopes) >= auditBlocks {
		a.add(Audit{Mode: mode, Factor: factor, Per: per, N: len(slopes), Over: over}, e)
	}
}

// overTime adds the line of the blocks' means over their time.
func (a *asker) overTime(mode string, blocks [][]seen) {
	var x, y []float64
	for _, b := range blocks {
		x = append(x, stat.Mean(stats.Map(b, func(c seen) float64 { return c.row.StartedAt }), nil))
		y = append(y, stat.Mean(stats.Map(b, func(c seen) float64 { return c.y }), nil))
	}
	if l, ok := stats.OLS(x, y); ok && l.N > 2 {
		whole := slices.Max(x) - slices.Min(x)
		a.add(Audit{Mode: mode, Factor: FactorTime, Per: "from the first block to the last", N: l.N, Over: "blocks"},
			stats.Estimate{Value: l.B, Variance: l.SEB * l.SEB, DF: float64(l.N - 2)}.Times(whole))
	}
}

func (a *asker) add(x Audit, e stats.Estimate) {
	half := e.Half(1 - stats.Confidence)
	x.Effect, x.P = stats.Finite(math.Expm1(e.Value)), stats.Finite(e.P())
	x.CI = stats.NewInterval(math.Expm1(e.Value-half), math.Expm1(e.Value+half))
	a.out.Audit = append(a.out.Audit, x)
}

// auditEffect is the least effect that is told: what is smaller bears on no figure.
const auditEffect = 0.01

// explains are the factors whose effect is shown, by Bonferroni over all that were asked.
func (a *Answer) explains() (out []Audit) {
	for _, x := range a.Audit {
		if x.P != nil && x.Effect != nil && *x.P < stats.Alpha/float64(len(a.Audit)) && x.Mode != record.ModeE2E && math.Abs(*x.Effect) >= auditEffect {
			out = append(out, x)
		}
	}
	return out
}
