package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Axis is an axis, which shows values from Min to Max.
type Axis struct {
	Label string  `json:"label"` // with the unit
	Log   bool    `json:"log,omitempty"`
	Falls bool    `json:"falls,omitempty"` // the least is farthest from the origin, as of ranks
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

// Span is a range that grows with the values put into it. The zero value is empty.
type Span struct{ Low, High float64 }

// Add widens the span to finite values.
func (s *Span) Add(values ...float64) {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if s.Low == 0 && s.High == 0 {
			s.Low, s.High = v, v
		}
		s.Low, s.High = min(s.Low, v), max(s.High, v)
	}
}

// String is the range of a count: "3", or "3 to 5".
func (s Span) String() string {
	if s.High > s.Low {
		return fmt.Sprintf("%.0f to %.0f", s.Low, s.High)
	}
	return fmt.Sprintf("%.0f", s.Low)
}

// LogAxis is a logarithmic axis over s, with some room at both ends.
func LogAxis(label string, s Span) Axis {
	a := Axis{Label: label, Log: true}
	room := max(math.Pow(s.High/s.Low, 0.06), 1.12)
	a.Min, a.Max = s.Low/room, s.High*room
	if s.High/s.Low < 1.5 {
		mid := math.Sqrt(s.Low * s.High)
		a.Min, a.Max = mid/1.6, mid*1.6
	}
	return a
}

// LinearAxis is a linear axis over s, with some room at both ends, at least atLeast
// wide, and never beyond floor and ceil (NaN: no bound).
func LinearAxis(label string, s Span, atLeast, floor, ceil float64) Axis {
	if s.High-s.Low < atLeast {
		s.Low -= (atLeast - (s.High - s.Low)) / 2
		s.High = s.Low + atLeast
	}
	room := (s.High - s.Low) * 0.07
	a := Axis{Label: label, Min: s.Low - room, Max: s.High + room}
	if a.Min < floor {
		a.Min = floor
	}
	if a.Max > ceil {
		a.Max = ceil
	}
	return a
}

// RoundNumbers are m * 10^e from lo to hi, for every whole e and each m of mantissas,
// which rise.
func RoundNumbers(lo, hi float64, mantissas ...float64) []float64 {
	var out []float64
	for e := int(math.Floor(math.Log10(lo))); e <= int(math.Ceil(math.Log10(hi))); e++ {
		for _, m := range mantissas {
			if v := Scientific(m, e); v >= lo && v <= hi {
				out = append(out, v)
			}
		}
	}
	return out
}

// Scientific is m * 10^e, rounded as the decimal literal would be.
func Scientific(m float64, e int) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(m, 'f', -1, 64)+"e"+strconv.Itoa(e), 64)
	if err != nil {
		return m * math.Pow10(e)
	}
	return v
}

// Number writes a round number, with commas between thousands from 10,000 on.
func Number(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if v < 10000 || strings.Contains(s, ".") {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// RatioAxis shows 1 beside the ratios, in logs where they differ much.
func RatioAxis(label string, s Span, atLeast, floor float64) Axis {
	if s.Add(1); s.High/s.Low > 6 {
		return LogAxis(label, s)
	}
	return LinearAxis(label, s, atLeast, floor, math.NaN())
}
