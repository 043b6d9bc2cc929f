package plot

import (
	"math"
	"slices"

	gplot "gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// labels writes names beside points where there is room: never over a point, a
// whisker, another name or the frame, never nearer to another point than to its
// own, and beside the lines if that is possible. Names without room are left out
// and kept in dropped.
type labels struct {
	points  []mark  // all points that must stay visible; those annotated get names
	lines   []curve // better not crossed
	avoid   *bandwidths
	dropped []string
}

// places around a point, as directions; the first that is free wins.
var places = []vg.Point{
	{X: 1, Y: 0}, {X: -1, Y: 0}, {X: 0, Y: 1}, {X: 0, Y: -1},
	{X: 1, Y: 1}, {X: -1, Y: 1}, {X: 1, Y: -1}, {X: -1, Y: -1},
}

// rings are the distances from a point at which a name is tried.
var rings = []vg.Length{3, 12, 24, 38}

// Plot implements plot.Plotter.
func (l *labels) Plot(c draw.Canvas, p *gplot.Plot) {
	trX, trY := p.Transforms(&c)
	sty := textStyle(9, false, ink)
	sty.XAlign, sty.YAlign = text.XCenter, text.YCenter

	own := make([]vg.Rectangle, len(l.points)) // each point with its whisker
	for i, pt := range l.points {
		x, y, r := trX(pt.x), trY(pt.y), glyphRadius
		own[i] = vg.Rectangle{
			Min: vg.Point{X: x - r, Y: min(y-r, trY(pt.lo)-1)},
			Max: vg.Point{X: x + r, Y: max(y+r, trY(pt.hi)+1)},
		}
	}
	taken := slices.Clone(own)
	if l.avoid != nil {
		taken = append(taken, l.avoid.taken...)
	}
	var segments [][2]vg.Point
	for _, line := range l.lines {
		for i := 1; i < len(line.xs); i++ {
			segments = append(segments, [2]vg.Point{
				{X: trX(line.xs[i-1]), Y: trY(line.ys[i-1])}, {X: trX(line.xs[i]), Y: trY(line.ys[i])}})
		}
	}

	l.dropped = nil
	for i, pt := range l.points {
		if !pt.annotated {
			continue
		}
		name := clean(pt.name)
		size := vg.Point{X: sty.Width(name), Y: 9}
		x := trX(pt.x)
		anchors := []vg.Point{{X: x, Y: trY(pt.y)}}
		if pt.hi > pt.lo {
			anchors = append(anchors, vg.Point{X: x, Y: trY(pt.hi)}, vg.Point{X: x, Y: trY(pt.lo)})
		}
		best, bestAt, found := l.place(i, anchors, size, c.Rectangle, own, taken, segments, false)
		if !found {
			best, bestAt, found = l.place(i, anchors, size, c.Rectangle, own, taken, segments, true)
		}
		if !found {
			l.dropped = append(l.dropped, name)
			continue
		}
		if near := nearest(best, bestAt); dist(near, bestAt) > glyphRadius+8 {
			c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.5}, bestAt.X, bestAt.Y, near.X, near.Y)
		}
		c.FillText(sty, vg.Point{X: (best.Min.X + best.Max.X) / 2, Y: (best.Min.Y + best.Max.Y) / 2}, name)
		taken = append(taken, grow(best, 1.5))
	}
}

// place finds the best free box for the i-th point's name. Where the points lie
// too close together for a name to be clear by its place, crowded accepts one
// that keeps away from all of them: the line drawn to it tells whose it is.
func (l *labels) place(i int, anchors []vg.Point, size vg.Point, frame vg.Rectangle, own, taken []vg.Rectangle, segments [][2]vg.Point, crowded bool) (best vg.Rectangle, bestAt vg.Point, found bool) {
	bestCost := math.Inf(1)
	for k, at := range anchors {
		for ring, far := range rings {
			if crowded && ring == 0 {
				continue
			}
			for j, d := range places {
				box := beside(at, d, far, size)
				if !inside(box, frame) || overlapsAny(box, taken) || l.ambiguous(i, box, own, crowded) {
					continue
				}
				cost := float64(ring)*10 + float64(j)
				if k > 0 {
					cost += 4
				}
				if crossesAny(box, segments) {
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

// ambiguous reports whether the i-th point's name at box would be read as
// another point's.
func (l *labels) ambiguous(i int, box vg.Rectangle, own []vg.Rectangle, crowded bool) bool {
	clear := apart(box, own[i]) + 2
	if crowded {
		clear = 8
	}
	for j, o := range own {
		if l.points[j].name != l.points[i].name && apart(box, o) < clear {
			return true
		}
	}
	return false
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

func overlapsAny(r vg.Rectangle, others []vg.Rectangle) bool {
	for _, o := range others {
		if r.Min.X < o.Max.X && o.Min.X < r.Max.X && r.Min.Y < o.Max.Y && o.Min.Y < r.Max.Y {
			return true
		}
	}
	return false
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
