// Package figure describes figures as data: what is drawn over which axes, and in
// which role. It knows no paper. Package draw puts figures on it, and a page can draw
// them from their JSON.
//
// The opinions that figures hold:
//
//   - A figure shows what was measured and nothing beyond it: fitted lines end at the
//     outermost models, points that the data cannot carry are not drawn, and the
//     caption says which and why.
//   - Each axis has its unit, each figure says its backend, mode, scenario and number
//     of models, and each caption can be read without the report.
//   - What has an order, such as models by size, takes a ramp of colours; what has none,
//     such as backends, takes colours and shapes of a series.
package figure

import (
	"cmp"
	"math"
	"slices"
)

// Figure is one drawing. Its texts hold names as configs and machines have them, with
// whatever characters.
type Figure struct {
	Kind     string  `json:"kind"`
	Name     string  `json:"name"` // of its files, without an extension
	Title    string  `json:"title"`
	Subtitle string  `json:"subtitle"`
	Caption  string  `json:"caption"` // plain text, whole sentences
	X        Axis    `json:"x"`
	Other    *Axis   `json:"other,omitempty"` // that x can be switched to: points have their Other on it
	Panels   []Panel `json:"panels"`          // from the top: one, or two over the same x
	Legend   []Key   `json:"legend,omitempty"`
}

// Panel is what is drawn over one y axis.
type Panel struct {
	Y      Axis    `json:"y"`
	Layers []Layer `json:"layers"`
}

// Layer is one thing in a panel. The points of all layers lie over the bands and
// lines of all, else a later layer lies over an earlier one.
type Layer struct {
	Name   string    `json:"name,omitempty"` // of the legend's entry that hides and shows it; "": it always shows
	Look   Look      `json:"look"`
	Band   []Range   `json:"band,omitempty"`
	Line   []XY      `json:"line,omitempty"`
	Level  *float64  `json:"level,omitempty"` // y of a line through the whole panel
	Points []Point   `json:"points,omitempty"`
	Reach  string    `json:"reach,omitempty"`  // what the points' whiskers are; "": 95 % intervals
	Beyond []float64 `json:"beyond,omitempty"` // x of crosses along the upper edge, in a row for each layer
	End    string    `json:"end,omitempty"`    // written beside the axes, at the right end of the line or level
}

// Join sorts the points by x and draws a line through them.
func (l *Layer) Join() {
	slices.SortStableFunc(l.Points, func(a, b Point) int { return cmp.Compare(a.X, b.X) })
	for _, p := range l.Points {
		l.Line = append(l.Line, XY{p.X, p.Y})
	}
}

// Spans are what the points of layers take of both axes, with whiskers, levels and crosses.
func Spans(layers ...Layer) (x, y Span) {
	for _, l := range layers {
		if x.Add(l.Beyond...); l.Level != nil {
			y.Add(*l.Level)
		}
		for _, p := range l.Points {
			x.Add(p.X)
			if y.Add(p.Y); p.Whisker() {
				y.Add(p.Low, p.High)
			}
		}
	}
	return x, y
}

// mostAtOne is how many names stand at one x: more pile up.
const mostAtOne = 5

// NameOnce has each name stand beside the first of the points that have it, where few
// names have the same x.
func NameOnce(layers []Layer) {
	named := map[string]bool{}
	at := map[float64]int{}
	for _, l := range layers {
		for i := range l.Points {
			p := &l.Points[i]
			if p.Named, named[p.Name] = !named[p.Name], true; p.Named {
				at[p.X]++
			}
		}
	}
	for _, l := range layers {
		for i := range l.Points {
			p := &l.Points[i]
			p.Named = p.Named && at[p.X] <= mostAtOne
		}
	}
}

// XY is a place in the axes' units.
type XY struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Range is what a band has at one x.
type Range struct {
	X    float64 `json:"x"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Point is a mark, with a whisker from Low to High where High is above Low.
type Point struct {
	Name    string  `json:"name"`
	X       float64 `json:"x"`
	Other   float64 `json:"other,omitempty"` // on the figure's other axis; 0: it has no place there
	Y       float64 `json:"y"`
	Low     float64 `json:"low,omitempty"`
	High    float64 `json:"high,omitempty"`
	Named   bool    `json:"named,omitempty"` // its name stands beside it, if there is room
	Hollow  bool    `json:"hollow,omitempty"`
	N       int     `json:"n,omitempty"` // of how many of Of its value is made; 0: Of says what it is made of
	Of      string  `json:"of,omitempty"`
	Verdict string  `json:"verdict,omitempty"` // of its cell
	Note    string  `json:"note,omitempty"`    // what else is known of it, as "share of the ceiling: 83 %"
}

// Within gives the point a whisker of half a logarithm to either side, where half is a
// positive number.
func (p *Point) Within(half float64) {
	if half > 0 && !math.IsInf(half, 1) {
		p.Low, p.High = p.Y*math.Exp(-half), p.Y*math.Exp(half)
	}
}

// Whisker reports whether the point has one.
func (p Point) Whisker() bool { return p.High > p.Low }

// Key is an entry of the legend: a text, and parts of a layer as a sample.
type Key struct {
	Text    string `json:"text"`
	Look    Look   `json:"look"`
	Band    bool   `json:"band,omitempty"`
	Line    bool   `json:"line,omitempty"`
	Point   bool   `json:"point,omitempty"`
	Whisker bool   `json:"whisker,omitempty"`
	Hollow  bool   `json:"hollow,omitempty"`
}

// Key is the legend's entry of a layer, with a sample of all that the layer has. It
// gives the layer its name.
func (l *Layer) Key(text string) Key {
	l.Name = text
	k := Key{Text: text, Look: l.Look, Band: len(l.Band) > 0, Line: len(l.Line) > 0 || l.Level != nil}
	for _, p := range l.Points {
		k.Point, k.Whisker, k.Hollow = true, k.Whisker || p.Whisker(), p.Hollow
	}
	return k
}

// Drawn is one drawing on disk.
type Drawn struct {
	Kind    string // the figure's
	Name    string // file name without its extension
	Title   string
	Caption string // the figure's, and which names found no room
	PNGPath string // "": it lies nowhere that a page could name
	SVGPath string
	Figure  *Figure // from which a page draws; nil: the page shows the file
}

// OnPaper are the drawings without what a page would draw itself.
func OnPaper(figs []Drawn) []Drawn {
	figs = slices.Clone(figs)
	for i := range figs {
		figs[i].Figure = nil
	}
	return figs
}
