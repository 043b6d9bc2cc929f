package ceilings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/internal/text"
)

// steady is the relative spread of passes up to which a figure is called so.
const steady = 0.05

// Headline says in a few lines what the figures come to: how fast memory is read, how fast is computed, what it costs
// to start work, how far the passes of each scattered, and what disturbed them.
func (d *Device) Headline() []string {
	type figure struct {
		what   string
		spread float64
	}
	var phrases []string
	var figures []figure
	var largest *Bandwidth
	best := BestWays(d.Bandwidth)
	for i := range best {
		if b := &best[i]; b.Op == Read && (largest == nil || b.WorkingSetB >= largest.WorkingSetB && !b.Cold) {
			largest = b
		}
	}
	if largest != nil {
		phrases = append(phrases, fmt.Sprintf("reads memory at %sB/s (%s)", scaled(largest.BytesPerS, " G", " T"), text.Size(largest.WorkingSetB)))
		figures = append(figures, figure{"reading", largest.RelativeSpread})
	}
	if len(d.Compute) > 0 {
		c := slices.MaxFunc(d.Compute, func(a, b Compute) int {
			return cmp.Or(compareBool(a.Sustained, b.Sustained), cmp.Compare(a.FlopPerS, b.FlopPerS))
		})
		unit := ""
		if c.Unit != FMA32 {
			unit = " (" + c.Unit + ")"
		}
		phrases = append(phrases, scaled(c.FlopPerS/2, " billion ", " trillion ")+"multiply-adds per second"+unit)
		figures = append(figures, figure{"arithmetic", c.RelativeSpread})
	}
	if len(d.Launch) > 0 {
		l := slices.MinFunc(d.Launch, func(a, b Launch) int { return cmp.Compare(a.US, b.US) })
		phrases = append(phrases, fmt.Sprintf("%.3g us to start work (%s)", l.US, strings.ReplaceAll(l.How, "_", " ")))
		figures = append(figures, figure{"starting work", l.RelativeSpread})
	}
	if len(phrases) == 0 {
		return nil
	}
	out := []string{strings.Join(phrases, ", ")}
	var spreads []string
	worst := 0.0
	for _, f := range figures {
		spreads = append(spreads, fmt.Sprintf("%.1f %% (%s)", 100*f.spread, f.what))
		worst = max(worst, f.spread)
	}
	verdict := "steady"
	if worst > steady {
		verdict = "unsteady"
	}
	out = append(out, verdict+": the middle half of the passes differs by "+strings.Join(spreads, ", "))
	if len(d.Disturbed) > 0 {
		out = append(out, "disturbed: "+strings.Join(d.Disturbed, "; "))
	}
	return out
}

// scaled prints v in 10^9, or in 10^12 where that leaves 1 or more.
func scaled(v float64, giga, tera string) string {
	if v >= 1e12 {
		return fmt.Sprintf("%.3g%s", v/1e12, tera)
	}
	return fmt.Sprintf("%.3g%s", v/1e9, giga)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// BestWays has of the ways in which a working set was gone through the one with
// the best median, by operation and rising size.
func BestWays(all []Bandwidth) []Bandwidth {
	type key struct {
		op   string
		size int64
		cold bool
	}
	best := map[key]Bandwidth{}
	at := map[string]int{} // operations, in the order in which they were measured
	for _, b := range all {
		k := key{b.Op, b.WorkingSetB, b.Cold}
		if b.BytesPerS > best[k].BytesPerS {
			best[k] = b
		}
		if _, ok := at[b.Op]; !ok {
			at[b.Op] = len(at)
		}
	}
	return slices.SortedFunc(maps.Values(best), func(a, b Bandwidth) int {
		return cmp.Or(at[a.Op]-at[b.Op], cmp.Compare(a.WorkingSetB, b.WorkingSetB), cmp.Compare(b.BytesPerS, a.BytesPerS))
	})
}
