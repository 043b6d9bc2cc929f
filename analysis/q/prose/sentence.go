package prose

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
)

// Sentence is plain text, with each number in it.
type Sentence struct {
	Text    string   `json:"text"`
	Numbers []Number `json:"numbers,omitempty"`
	Quotes  []Quote  `json:"quotes,omitempty"`
}

// Number is a number as a sentence shows it, its value, and where that stands: a file of
// the analysis and a column (of JSON a path); with "1 / " before it the value is over
// one. "rows of FILE" counts those with the values behind it, "different COLUMN of FILE"
// the values of a column.
type Number struct {
	Shown string  `json:"shown"`
	Value float64 `json:"value"`
	From  string  `json:"from"`
}

// Quote is text that the analysis has made.
type Quote struct {
	Text string `json:"text"`
	From string `json:"from"`
}

func (n Number) String() string   { return n.Shown }
func (q Quote) String() string    { return q.Text }
func (s Sentence) String() string { return s.Text }

// Say makes a sentence of numbers, quotes and other sentences.
func Say(format string, args ...any) Sentence {
	s := Sentence{Text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		switch x := arg.(type) {
		case Number:
			s.Numbers = append(s.Numbers, x)
		case Quote:
			s.Quotes = append(s.Quotes, x)
		case Sentence:
			s.Numbers, s.Quotes = append(s.Numbers, x.Numbers...), append(s.Quotes, x.Quotes...)
		}
	}
	return s
}

// Join makes "a, b and c".
func Join(parts []Sentence, conjunction string) Sentence {
	return joined(text.List(stats.Map(parts, Sentence.String), conjunction), parts)
}

// Commas makes "a, b, c".
func Commas(parts []Sentence) Sentence {
	return joined(strings.Join(stats.Map(parts, Sentence.String), ", "), parts)
}

// Semicolons makes "a; b; c".
func Semicolons(parts []Sentence) Sentence {
	return joined(strings.Join(stats.Map(parts, Sentence.String), "; "), parts)
}

func joined(s string, parts []Sentence) Sentence {
	out := Sentence{Text: s}
	for _, p := range parts {
		out.Numbers, out.Quotes = append(out.Numbers, p.Numbers...), append(out.Quotes, p.Quotes...)
	}
	return out
}

// How many columns of a terminal a name may take in a sentence.
const longestName = 28

// Name is a name from a config, a file or a machine.
func Name(s string) string { return text.Elide(doc.Clean(s), longestName) }

// Quoted is a text of the analysis.
func Quoted(s, from string) Quote { return Quote{doc.Clean(s), from} }

// Size is a number of parameters, which stand in millions.
func Size(m float64, from string) Number { return Number{doc.Millions(m), m, from} }

// Sized is a model's name with its size, where that is known.
func Sized(model string, m *float64, from string) Sentence {
	if m == nil {
		return Say("%s", Name(model))
	}
	return Say("%s (%s)", Name(model), Size(*m, from))
}

// AtSize is " at 134M"; "" where the size is not known.
func AtSize(m *float64, from string) Sentence {
	if m == nil {
		return Say("")
	}
	return Say(" at %s", Size(*m, from))
}

// Fixed has a set number of decimals.
func Fixed(v float64, decimals int, from string) Number {
	return Number{doc.Fixed(&v, decimals), v, from}
}

// Digits has four significant ones at most.
func Digits(v float64, from string) Number { return Number{doc.Size(v), v, from} }

// Percent is a share.
func Percent(share float64, from string) Number {
	return Number{doc.Fixed(new(100*share), 0) + " %", share, from}
}

// Counted is a number of things.
func Counted(n float64, from, one, many string) Sentence {
	what := many
	if n == 1 {
		what = one
	}
	return Say("%s %s", Digits(n, from), what)
}

// Between is an interval in brackets; "" where an end is not known.
func Between(ci *stats.Interval, number func(v float64, from string) Number, low, high string) Sentence {
	if ci == nil || math.IsInf(ci.Low, 0) || math.IsInf(ci.High, 0) {
		return Say("")
	}
	return Say(" [%s to %s]", number(ci.Low, low), number(ci.High, high))
}

// Decimals is Fixed with so many.
func Decimals(n int) func(v float64, from string) Number {
	return func(v float64, from string) Number { return Fixed(v, n, from) }
}

// Times is how many times as fast something is, by the ratio of its times.
func Times(ratio float64, from string) Number {
	v := 1 / ratio
	switch {
	case v >= 1000:
		return Number{"over 1000", v, "1 / " + from}
	case v >= 10:
		return Fixed(v, 1, "1 / "+from)
	}
	return Fixed(v, 2, "1 / "+from)
}

// Lower begins a text in the middle of a sentence.
func Lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
