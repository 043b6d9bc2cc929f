package stats

import (
	"math"
	"slices"
)

// grouping is values by their groups.
type grouping struct {
	of    [][]float64
	means []float64
	at    []int   // group of each value
	n     float64 // values
	share float64 // sum of the groups' sizes squared, over n
}

func newGrouping(values []float64, group []string) (g grouping) {
	var names []string
	for i, v := range values {
		at := slices.Index(names, group[i])
		if at < 0 {
			at = len(names)
			names, g.of = append(names, group[i]), append(g.of, nil)
		}
		g.of[at], g.at = append(g.of[at], v), append(g.at, at)
	}
	g.n = float64(len(values))
	for _, values := range g.of {
		n, sum := float64(len(values)), 0.0
		for _, v := range values {
			sum += v
		}
		g.means, g.share = append(g.means, sum/n), g.share+n*n/g.n
	}
	return g
}

// OneWay are the two variances of values in groups of any sizes: of a value about its group, and of the groups, by the
// analysis of variance of a one-way random layout (Searle, Casella and McCulloch 1992, section 3.6). The second is an
// unbiased estimate, and may be negative. ok is false below two groups, and where none has two values.
func OneWay(values []float64, group []string) (within, between float64, ok bool) {
	g := newGrouping(values, group)
	j := float64(len(g.of))
	if j < 2 || g.n <= j {
		return 0, 0, false
	}
	mean := 0.0
	for _, v := range values {
		mean += v / g.n
	}
	for k, values := range g.of {
		between += float64(len(values)) * (g.means[k] - mean) * (g.means[k] - mean) / (j - 1)
		for _, v := range values {
			within += (v - g.means[k]) * (v - g.means[k]) / (g.n - j)
		}
	}
	return within, (between - within) / ((g.n - g.share) / (j - 1)), true
}

// MissingBetween is the share of the groups' variance that the variance of all values lacks: 0 where each group has one.
func MissingBetween(group []string) float64 {
	g := newGrouping(make([]float64, len(group)), group)
	if g.n < 2 {
		return 0
	}
	return 1 - (g.n-g.share)/(g.n-1)
}

// OffGroups are the values less their groups' means, stretched so that their scatter is as without that: what groups do
// to values drops out. Of one group they are the values themselves; of groups of one value each there are none.
func OffGroups(values []float64, group []string) []float64 {
	g := newGrouping(values, group)
	j := float64(len(g.of))
	switch {
	case j < 2:
		return values
	case g.n <= j:
		return nil
	}
	out, stretch := make([]float64, len(values)), math.Sqrt((g.n-1)/(g.n-j))
	for i, v := range values {
		out[i] = stretch * (v - g.means[g.at[i]])
	}
	return out
}
