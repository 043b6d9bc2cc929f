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

// Number has four significant digits, all digits before the point, and no
// exponent unless it is tiny.
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

func NumberOf(v *float64) string {
	if v == nil {
		return Unknown
	}
	return Number(*v)
}

// Fixed has a set number of decimals: slopes, R², ratios.
func Fixed(v *float64, decimals int) string {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return Unknown
	}
	return strconv.FormatFloat(*v, 'f', decimals, 64)
}

func Percent(fraction *float64) string {
	if fraction == nil {
		return Unknown
	}
	return strconv.FormatFloat(100**fraction, 'f', 1, 64)
}

func Interval(i *stats.Interval, decimals int) string {
	if i == nil {
		return Unknown
	}
	return Fixed(&i.Low, decimals) + " to " + Fixed(&i.High, decimals)
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

func SizeOf(v *float64) string {
	if v == nil {
		return Unknown
	}
	return Size(*v)
}

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
