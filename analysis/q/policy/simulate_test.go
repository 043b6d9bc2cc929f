package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"llmscale/analysis/cells"
)

// world makes up what two sides measured over sizes: processes that differ, calls that scatter, and blocks that drift,
// both sides and all sizes of one alike.
type world struct {
	name           string
	sizes, blocks  int
	ratio          func(millions float64) float64
	process, drift float64
}

// ladder are sizes from 5 million up to 1.3 billion.
func ladder(n int) (out []float64) {
	for i := range n {
		out = append(out, 5*math.Pow(256, float64(i)/float64(n-1)))
	}
	return out
}

func (w *world) draw(rng *rand.Rand) (out []Size) {
	drift := make([]float64, w.blocks)
	for b := range drift {
		drift[b] = w.drift * rng.NormFloat64()
	}
	for _, m := range ladder(w.sizes) {
		side := func(ms float64) cells.Times {
			t := cells.Times{ByBlock: map[int][]float64{}}
			for b := range w.blocks {
				mean := ms * math.Exp(drift[b]+w.process*rng.NormFloat64())
				for range 4 {
					t.ByBlock[b] = append(t.ByBlock[b], mean*math.Exp(.02*rng.NormFloat64()))
				}
				t.All = append(t.All, t.ByBlock[b]...)
			}
			return t
		}
		ms := math.Pow(m, .8)
		out = append(out, Size{m, []cells.Times{side(ms)}, []cells.Times{side(ms * w.ratio(m))}, 1})
	}
	return out
}

// trialsOf is how many a test makes: all where they are asked for.
func trialsOf(few, all int) int {
	if os.Getenv("LLMSCALE_TRIALS") == "all" {
		return all
	}
	return few
}

// TestWhereAChoiceMatters: the interval of the size from which a choice changes a time by more than 10 % covers it in 90 to
// 98 % of trials, where the ratio follows a line and where it levels off at both ends.
func TestWhereAChoiceMatters(t *testing.T) {
	trials := trialsOf(200, 2000)
	const truth = 60.0 // million
	line := func(m float64) float64 { return math.Pow(m/truth, -.15) / Matters }
	levels := func(m float64) float64 { // from 1 to half
		x := math.Log(m/truth) - math.Log(.5/(1-1/Matters)-1)
		return 1 - .5/(1+math.Exp(-x))
	}
	if math.Abs(levels(truth)*Matters-1) > 1e-9 {
		t.Fatalf("the made-up ratio is %v at %v", levels(truth), truth)
	}
	for _, w := range []world{
		{"line", 6, 5, line, .02, .1}, {"line", 9, 5, line, .02, .1}, {"line", 6, 3, line, .02, .1}, {"line", 9, 3, line, .02, .1},
		{"levels off", 6, 5, levels, .02, .1}, {"levels off", 9, 5, levels, .02, .1}, {"levels off", 6, 3, levels, .02, .1}, {"levels off", 9, 3, levels, .02, .1},
		{"line, noisy", 9, 5, line, .05, .1},
	} {
		rng := rand.New(rand.NewPCG(uint64(w.sizes), uint64(w.blocks)))
		covered, told, straight, width := 0, 0, 0, 0.0
		for range trials {
			o := OverSizes(w.draw(rng))
			if o.Curve.Straight {
				straight++
			}
			rows := slices.DeleteFunc(Policy{}.judge(&o), func(p Policy) bool { return p.Verdict != FromOn || p.Effect != Faster })
			if len(rows) != 1 {
				continue
			}
			p := rows[0]
			told++
			if p.FromHigh != nil && *p.FromHigh >= truth && (p.FromLow == nil || *p.FromLow <= truth) {
				covered++
			}
			if p.FromLow != nil {
				width += math.Log(*p.FromHigh / *p.FromLow)
			}
		}
		share := float64(covered) / float64(told)
		what := fmt.Sprintf("%s, %d sizes, %d blocks", w.name, w.sizes, w.blocks)
		t.Logf("%s: told in %.1f %%, covered in %.1f %%, a line in %.1f %%, width a factor of %.2f", what, 100*float64(told)/float64(trials), 100*share, 100*float64(straight)/float64(trials), math.Exp(width/float64(told)))
		slack := 0.0
		if trials < 500 {
			slack = .02
		}
		if told < trials*8/10 || share < .90-slack || share > .98+slack {
			t.Errorf("%s: told %d of %d, covered %.1f %%", what, told, trials, 100*share)
		}
	}
}

// TestChoicesThatDoNothing: where the ratio is 1 at all sizes, a change is told in 5 % of trials at most, and where processes
// differ by 2 %, that it lies within 10 %.
func TestChoicesThatDoNothing(t *testing.T) {
	trials := trialsOf(200, 2000)
	one := func(float64) float64 { return 1 }
	for _, w := range []world{{"one", 6, 5, one, .02, .1}, {"one", 9, 5, one, .02, .1}, {"one", 6, 3, one, .02, .1}, {"one", 9, 3, one, .02, .1}, {"one, noisy", 9, 3, one, .1, .2}} {
		rng := rand.New(rand.NewPCG(uint64(w.sizes), uint64(w.blocks)))
		verdicts, trends := map[string]int{}, map[string]int{}
		for range trials {
			o := OverSizes(w.draw(rng))
			for _, p := range (Policy{}).judge(&o) {
				verdicts[p.Verdict]++
				trends[p.Trend]++
			}
		}
		wrong := trials - verdicts[Never] - verdicts[Unknown]
		t.Logf("%s, %d sizes, %d blocks: %v, trends %v", w.name, w.sizes, w.blocks, verdicts, trends)
		if float64(wrong) > .05*float64(trials) || w.process == .02 && w.blocks == 5 && verdicts[Never] < trials*8/10 {
			t.Errorf("%s, %d sizes, %d blocks: %v", w.name, w.sizes, w.blocks, verdicts)
		}
	}
}
