package regimes

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/optimize"

	"llmscale/analysis/stats"
)

// Costs of the law that the cells of one backend and mode have in common. In ms, a
// cell takes
//
//	fixed + max(reading, computing)
//	fixed     = call * passes + layer * layers * passes
//	computing = weight * weights * passes + op * operations + position * operations of attention
//
// Reading is not fitted: it is bytes over the rate that the probe measured at as many
// bytes. Of reading and computing the longer counts, as in a roofline (Williams et al.
// 2009), because a processor computes with what it has while it reads on. Where no probe
// was made, reading is part of what a weight costs, and weights beyond the cache cost
// more by what byte says.
const (
	perCall = iota
	perLayer
	perWeight // in a pass, however many tokens it is multiplied with: unpacking
	perOp
	perPosition
	perByte // beyond the last cache, where no probe tells
	nCosts
)

// costs are in ms each.
type costs [nCosts]float64

// minModels is the number of sizes from which a fixed cost is told from one that grows.
const minModels = 3

// sample is a cell as the fit sees it.
type sample struct {
	model string
	ms    float64 // of the device, without what the host is known to add
	x     costs   // how often it pays each cost
	read  float64 // ms; 0 where no probe tells
}

func (s *sample) sum(t *costs, from, to int) (ms float64) {
	for k := from; k <= to; k++ {
		ms += float64(t[k] * s.x[k])
	}
	return ms
}

func (s *sample) fixed(t *costs) float64     { return s.sum(t, perCall, perLayer) }
func (s *sample) compute(t *costs) float64   { return s.sum(t, perWeight, perByte) }
func (s *sample) attention(t *costs) float64 { return s.sum(t, perPosition, perPosition) }
func (s *sample) total(t *costs) float64     { return s.fixed(t) + max(s.read, s.compute(t)) }

// Constants of the fit.
const (
	huberWidth = 0.05 // of a time: beyond it a deviation counts by its size, no more by its square
	tiny       = 1e-4 // what a cost as large as can be adds to the loss: a cost that no time needs is 0
	starts     = 12
)

// fit finds the costs that are least off the cells' times, relative to them, by a
// pseudo-Huber loss: one cell in ten that a neighbour slowed does not bend it. With a
// start it looks near that.
func fit(all []sample, start *costs) (best costs) {
	var most costs // no cost exceeds what it would take of the cell where it weighs most
	var free []int
	for k := range most {
		most[k] = math.Inf(1)
		for i := range all {
			if x := all[i].x[k]; x > 0 {
				most[k] = min(most[k], all[i].ms/x)
			}
		}
		if !math.IsInf(most[k], 1) {
			free = append(free, k)
		}
	}
	if len(free) == 0 {
		return best
	}
	// A square is never negative, and may be 0.
	at := func(z []float64) (t costs) {
		for i, k := range free {
			t[k] = most[k] * z[i] * z[i]
		}
		return t
	}
	problem := optimize.Problem{Func: func(z []float64) float64 {
		t, loss := at(z), 0.0
		for i := range all {
			r := math.Log(all[i].ms/max(all[i].total(&t), 1e-9*all[i].ms)) / huberWidth
			loss += math.Sqrt(1+r*r) - 1
		}
		for _, v := range z {
			loss += tiny * v * v
		}
		return loss
	}}
	var from [][]float64
	if start != nil {
		z := make([]float64, len(free))
		for i, k := range free {
			z[i] = max(0.05, math.Sqrt(start[k]/most[k]))
		}
		from = append(from, z)
	} else {
		rng := rand.New(rand.NewPCG(1, 2)) // the same costs from the same records
		for range starts {
			z := make([]float64, len(free))
			for i := range z {
				z[i] = rng.Float64()
			}
			from = append(from, z)
		}
	}
	least := math.Inf(1)
	for _, z := range from {
		for range 3 { // a simplex may collapse early; begun anew it goes on
			r, _ := optimize.Minimize(problem, z, &optimize.Settings{FuncEvaluations: 3000,
				Converger: &optimize.FunctionConverge{Absolute: 1e-7, Iterations: 60}}, &optimize.NelderMead{})
			if r == nil {
				break
			}
			if z = r.X; r.F < least {
				least, best = r.F, at(z)
			}
		}
	}
	return best
}

// law is the fit, and the fits without one model each, from which intervals come.
type law struct {
	at      costs
	without []costs
	models  int
	split   bool // cells with different numbers of tokens in a pass: what a weight costs once is told from what it costs a token
	probed  bool
}

func fitLaw(all []sample) *law {
	models, _ := stats.GroupBy(all, func(s sample) string { return s.model })
	if len(models) < minModels {
		return nil
	}
	l := &law{at: fit(all, nil), models: len(models)}
	for _, m := range models {
		l.without = append(l.without, fit(slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.model == m }), &l.at))
	}
	perPass := map[float64]bool{}
	for i := range all {
		perPass[math.Round(all[i].x[perOp]/all[i].x[perWeight])] = true
		l.probed = l.probed || all[i].read > 0
	}
	l.split = len(perPass) > 1
	return l
}

// interval is the jackknife's of a figure that follows from the costs, over the fits
// without one model each, and not below 0.
func (l *law) interval(of func(*costs) float64) (v float64, ci stats.Interval) {
	v = of(&l.at)
	half := stats.Jackknife(stats.Map(l.without, func(t costs) float64 { return of(&t) }))
	return v, stats.Interval{Low: max(0, v-half), High: v + half}
}
