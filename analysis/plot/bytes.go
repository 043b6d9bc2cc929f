package plot

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/runner/record"
)

// bytesFigure puts decode time per token against the weight bytes that a token
// must read. A model bound by memory bandwidth lies on a line of constant GB/s.
func (b *book) bytesFigure() []figure.Figure {
	var layers []figure.Layer
	var shown []cells.Series
	named := map[string]bool{}
	for _, s := range b.series {
		l := figure.Layer{Look: b.look(s)}
		for _, model := range b.r.Models {
			if model.Backend != s.Backend || model.BytesPerToken <= 0 {
				continue
			}
			if ms, n := b.msPerToken(s, model.Name); n > 0 {
				l.Points = append(l.Points, figure.Point{Name: model.Name, X: float64(model.BytesPerToken) * 1e-6, Y: ms, Named: !named[model.Name]})
				named[model.Name] = true
			}
		}
		if len(l.Points) > 0 {
			layers, shown = append(layers, l), append(shown, s)
		}
	}
	if len(layers) == 0 {
		return nil
	}
	layers, left := figure.First(layers, "backends")
	var x, y, rates figure.Span
	var plain []string
	var legend []figure.Key
	for i := range layers {
		for _, pt := range layers[i].Points {
			x.Add(pt.X)
			y.Add(pt.Y)
			rates.Add(pt.X / pt.Y)
		}
		plain = append(plain, shown[i].Title())
		legend = append(legend, layers[i].Key(fmt.Sprintf("%s (%s)", shown[i].Title(), count(len(layers[i].Points), "model", "models"))))
	}
	f := figure.Figure{
		Kind:     KindBytes,
		Name:     "decode_bytes",
		Title:    "Decode time against weight bytes: " + backendsTitle(plain) + ", all scenarios",
		Subtitle: "mode kv_decode · geometric mean over scenarios of the median time per token" + left,
		Caption: "Decode time per token against the weight bytes that one token reads, for " + strings.Join(plain, ", ") +
			". Dashed lines are constant rates of reading weights: models that run along one of them are bound by that bandwidth, models above it spend time on something else. " +
			"Reads of the KV cache are not counted, and a rate above the memory's bandwidth means that weights stayed in a cache.",
		X: figure.LogAxis("weights read per decoded token (MB)", x),
	}
	axis := figure.LogAxis("decode time per token (ms)", y)
	guides := constantRates(f.X, axis, rates)
	if len(guides) > 0 {
		legend = append(legend, guides[0].Key("constant rate of reading weights"))
	}
	f.Legend = legend
	f.Panels = []figure.Panel{{Y: axis, Layers: append(guides, layers...)}}
	return []figure.Figure{f}
}

// msPerToken is the geometric mean over n scenarios of a model's decode time per
// token.
func (b *book) msPerToken(s cells.Series, model string) (ms float64, n int) {
	sum := 0.0
	for _, c := range b.r.CellsOf(cells.AllScenarios) {
		if c.Mode == record.ModeDecode && c.Backend == s.Backend && c.BatchSize == s.BatchSize && c.Model == model &&
			c.MSPerToken != nil && *c.MSPerToken > 0 {
			sum += math.Log(*c.MSPerToken)
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return math.Exp(sum / float64(n)), n
}

// constantRates are lines of round rates around those of the data, which cross the
// frame: x is in MB and y in ms, so x/y is in GB/s.
func constantRates(x, y figure.Axis, data figure.Span) []figure.Layer {
	lo, hi := data.Low/2.5, data.High*2.5
	mantissas := []float64{1, 2, 5}
	if math.Log10(hi/lo) > 2.5 {
		mantissas = []float64{1}
	}
	var out []figure.Layer
	for _, rate := range figure.RoundNumbers(lo, hi, mantissas...) {
		from, to := max(x.Min, rate*y.Min), min(x.Max, rate*y.Max)
		if to/from < 1.5 {
			continue
		}
		out = append(out, figure.Layer{
			Look:   figure.Muted().Stroke(0.7, 4, 3),
			Line:   []figure.XY{{X: from, Y: from / rate}, {X: to, Y: to / rate}},
			OnLine: figure.Number(rate) + " GB/s",
		})
	}
	return out
}
