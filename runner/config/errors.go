package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/internal/text"
)

// Error is one thing that is wrong with a config. Line and Column count from 1
// and point at the value (at the key, where the key is what is wrong); both are
// 0 where no place in the file is at fault, as for a flag that overrides it.
// YAML's own syntax errors know their line only: Column is then that of the
// line's first character.
type Error struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Field  string `json:"field"` // as in backends[0].dtype, counted from 0; "" for the file as a whole
	Msg    string `json:"msg"`   // what is wrong and what would be right
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Msg)
	return text.Safe(b.String())
}

// Errors is all that is wrong with a config, sorted by line (for a file that is
// something else altogether, about the first thousand mistakes). It is never
// empty when returned, and errors.As finds its first *Error.
type Errors []*Error

const maxPrinted = 30 // lines that Errors.Error prints; the slice has them all

func (es Errors) Error() string {
	var lines []string
	for i, e := range es {
		if i == maxPrinted {
			lines = append(lines, fmt.Sprintf("and %d more", len(es)-i))
			break
		}
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors to errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// orNil sorts by place and keeps an empty list from becoming a non-nil error.
func (es Errors) orNil() error {
	if len(es) == 0 {
		return nil
	}
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return es
}

// didYouMean returns "; did you mean X?" for the nearest of the known words, or
// "" where none is near.
func didYouMean(got string, known []string) string {
	if best := text.Nearest(got, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// quote prints text from the file: quoted, and cut where it is long.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return strconv.Quote(s)
}

// plain prints a bound without exponent or trailing zeros.
func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
