package draw

import (
	"math"
	"slices"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
)

// labels writes names beside points where there is room: never over a point, a
// whisker, another name or the frame, never nearer to another point than to its
// own, and beside the lines if that is possible.
type labels struct {
	at       place
	points   []figure.Point
	own      []vg.Rectangle // each point with its whisker
	segments [][2]vg.Point  // of lines, better not crossed
	taken    []vg.Rectangle // by points and text
}

func newLabels(at place, layers []figure.Layer) *labels {
	l := &labels{at: at}
	for _, layer := range layers {
		for _, pt := range layer.Points {
			c := at.xy(pt.X, pt.Y)
			own := grow(vg.Rectangle{Min: c, Max: c}, glyphRadius)
			if pt.Whisker() {
				own.Min.Y, own.Max.Y = min(own.Min.Y, at.y(pt.Low)-1), max(own.Max.Y, at.y(pt.High)+1)
			}
			l.points, l.own = append(l.points, pt), append(l.own, own)
		}
		pts := at.line(layer.Line)
		for i := 1; i < len(pts); i++ {
			l.segments = append(l.segments, [2]vg.Point{pts[i-1], pts[i]})
		}
	}
	return l
}

// directions from a point, and rings around it, in which a name is tried. The first
// that is free wins.
var (
	directions = []vg.Point{
		{X: 1, Y: 0}, {X: -1, Y: 0}, {X: 0, Y: 1}, {X: 0, Y: -1},
		{X: 1, Y: 1}, {X: -1, Y: 1}, {X: 1, Y: -1}, {X: -1, Y: -1},
	}
	rings = []vg.Length{3, 12, 24, 38}
)

// maxNames are tried in a panel. Of more, few would find room.
const maxNames = 100

// draw writes the names of the points that want it, and returns those without room.
func (l *labels) draw(c *draw.Canvas) (dropped []string) {
	sty := textStyle(9, false, ink)
	sty.XAlign, sty.YAlign = text.XCenter, text.YCenter
	l.taken = slices.Clone(l.own)
	named := 0
	for _, pt := range l.points {
		if pt.Named {
			named++
		}
	}
	every := 1 + (named-1)/maxNames
	nth := -1
	for i, pt := range l.points {
		if !pt.Named {
			continue
		}
		name := doc.Clean(pt.Name)
		if nth++; nth%every != 0 || !l.write(c, sty, i, name) {
			dropped = append(dropped, name)
		}
	}
	return dropped
}

// write writes the name of the i-th point, if there is room.
func (l *labels) write(c *draw.Canvas, sty text.Style, i int, name string) bool {
	pt := l.points[i]
	size := vg.Point{X: sty.Width(name), Y: 9}
	anchors := []vg.Point{l.at.xy(pt.X, pt.Y)}
	if pt.Whisker() {
		anchors = append(anchors, l.at.xy(pt.X, pt.High), l.at.xy(pt.X, pt.Low))
	}
	near := l.near(i, size)
	box, anchor, found := near.place(anchors, size, c.Rectangle, false)
	if !found {
		box, anchor, found = near.place(anchors, size, c.Rectangle, true)
	}
	if !found {
		return false
	}
	if at := nearest(box, anchor); dist(at, anchor) > glyphRadius+8 {
		c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.5}, anchor.X, anchor.Y, at.X, at.Y)
	}
	c.FillText(sty, vg.Point{X: (box.Min.X + box.Max.X) / 2, Y: (box.Min.Y + box.Max.Y) / 2}, name)
	l.taken = append(l.taken, grow(box, 1.5))
	return true
}

// surroundings are what may lie in the way of one point's name.
type surroundings struct {
	own      vg.Rectangle   // the point with its whisker
	others   []vg.Rectangle // points of other names
	taken    []vg.Rectangle // not to be covered
	segments [][2]vg.Point
}

// near are the surroundings of the i-th point, as far as a name of that size can lie.
func (l *labels) near(i int, size vg.Point) surroundings {
	far := rings[len(rings)-1] + glyphRadius + 2
	reach := l.own[i]
	reach.Min.X, reach.Max.X = reach.Min.X-2*far-size.X, reach.Max.X+2*far+size.X
	reach.Min.Y, reach.Max.Y = reach.Min.Y-2*far-size.Y, reach.Max.Y+2*far+size.Y
	out := surroundings{own: l.own[i]}
	for j, o := range l.own {
		if l.points[j].Name != l.points[i].Name && overlaps(reach, o) {
			out.others = append(out.others, o)
		}
	}
	for _, t := range l.taken {
		if overlaps(reach, t) {
			out.taken = append(out.taken, t)
		}
	}
	for _, s := range l.segments {
		if max(s[0].X, s[1].X) > reach.Min.X && min(s[0].X, s[1].X) < reach.Max.X {
			out.segments = append(out.segments, s)
		}
	}
	return out
}

