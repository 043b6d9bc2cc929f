package weights

import (
	"fmt"
	"strings"
	"testing"

	"llmscale/analysis/stats"
)

// TestFastestTold: over several models a sentence says where the calls leave it open which type is fastest.
func TestFastestTold(t *testing.T) {
	clear, open := &stats.Interval{Low: 1.1, High: 1.5}, &stats.Interval{Low: .9, High: 1.2}
	answers := func(leads ...*stats.Interval) (out []*Verdict) {
		for i, ci := range leads {
			out = append(out, &Verdict{Work: Work{Model: fmt.Sprint("m", i)}, Base: "f32",
				Decode: Fastest{Type: "f16", BaseRatio: 1.2, Next: "f32", NextRatio: 1.2, NextRatioCI: ci}})
		}
		return out
	}
	const says = "the calls do not tell it from the next"
	for want, as := range map[string][]*Verdict{
		"most bytes).":                         answers(clear, clear, clear, clear),
		"most bytes; on 2 of 4 " + says + ").": answers(clear, open, nil, clear),
		"most bytes; on 3 of 3 " + says + ").": answers(open, nil, open),
	} {
		if got := fastestOverModels(as, "here"); !strings.HasSuffix(got, want) {
			t.Errorf("want %q: %s", want, got)
		}
	}
}
