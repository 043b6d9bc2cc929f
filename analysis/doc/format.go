package doc

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

// Unknown stands in a table for what is not known.
const Unknown = "–"

// Number has four significant digits, all digits before the point, and no exponent
// unless it is tiny.
func Number(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return Unknown
	case a == 0:
		return "0"
	case a < 1e-4:
		return strconv.FormatFloat(v, 'e', 3, 64)
	}
	// The exponent after rounding: 999.96 has four digits as 1000.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(a, 'e', 3, 64), 64)
	if err != nil {
		rounded = a
	}
	return strconv.FormatFloat(v, 'f', max(0, 3-int(math.Floor(math.Log10(rounded)))), 64)
}

// known is a value as f prints it, or a dash.
func known[T any](v *T, f func(T) string) string {
	if v == nil {
		return Unknown
	}
	return f(*v)
}

func NumberOf(v *float64) string { return known(v, Number) }

// Fixed has a set number of decimals: slopes, R², ratios.
func Fixed(v *float64, decimals int) string {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return Unknown
	}
	s := strconv.FormatFloat(*v, 'f', decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

// Whole has no decimals from 10 on: MiB, MHz, degrees, which are not known to less.
func Whole(v *float64) string {
	if v != nil && *v > -10 && *v < 10 {
		return Fixed(v, 1)
	}
	return Fixed(v, 0)
}

func Percent(fraction *float64) string {
	return known(fraction, func(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) })
}

func Interval(i *stats.Interval, decimals int) string {
	return known(i, func(i stats.Interval) string { return Fixed(&i.Low, decimals) + " to " + Fixed(&i.High, decimals) })
}

// PValue never claims more than three decimals.
func PValue(p *float64) string {
	switch {
	case p == nil:
		return Unknown
	case *p < 0.001:
		return "< 0.001"
	}
	return Fixed(p, 3)
}

// Quantile says what there was and what it takes, where there is no value.
func Quantile(p stats.Percentile) string {
	switch {
	case p.Value != nil:
		return Number(*p.Value)
	case p.Need > 0:
		return fmt.Sprintf("too few (%d of %d)", p.N, p.Need)
	}
	return Unknown
}

// Size is a number without trailing zeros.
func Size(v float64) string {
	s := Number(v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func SizeOf(v *float64) string { return known(v, Size) }

// Params is a size in millions, as a sentence says it.
func Params(m *float64) string {
	if m == nil {
		return "unknown size"
	}
	if *m >= 1000 {
		return Size(*m/1000) + " billion parameters"
	}
	return Size(*m) + " million parameters"
}

func Count(n int, one, many string) string { return words.Counted(n, one, many) }

// Join makes "a, b and c".
func Join(parts []string) string {
	return words.List(parts, "and")
}

// Upper starts a sentence.
func Upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Span is the range of what was added.
type Span struct {
	Lo, Hi float64
	Known  bool
}

func (s *Span) Add(v *float64) {
	switch {
	case v == nil:
	case !s.Known:
		s.Lo, s.Hi, s.Known = *v, *v, true
	default:
		s.Lo, s.Hi = min(s.Lo, *v), max(s.Hi, *v)
	}
}

func (s Span) Text(of func(float64) string) string {
	if !s.Known {
		return "an unknown number of"
	}
	if lo, hi := of(s.Lo), of(s.Hi); lo != hi {
		return lo + " to " + hi
	}
	return of(s.Lo)
}

func (s Span) String() string { return s.Text(Number) }

func (s Span) Three() string { return s.Text(func(v float64) string { return Fixed(&v, 3) }) }

func (s Span) Percent() string { return s.Text(func(v float64) string { return Percent(&v) }) }

func NumberText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// Numbers prints an interval with the digits of number.
func Numbers(i *stats.Interval) string {
	return known(i, func(i stats.Interval) string { return Number(i.Low) + " to " + Number(i.High) })
}

// OrPlain is text that is escaped already, or a dash.
func OrPlain(s string) string {
	if s == "" {
		return Unknown
	}
	return s
}

// OrNone is text, or a dash.
func OrNone(s string) string {
	if s == "" {
		return Unknown
	}
	return Text(s)
}

// Plain prints a count that went through a median.
func Plain(v *float64) string { return strings.TrimSuffix(Fixed(v, 1), ".0") }

// SignedPercent is a share as a percentage with one decimal that shows its sign.
func SignedPercent(share *float64) string {
	return known(share, func(v float64) string {
		v = math.Round(1000*v)/10 + 0 // never -0
		if v > 0 {
			return "+" + Fixed(&v, 1)
		}
		return Fixed(&v, 1)
	})
}

// Millions is a size in millions of parameters in three digits: 2.83M, 1.17B.
func Millions(m float64) string {
	unit := "M"
	if m >= 1000 {
		m, unit = m/1000, "B"
	}
	if v, err := strconv.ParseFloat(strconv.FormatFloat(m, 'g', 3, 64), 64); err == nil {
		m = v
	}
	return strconv.FormatFloat(m, 'f', -1, 64) + unit
}