// place finds the best free box for a name. Where the points lie too close together
// for a name to be clear by its place, crowded accepts one that keeps away from all of
// them: the line drawn to it tells whose it is.
func (near *surroundings) place(anchors []vg.Point, size vg.Point, frame vg.Rectangle, crowded bool) (best vg.Rectangle, bestAt vg.Point, found bool) {
	bestCost := math.Inf(1)
	for k, at := range anchors {
		for ring, far := range rings {
			if crowded && ring == 0 {
				continue
			}
			for j, d := range directions {
				box := beside(at, d, far, size)
				if !inside(box, frame) || overlapsAny(box, near.taken) || near.ambiguous(box, crowded) {
					continue
				}
				cost := float64(ring)*10 + float64(j)
				if k > 0 {
					cost += 4
				}
				if crossesAny(box, near.segments) {
					cost += 25
				}
				if cost < bestCost {
					best, bestAt, bestCost, found = box, at, cost, true
				}
			}
		}
	}
	return best, bestAt, found
}

// beside is the box of a name in direction d from a point.
func beside(at, d vg.Point, far vg.Length, size vg.Point) vg.Rectangle {
	center := vg.Point{
		X: at.X + d.X*(glyphRadius+far+size.X/2),
		Y: at.Y + d.Y*(glyphRadius+far+size.Y/2),
	}
	if far == rings[0] && d.X != 0 && d.Y != 0 { // on the diagonal a name may come closer
		center.X -= d.X * 3
	}
	return vg.Rectangle{
		Min: vg.Point{X: center.X - size.X/2, Y: center.Y - size.Y/2},
		Max: vg.Point{X: center.X + size.X/2, Y: center.Y + size.Y/2},
	}
}

// ambiguous reports whether a name at box would be read as another point's.
func (near *surroundings) ambiguous(box vg.Rectangle, crowded bool) bool {
	clear := apart(box, near.own) + 2
	if crowded {
		clear = 8
	}
	return slices.ContainsFunc(near.others, func(o vg.Rectangle) bool { return apart(box, o) < clear })
}

// apart is the distance between two boxes; 0 where they touch.
func apart(a, b vg.Rectangle) vg.Length {
	dx := max(a.Min.X-b.Max.X, b.Min.X-a.Max.X, 0)
	dy := max(a.Min.Y-b.Max.Y, b.Min.Y-a.Max.Y, 0)
	return vg.Length(math.Hypot(float64(dx), float64(dy)))
}

func inside(r, frame vg.Rectangle) bool {
	return r.Min.X >= frame.Min.X && r.Max.X <= frame.Max.X && r.Min.Y >= frame.Min.Y && r.Max.Y <= frame.Max.Y
}

func overlaps(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}

func overlapsAny(r vg.Rectangle, others []vg.Rectangle) bool {
	return slices.ContainsFunc(others, func(o vg.Rectangle) bool { return overlaps(r, o) })
}

func grow(r vg.Rectangle, by vg.Length) vg.Rectangle {
	return vg.Rectangle{Min: vg.Point{X: r.Min.X - by, Y: r.Min.Y - by}, Max: vg.Point{X: r.Max.X + by, Y: r.Max.Y + by}}
}

// crossesAny reports whether a segment runs through r, by steps of a quarter of
// its height.
func crossesAny(r vg.Rectangle, segments [][2]vg.Point) bool {
	for _, s := range segments {
		n := int(dist(s[0], s[1])/2) + 1
		for i := 0; i <= n; i++ {
			f := vg.Length(float64(i) / float64(n))
			x, y := s[0].X+f*(s[1].X-s[0].X), s[0].Y+f*(s[1].Y-s[0].Y)
			if x > r.Min.X && x < r.Max.X && y > r.Min.Y && y < r.Max.Y {
				return true
			}
		}
	}
	return false
}

func nearest(r vg.Rectangle, to vg.Point) vg.Point {
	return vg.Point{X: min(max(to.X, r.Min.X), r.Max.X), Y: min(max(to.Y, r.Min.Y), r.Max.Y)}
}

func dist(a, b vg.Point) vg.Length {
	return vg.Length(math.Hypot(float64(a.X-b.X), float64(a.Y-b.Y)))
}
