package regimes

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// BytesKind is the kind of the figure of decode times against weight bytes.
const BytesKind = "bytes"

// bytesFigure puts decode time per token against the weight bytes that a token must
// read. A model bound by memory bandwidth lies on a line of constant GB/s. There is one,
// or none.
func (a *Answer) bytesFigure() []figure.Figure {
	var x, y, rates figure.Span
	var plain []string
	var layers []figure.Layer
	var legend []figure.Key
	named := map[string]bool{}
	for _, s := range a.set.Series {
		l := figure.Layer{Look: prose.Look(a.set, s)}
		for _, m := range a.set.ModelsOf(s.Backend) {
			g := a.set.Aggregate(s, m.Name, record.ModeDecode)
			if g == nil || g.MSPerToken == nil || m.BytesPerToken <= 0 {
				continue
			}
			pt := figure.Point{Name: m.Name, X: float64(m.BytesPerToken) * 1e-6, Y: *g.MSPerToken, Named: !named[m.Name]}
			named[m.Name] = true
			x.Add(pt.X)
			y.Add(pt.Y)
			rates.Add(pt.X / pt.Y)
			l.Points = append(l.Points, pt)
		}
		if len(l.Points) > 0 {
			layers, plain = append(layers, l), append(plain, s.Title())
			legend = append(legend, l.Key(fmt.Sprintf("%s (%s)", s.Title(), doc.Count(len(l.Points), "model", "models"))))
		}
	}
	if len(layers) == 0 {
		return nil
	}
	layers, left := figure.First(layers, "backends")
	plain, legend = plain[:len(layers)], legend[:len(layers)]
	f := figure.Figure{
		Kind:     BytesKind,
		Name:     "decode_bytes",
		Title:    "Decode time against weight bytes: " + prose.Backends(plain) + ", all scenarios",
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
