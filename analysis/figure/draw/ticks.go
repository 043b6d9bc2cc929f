package draw

import (
	"math"
	"strconv"

	gplot "gonum.org/v1/plot"

	"llmscale/analysis/figure"
)

// logTicks labels decades where there are enough of them, else 1-2-5, else more.
type logTicks struct{}

// mantissas from the coarsest choice to the finest.
var mantissas = [][]float64{
	{1},
	{1, 3},
	{1, 2, 5},
	{1, 1.5, 2, 3, 5, 7},
	{1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9},
}

// Ticks implements plot.Ticker.
func (logTicks) Ticks(lo, hi float64) []gplot.Tick {
	var major []float64
	for i, set := range mantissas {
		major = figure.RoundNumbers(lo*(1-1e-9), hi*(1+1e-9), set...)
		if len(major) >= 4 || len(major) == 3 && (i == 0 || i == 3) {
			break
		}
	}
	step := 1 + (len(major)-1)/9 // at most 9 labels
	var ticks []gplot.Tick
	labelled := map[float64]bool{}
	for i, v := range major {
		if i%step == 0 {
			ticks = append(ticks, gplot.Tick{Value: v, Label: figure.Number(v)})
			labelled[v] = true
		}
	}
	for _, v := range figure.RoundNumbers(lo, hi, 1, 2, 3, 4, 5, 6, 7, 8, 9) {
		if !labelled[v] {
			ticks = append(ticks, gplot.Tick{Value: v})
		}
	}
	return ticks
}

// linearTicks are multiples of 1, 2 or 5 times a power of ten; whole numbers where all
// values are, as places.
type linearTicks struct{ whole bool }

// Ticks implements plot.Ticker.
func (t linearTicks) Ticks(lo, hi float64) []gplot.Tick {
	step, digits := tickStep(lo, hi)
	if t.whole && step < 1 {
		step, digits = 1, 0
	}
	var ticks []gplot.Tick
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9; k++ {
		v := k*step + 0 // never -0
		ticks = append(ticks, gplot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', digits, 64)})
	}
	return ticks
}

// tickStep is the least round step of which no more than eight lie between lo and hi,
// and the decimals that its multiples need.
func tickStep(lo, hi float64) (step float64, digits int) {
	for e := -12; ; e++ {
		for _, m := range []float64{1, 2, 5} {
			if step = figure.Scientific(m, e); (hi-lo)/step <= 8 || e == 15 {
				return step, max(0, -e)
			}
		}
	}
}
