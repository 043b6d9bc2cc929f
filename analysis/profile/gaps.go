package profile

import (
	"cmp"
	"slices"
)

// gapBins are the lower bounds of the bins that gaps are counted in, ns: a launch takes a few µs, and what waits for
// the host takes tens or hundreds.
var gapBins = []int64{0, 1_000, 10_000, 100_000, 1_000_000}

const longestGaps = 10

type gapCounter struct{ gaps Gaps }

func newGapCounter() *gapCounter {
	c := &gapCounter{Gaps{Bins: make([]GapBin, len(gapBins)), Longest: []Gap{}}}
	for i, from := range gapBins {
		c.gaps.Bins[i].FromNS = from
	}
	return c
}

// add counts the gaps of a step, whose work is sorted by start, and returns their sum: the step's time less the union
// of its activities, on whatever lanes they overlap.
func (c *gapCounter) add(s *stepWork) (idleNS int64) {
	until, after := s.step.StartNS, ""
	gap := func(end int64, before string) {
		if ns := end - until; ns > 0 {
			idleNS += ns
			c.count(Gap{Step: s.index, StartNS: until - s.step.StartNS, NS: ns, After: after, Before: before})
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

func (c *gapCounter) count(g Gap) {
	c.gaps.Count++
	c.gaps.TotalNS += g.NS
	bin := 0
	for i, from := range gapBins {
		if g.NS >= from {
			bin = i
		}
	}
	c.gaps.Bins[bin].Count++
	c.gaps.Bins[bin].TotalNS += g.NS
	c.gaps.Longest = append(c.gaps.Longest, g)
	if len(c.gaps.Longest) > 50*longestGaps {
		c.shorten()
	}
}

func (c *gapCounter) shorten() {
	slices.SortStableFunc(c.gaps.Longest, func(a, b Gap) int { return cmp.Compare(b.NS, a.NS) })
	c.gaps.Longest = c.gaps.Longest[:min(len(c.gaps.Longest), longestGaps)]
}

func (c *gapCounter) result() Gaps {
	c.shorten()
	return c.gaps
}
