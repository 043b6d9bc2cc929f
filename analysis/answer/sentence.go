package answer

import (
	"fmt"
	"math"
	"slices"
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

// say makes a sentence of numbers, quotes and other sentences.
func say(format string, args ...any) Sentence {
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

// join makes "a, b and c".
func join(parts []Sentence, conjunction string) Sentence {
	out := Sentence{Text: text.List(stats.Map(parts, Sentence.String), conjunction)}
	for _, p := range parts {
		out.Numbers, out.Quotes = append(out.Numbers, p.Numbers...), append(out.Quotes, p.Quotes...)
	}
	return out
}

// Files of the analysis that much is taken from.
const (
	aggregates = "summary_by_model_backend_mode_agg.csv"
	policies   = "policies.csv"
)

// How many columns of a terminal a name may take in a sentence, and a machine's.
const (
	longestName    = 28
	longestMachine = 48
)

// name is a name from a config, a file or a machine.
func name(s string) string { return text.Elide(doc.Clean(s), longestName) }

// quote is a text of the analysis.
func quote(s, from string) Quote { return Quote{doc.Clean(s), from} }

// size is a number of parameters, which stand in millions.
func size(m float64, from string) Number {
	return Number{doc.Millions(m), m, from}
}

// atSize stands behind a model's name.
func atSize(m *float64, from string) Sentence {
	if m == nil {
		return say("")
	}
	return say(" (%s)", size(*m, from))
}

// fixed has a set number of decimals.
func fixed(v float64, decimals int, from string) Number {
	return Number{doc.Fixed(&v, decimals), v, from}
}

// digits has four significant ones at most.
func digits(v float64, from string) Number { return Number{doc.Size(v), v, from} }

// percent is a share.
func percent(share float64, from string) Number {
	return Number{doc.Fixed(new(100*share), 0) + " %", share, from}
}

func counted(n float64, from, one, many string) Sentence {
	what := many
	if n == 1 {
		what = one
	}
	return say("%s %s", digits(n, from), what)
}

// between is an interval in brackets; "" where it is not known.
func between(ci *stats.Interval, decimals int, low, high string) Sentence {
	if ci == nil {
		return say("")
	}
	return say(" [%s to %s]", fixed(ci.Low, decimals, low), fixed(ci.High, decimals, high))
}

// times is how many times as fast something is, by the ratio of its times.
func times(ratio float64, from string) Number {
	v := 1 / ratio
	switch {
	case v >= 1000:
		return Number{"over 1000", v, "1 / " + from}
	case v >= 10:
		return fixed(v, 1, "1 / "+from)
	}
	return fixed(v, 2, "1 / "+from)
}

// add appends what is not there.
func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// finite is whether an interval has both ends.
func finite(ci *stats.Interval) bool {
	return ci != nil && !math.IsInf(ci.Low, 0) && !math.IsInf(ci.High, 0)
}

// words are a key's words.
func words(key string) string { return strings.ReplaceAll(key, "_", " ") }
