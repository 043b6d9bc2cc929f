package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Forms of a range.
const rangeForms = "FROM..TO, FROM..TO+STEP or FROM..TO*FACTOR"

var rangeForm = regexp.MustCompile(`^([0-9_]+)\.\.([0-9_]+)(?:([+*])([0-9_]+))?$`)

func (f *Field) isRange(n *yaml.Node) bool {
	return f.Type == Int && n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, "..")
}

// values are the values that an item of a list stands for: itself, or those of a range. Both ends of a range are
// among them: one that would step over its end is refused.
func (f *Field) values(n *yaml.Node) ([]*yaml.Node, string) {
	if !f.isRange(n) {
		return []*yaml.Node{n}, ""
	}
	bad := func() ([]*yaml.Node, string) {
		return nil, fmt.Sprintf("a range is %s in whole numbers without blanks, for example 1..8 or 1..4096*2, not %s", rangeForms, quote(n.Value))
	}
	sub := rangeForm.FindStringSubmatch(n.Value)
	if sub == nil {
		return bad()
	}
	by := []int64{0, 0, 1} // from, to, step or factor
	for i, s := range []string{sub[1], sub[2], sub[4]} {
		if s == "" {
			continue
		}
		v, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
		if !decimalInt.MatchString(s) {
			return bad()
		}
		if err != nil { // beyond any integer
			return nil, f.outOfRange(clip(s), false)
		}
		by[i] = v
	}
	from, to, step, op := by[0], by[1], by[2], sub[3]
	for _, end := range []int64{from, to} {
		if float64(end) < f.Min || float64(end) > f.Max {
			return nil, f.outOfRange(strconv.FormatInt(end, 10), float64(end) < f.Min)
		}
	}
	switch {
	case from == to:
		return nil, fmt.Sprintf("%s is one value; write %d", quote(n.Value), from)
	case from > to:
		return nil, fmt.Sprintf("a range rises, %s does not; write its smaller end first", quote(n.Value))
	case op == "*" && step < 2:
		return nil, fmt.Sprintf("the factor of a range must be at least 2, not %d", step)
	case op == "*" && from == 0:
		return nil, fmt.Sprintf("0 times %d stays 0; start at 1 and write the 0 before it: [0, 1..%d*%d]", step, to, step)
	case step < 1:
		return nil, fmt.Sprintf("the step of a range must be at least 1, not %d", step)
	case op != "*" && (to-from)/step >= maxEntries:
		return nil, fmt.Sprintf("%s has %d values; a list has at most %d, write for example a factor, FROM..TO*2", quote(n.Value), (to-from)/step+1, maxEntries)
	}
	var out []*yaml.Node
	last := from
	for v := from; ; {
		out = append(out, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10), Line: n.Line, Column: n.Column})
		last = v
		if op == "*" && v > to/step || op != "*" && v > to-step { // asked first: the next value may be beyond any integer
			break
		} else if op == "*" {
			v *= step
		} else {
			v += step
		}
	}
	switch {
	case last == to:
		return out, ""
	case last == from:
		return nil, fmt.Sprintf("%s has no second value; write [%d, %d]", quote(n.Value), from, to)
	}
	return nil, fmt.Sprintf("%s steps over its end: its last value is %d; write %d..%d%s%d, and %d beside it if you want that too", quote(n.Value), last, from, last, op, step, to)
}
