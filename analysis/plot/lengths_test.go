package plot

import (
	"slices"
	"testing"

	"llmscale/analysis/figure"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/plot/plottest"
)

func TestLengthFigure(t *testing.T) {
	models := small().Models[:2]
	figs := func(gens ...int) []figure.Figure {
		r, err := plottest.Lengths(models, gens, 3, 3, 0, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		return figures(r)
	}
	all := figs(8, 64)
	drawn := figuretest.Only(all, "lengths")
	if len(drawn) != 1 {
		t.Fatalf("figures of lengths: %v", figuretest.Names(drawn))
	}
	figuretest.Says(t, drawn[0], "decode time per token (ms)", "length of the answer (tokens decoded)", models[0].Name, models[1].Name, "prompts of 16 tokens", "median of 3 calls")
	// Of the scenarios' names gen8 comes last; the longest answers are gen64's.
	if got := figuretest.Names(all); !slices.Contains(got, "tokens tokens_native_cpu_q4_0_gen64") {
		t.Errorf("token times are not those of the longest answers: %v", got)
	}
	if got := figs(64); len(figuretest.Only(got, "lengths")) > 0 {
		t.Errorf("one length has a figure: %v", figuretest.Names(got))
	}
}
