package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"llmscale/analysis/stats"
	words "llmscale/internal/text"
)

// none stands in a table for what is not known.
const none = "–"

// number has four significant digits, all digits before the point, and no
// exponent unless it is tiny.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
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

func numberOf(v *float64) string {
	if v == nil {
		return none
	}
	return number(*v)
}

// fixed has a set number of decimals: slopes, R², ratios.
func fixed(v *float64, decimals int) string {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return none
	}
	return strconv.FormatFloat(*v, 'f', decimals, 64)
}

func percent(fraction *float64) string {
	if fraction == nil {
		return none
	}
	return strconv.FormatFloat(100**fraction, 'f', 1, 64)
}

func interval(i *stats.Interval, decimals int) string {
	if i == nil {
		return none
	}
	return fixed(&i.Low, decimals) + " to " + fixed(&i.High, decimals)
}

// pValue never claims more than three decimals.
func pValue(p *float64) string {
	switch {
	case p == nil:
		return none
	case *p < 0.001:
		return "< 0.001"
	}
	return fixed(p, 3)
}

// quantile says what there was and what it takes, where there is no value.
func quantile(p stats.Percentile) string {
	switch {
	case p.Value != nil:
		return number(*p.Value)
	case p.Need > 0:
		return fmt.Sprintf("too few (%d of %d)", p.N, p.Need)
	}
	return none
}

// size is a number without trailing zeros.
func size(v float64) string {
	s := number(v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func sizeOf(v *float64) string {
	if v == nil {
		return none
	}
	return size(*v)
}

// params is a size in millions, as a sentence says it.
func params(m *float64) string {
	if m == nil {
		return "unknown size"
	}
	if *m >= 1000 {
		return size(*m/1000) + " billion parameters"
	}
	return size(*m) + " million parameters"
}

func count(n int, one, many string) string { return words.Counted(n, one, many) }

// join makes "a, b and c".
func join(parts []string) string {
	return words.List(parts, "and")
}

// upper starts a sentence.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
