package plot

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// bytesFigure puts decode time per token against the weight bytes that a token
// must read. A model bound by memory bandwidth lies on a line of constant GB/s.
func (b *book) bytesFigure() []figure.Figure {
	bytes := map[cells.ModelKey]int64{}
	for _, m := range b.r.Models {
		bytes[cells.ModelKey{Backend: m.Backend, Model: m.Name}] = m.BytesPerToken
	}
	bytesOf := func(g cells.Aggregate) int64 { return bytes[cells.ModelKey{Backend: g.Backend, Model: g.Model}] }
	var drawn []cells.Aggregate
	for _, g := range b.r.Aggregates {
		if g.Mode == record.ModeDecode && g.MSPerToken != nil && bytesOf(g) > 0 {
			drawn = append(drawn, g)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	shown, means := stats.GroupBy(drawn, func(g cells.Aggregate) cells.Series { return g.Series() })
	shown, left := figure.First(shown, "backends")
	var x, y, rates figure.Span
	var plain []string
	var layers []figure.Layer
	var legend []figure.Key
	named := map[string]bool{}
	for _, s := range shown {
		l := figure.Layer{Look: b.look(s)}
		for _, g := range means[s] {
			pt := figure.Point{Name: g.Model, X: float64(bytesOf(g)) * 1e-6, Y: *g.MSPerToken, Named: !named[g.Model]}
			named[g.Model] = true
			x.Add(pt.X)
			y.Add(pt.Y)
			rates.Add(pt.X / pt.Y)
			l.Points = append(l.Points, pt)
		}
		layers, plain = append(layers, l), append(plain, s.Title())
		legend = append(legend, l.Key(fmt.Sprintf("%s (%s)", s.Title(), count(len(l.Points), "model", "models"))))
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
