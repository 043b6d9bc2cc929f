package policy

import "testing"

// TestTurnsAreCounted: where verdicts take turns along the sizes, models are counted, and what holds for none of them is
// not said.
func TestTurnsAreCounted(t *testing.T) {
	spans := func(verdicts ...string) (out []Span) {
		for i, v := range verdicts {
			out = append(out, Span{Verdict: v, Models: 1 + i%2, LeastFast: .7 + .01*float64(i), MostFast: .8 + .01*float64(i)})
		}
		return out
	}
	for want, verdicts := range map[string][]string{
		"**slower** on 2 of 6 models (0.70 to 0.82 times as fast), no difference shown on the others":                                                                     {Slower, NotShown, Slower, NotShown},
		"**faster** on 4 of 6 models (0.71 to 0.83 times as fast), no difference shown on the others":                                                                     {NotShown, Faster, NotShown, Faster},
		"mixed over the sizes: **faster** on 2 of 6 models (0.70 to 0.82 times as fast), **slower** on the others (0.71 to 0.83 times as fast)":                           {Faster, Slower, Faster, Slower},
		"**faster** on 1 of 6 models (0.70 to 0.80 times as fast), no difference shown on 3, **unknown** on the others (fewer than 3 calls)":                              {Faster, NotShown, NotShown, Unknown},
		"no difference shown on 2 of 6 models, **unknown** on the others (fewer than 3 calls)":                                                                            {NotShown, Unknown, NotShown, Unknown},
		"mixed over the sizes: **faster** on 1 of 6 models (0.70 to 0.80 times as fast), **slower** on 3 (0.71 to 0.82 times as fast), no difference shown on the others": {Faster, Slower, Slower, NotShown},
	} {
		if got := spansText(Trend{Axis: "flash_attn", Spans: spans(verdicts...)}); got != want {
			t.Errorf("%v:\n%s\nwant\n%s", verdicts, got, want)
		}
	}
}
