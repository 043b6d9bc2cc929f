package profile

import (
	"cmp"
	"slices"
)

// gapBins are the lower bounds of the bins that gaps are counted in, ns: a launch takes a few µs, and what waits for
// the host takes tens or hundreds.
var gapBins = []int64{0, 1_000, 10_000, 100_000, 1_000_000}

const longestGaps = 10

// add counts the gaps of a step, whose work is sorted by start, and returns their sum: the step's time less the union
// of its activities, on whatever lanes they overlap. Longest has all until shorten.
func (g *Gaps) add(s *stepWork) (idleNS int64) {
	until, after := s.step.StartNS, ""
	gap := func(end int64, before string) {
		if ns := end - until; ns > 0 {
			idleNS += ns
			g.Longest = append(g.Longest, Gap{Step: s.index, StartNS: until - s.step.StartNS, NS: ns, After: after, Before: before})
		}
	}
	for _, a := range s.work {
		gap(min(a.StartNS, s.step.EndNS), a.Name)
		if end := min(a.EndNS, s.step.EndNS); end > until {
			until, after = end, a.Name
		}
	}
	gap(s.step.EndNS, "")
	return idleNS
}

// shorten counts the gaps, and leaves the longest.
func (g *Gaps) shorten() {
	g.Bins = make([]GapBin, len(gapBins))
	for i, from := range gapBins {
		g.Bins[i].FromNS = from
	}
	g.Count = len(g.Longest)
	for _, gap := range g.Longest {
		at, exact := slices.BinarySearch(gapBins, gap.NS)
		if !exact {
			at--
		}
		g.TotalNS += gap.NS
		g.Bins[at].Count++
		g.Bins[at].TotalNS += gap.NS
	}
	slices.SortStableFunc(g.Longest, func(a, b Gap) int { return cmp.Compare(b.NS, a.NS) })
	g.Longest = slices.Clone(g.Longest[:min(len(g.Longest), longestGaps)])
}
