package plot

import (
	"math"
	"strconv"
	"strings"

	gplot "gonum.org/v1/plot"
)

// span is a range that grows with the values put into it.
type span struct{ lo, hi float64 }

func (s *span) add(values ...float64) {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if s.lo == 0 && s.hi == 0 {
			s.lo, s.hi = v, v
		}
		s.lo, s.hi = min(s.lo, v), max(s.hi, v)
	}
}

// logAxis makes a logarithmic axis over s, with some room at both ends.
func logAxis(a *gplot.Axis, s span) {
	room := max(math.Pow(s.hi/s.lo, 0.06), 1.12)
	a.Min, a.Max = s.lo/room, s.hi*room
	if s.hi/s.lo < 1.5 {
		mid := math.Sqrt(s.lo * s.hi)
		a.Min, a.Max = mid/1.6, mid*1.6
	}
	a.Scale = gplot.LogScale{}
	a.Tick.Marker = logTicks{}
}

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
	first, last := int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
	var major []float64
	for i, set := range mantissas {
		major = major[:0]
		for e := first; e <= last; e++ {
			for _, m := range set {
				if v := pow10(m, e); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
					major = append(major, v)
				}
			}
		}
		if len(major) >= 4 || len(major) == 3 && (i == 0 || i == 3) {
			break
		}
	}
	step := 1 + (len(major)-1)/9 // at most 9 labels
	var ticks []gplot.Tick
	labelled := map[float64]bool{}
	for i, v := range major {
		if i%step == 0 {
			ticks = append(ticks, gplot.Tick{Value: v, Label: tickLabel(v)})
			labelled[v] = true
		}
	}
	for e := first; e <= last; e++ {
		for m := 1.0; m <= 9; m++ {
			if v := pow10(m, e); v >= lo && v <= hi && !labelled[v] {
				ticks = append(ticks, gplot.Tick{Value: v})
			}
		}
	}
	return ticks
}

// pow10 is m * 10^e, rounded as the decimal literal would be.
func pow10(m float64, e int) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(m, 'f', -1, 64)+"e"+strconv.Itoa(e), 64)
	if err != nil {
		return m * math.Pow10(e)
	}
	return v
}

// tickLabel writes a round number, with commas between thousands.
func tickLabel(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if v < 10000 || strings.Contains(s, ".") {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// linearAxis makes a linear axis over s, with some room at both ends, at least
// atLeast wide, and never beyond floor and ceil (NaN: no bound).
func linearAxis(a *gplot.Axis, s span, atLeast, floor, ceil float64) {
	if s.hi-s.lo < atLeast {
		s.lo -= (atLeast - (s.hi - s.lo)) / 2
		s.hi = s.lo + atLeast
	}
	room := (s.hi - s.lo) * 0.07
	a.Min, a.Max = s.lo-room, s.hi+room
	if a.Min < floor {
		a.Min = floor
	}
	if a.Max > ceil {
		a.Max = ceil
	}
	a.Tick.Marker = linearTicks{}
}

// linearTicks are multiples of 1, 2 or 5 times a power of ten.
type linearTicks struct{}

// Ticks implements plot.Ticker.
func (linearTicks) Ticks(lo, hi float64) []gplot.Tick {
	step, digits := 1.0, 0
	for e := -12; e < 16; e++ {
		done := false
		for _, m := range []float64{1, 2, 5} {
			step, digits = pow10(m, e), max(0, -e)
			if done = (hi-lo)/step <= 8; done {
				break
			}
		}
		if done {
			break
		}
	}
	var ticks []gplot.Tick
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9; k++ {
		v := k*step + 0 // never -0
		ticks = append(ticks, gplot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', digits, 64)})
	}
	return ticks
}
