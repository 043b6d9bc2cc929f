package plot

import (
	"cmp"
	"fmt"
	"slices"

	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis"
	"llmscale/runner/record"
)

// tokenFigures show decode time by position in the answer, one figure for each
// backend, for the scenario that most models have; among equals the one with
// the longest prompt, then with the longest answers.
func (b *book) tokenFigures() []*sheet {
	var out []*sheet
	for _, s := range b.series {
		scenario := b.tokenScenario(s)
		var lines []analysis.TokenSeries
		for _, t := range b.r.Tokens {
			if t.Backend == s.backend && t.BatchSize == s.batch && t.Scenario == scenario && len(t.MedianMS) > 1 {
				lines = append(lines, t)
			}
		}
		if len(lines) > 0 {
			out = append(out, b.tokenSheet(s, scenario, lines))
		}
	}
	return out
}

func (b *book) tokenScenario(s series) string {
	models := map[string]int{}
	var names []string
	for _, t := range b.r.Tokens {
		if t.Backend == s.backend && t.BatchSize == s.batch && len(t.MedianMS) > 1 {
			if models[t.Scenario]++; models[t.Scenario] == 1 {
				names = append(names, t.Scenario)
			}
		}
	}
	prompt, answer := map[string]float64{}, map[string]float64{}
	for _, c := range b.r.Cells {
		if c.Backend == s.backend && c.Mode == record.ModeDecode && c.PromptTokens != nil {
			prompt[c.Scenario] = max(prompt[c.Scenario], *c.PromptEach())
			answer[c.Scenario] = max(answer[c.Scenario], value(c.AnswerTokens()))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.MaxFunc(names, func(a, c string) int {
		return cmp.Or(cmp.Compare(models[a], models[c]), cmp.Compare(prompt[a], prompt[c]), cmp.Compare(answer[a], answer[c]), cmp.Compare(a, c))
	})
}

func (b *book) tokenSheet(s series, scenario string, lines []analysis.TokenSeries) *sheet {
	slices.SortStableFunc(lines, func(a, c analysis.TokenSeries) int { return cmp.Compare(value(a.ParamsM), value(c.ParamsM)) })
	p := newPlot()
	sh := &sheet{
		kind:   KindTokens,
		name:   "tokens_" + s.backend + "_" + scenario + s.suffix(),
		title:  fmt.Sprintf("Decode time token by token: %s, %s", s, scenarioTitle(scenario)),
		xLabel: "position in the answer (tokens decoded)",
		yLabel: "decode time of one token (ms)",
		plot:   p,
	}
	var x, y span
	reps := span{}
	ends := &endLabels{}
	for i, t := range lines {
		c := rampColor(i, len(lines))
		bd := band{color: faint(c, 0x26)}
		line := curve{style: draw.LineStyle{Color: c, Width: 1.3}}
		for k, v := range t.MedianMS {
			if v <= 0 {
				continue
			}
			pos := float64(k + 1)
			line.xs, line.ys = append(line.xs, pos), append(line.ys, v)
			x.add(pos)
			y.add(v)
			if k < len(t.MinMS) && k < len(t.MaxMS) && t.MinMS[k] > 0 {
				bd.xs, bd.lo, bd.hi = append(bd.xs, pos), append(bd.lo, t.MinMS[k]), append(bd.hi, t.MaxMS[k])
				y.add(t.MinMS[k], t.MaxMS[k])
			}
		}
		if len(line.xs) == 0 {
			continue
		}
		p.Add(bd, line)
		reps.add(float64(t.Reps))
		ends.add(clean(t.Model), line.ys[len(line.ys)-1], c)
	}
	p.Add(ends)
	linearAxis(&p.X, x, 2, 0, x.hi)
	logAxis(&p.Y, y)
	sh.right = ends.width()
	calls := fmt.Sprintf("%.0f", reps.lo)
	if reps.hi > reps.lo {
		calls = fmt.Sprintf("%.0f to %.0f", reps.lo, reps.hi)
	}
	sh.subtitle = fmt.Sprintf("mode kv_decode · %s · lines: median over %s calls at each position · bands: fastest to slowest call",
		count(len(lines), "model", "models"), calls)
	sh.caption = func() string {
		return fmt.Sprintf("Decode time by position in the answer, for %s in %s. Lines are medians over the calls (%s for each model), bands reach from the fastest to the slowest call at that position; the colour runs from the smallest model (dark) to the largest. "+
			"A line that rises shows what a longer KV cache costs; one that falls at the start shows warming up.", s, scenarioTitle(scenario), calls)
	}
	return sh
}

func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// endLabels names lines at their right ends, outside the axes, in the order of
// their height and pushed apart where they are too close.
type endLabels struct {
	entries []endLabel
}

type endLabel struct {
	name  string
	y     float64
	color draw.LineStyle
}

const (
	endRow   = vg.Length(11)
	endIndex = vg.Length(16) // from the axes to the name
	endMax   = vg.Length(130)
)

func (e *endLabels) style() text.Style {
	sty := textStyle(9, false, ink)
	sty.YAlign = text.YCenter
	return sty
}

func (e *endLabels) add(name string, y float64, c interface {
	RGBA() (r, g, b, a uint32)
}) {
	e.entries = append(e.entries, endLabel{ellipsis(e.style(), name, endMax), y, draw.LineStyle{Color: c, Width: 1}})
}

// width is what the names need beside the axes.
func (e *endLabels) width() vg.Length {
	w := vg.Length(0)
	for _, l := range e.entries {
		w = max(w, e.style().Width(l.name))
	}
	return w + endIndex + 2
}

// Plot implements plot.Plotter.
func (e *endLabels) Plot(c draw.Canvas, p *gplot.Plot) {
	_, trY := p.Transforms(&c)
	entries := slices.Clone(e.entries)
	slices.SortStableFunc(entries, func(a, b endLabel) int { return cmp.Compare(b.y, a.y) })
	at := make([]vg.Length, len(entries))
	want := make([]vg.Length, len(entries))
	for i, l := range entries {
		want[i] = trY(l.y)
	}
	spread(at, want, min(endRow, (c.Max.Y-c.Min.Y)/vg.Length(max(1, len(entries)))), c.Min.Y, c.Max.Y)
	for i, l := range entries {
		c.StrokeLines(l.color, []vg.Point{{X: c.Max.X + 1, Y: want[i]}, {X: c.Max.X + endIndex - 3, Y: at[i]}})
		c.FillText(e.style(), vg.Point{X: c.Max.X + endIndex, Y: at[i]}, l.name)
	}
}

// spread puts at[i], in falling order, as near to want[i] as a distance of row
// between neighbours and the frame allow.
func spread(at, want []vg.Length, row, lo, hi vg.Length) {
	// Blocks of touching labels share their mean displacement; merging blocks
	// that overlap, from the top, is the pool-adjacent-violators algorithm.
	type block struct {
		n   int
		sum vg.Length // of want + i*row, so that a block is a constant in this frame
	}
	var blocks []block
	for i, w := range want {
		b := block{1, w + vg.Length(i)*row}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.sum/vg.Length(last.n) >= b.sum/vg.Length(b.n) {
				break
			}
			b.n, b.sum = b.n+last.n, b.sum+last.sum
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	i := 0
	top := hi
	bottom := lo + vg.Length(len(want)-1)*row // in the shifted frame
	for _, b := range blocks {
		level := min(max(b.sum/vg.Length(b.n), bottom), top)
		for range b.n {
			at[i] = level - vg.Length(i)*row
			i++
		}
	}
}
