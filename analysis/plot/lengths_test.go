package plot

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/figure"
	"llmscale/analysis/plot/plottest"
)

func TestLengthFigure(t *testing.T) {
	models := small().Models[:2]
	figs := func(gens ...int) []figure.Drawn {
		r, err := plottest.Lengths(models, gens, 3, 3, 0, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		return write(t, r)
	}
	all := figs(8, 64)
	i := slices.IndexFunc(all, func(f figure.Drawn) bool { return f.Kind == "lengths" })
	if i < 0 {
		t.Fatalf("no figure of lengths among %v", names(all))
	}
	svg := checkXML(t, all[i].SVGPath)
	for _, text := range []string{"decode time per token (ms)", "length of the answer (tokens decoded)", models[0].Name, models[1].Name, "prompts of 16 tokens", "median of 3 calls"} {
		if !strings.Contains(svg, text) {
			t.Errorf("the figure does not say %q", text)
		}
	}
	// Of the scenarios' names gen8 comes last; the longest answers are gen64's.
	if got := names(all); !slices.Contains(got, "tokens tokens_native_cpu_q4_0_gen64") {
		t.Errorf("token times are not those of the longest answers: %v", got)
	}
	if got := figs(64); slices.ContainsFunc(got, func(f figure.Drawn) bool { return f.Kind == "lengths" }) {
		t.Errorf("one length has a figure: %v", names(got))
	}
}
