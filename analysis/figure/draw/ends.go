package draw

import (
	"cmp"
	"slices"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
)

const (
	endRow   = vg.Length(11)
	endIndex = vg.Length(16) // from the axes to the name
	endMax   = vg.Length(130)
)

// end is a name at the right end of a line, outside the axes.
type end struct {
	name string
	y    float64
	line draw.LineStyle
}

func endStyle() text.Style {
	sty := textStyle(9, false, ink)
	sty.YAlign = text.YCenter
	return sty
}

// ends are the names that layers have at their right ends.
func ends(layers []figure.Layer) []end {
	var out []end
	for _, l := range layers {
		e := end{ellipsis(endStyle(), doc.Clean(l.End), endMax), 0, draw.LineStyle{Color: colorOf(l.Look.Color), Width: 1}}
		switch {
		case l.End == "":
			continue
		case l.Level != nil:
			e.y = *l.Level
		case len(l.Line) > 0:
			e.y = l.Line[len(l.Line)-1].Y
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// endRoom is what the names need beside the axes.
func (p *panel) endRoom() vg.Length {
	w := vg.Length(0)
	for _, e := range ends(p.layers) {
		w = max(w, endStyle().Width(e.name)+endIndex+2)
	}
	return w
}

// drawEnds writes the names in the order of their height, pushed apart where they are
// too close.
func drawEnds(c *draw.Canvas, at place, ends []end) {
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(at.y(b.y), at.y(a.y)) })
	want := make([]vg.Length, len(ends))
	for i, e := range ends {
		want[i] = at.y(e.y)
	}
	got := spread(want, min(endRow, (c.Max.Y-c.Min.Y)/vg.Length(max(1, len(ends)))), c.Min.Y, c.Max.Y)
	for i, e := range ends {
		c.StrokeLines(e.line, []vg.Point{{X: c.Max.X + 1, Y: want[i]}, {X: c.Max.X + endIndex - 3, Y: got[i]}})
		c.FillText(endStyle(), vg.Point{X: c.Max.X + endIndex, Y: got[i]}, e.name)
	}
}

// spread gives heights, in falling order, as near to those wanted as a distance of row
// between neighbours and the frame allow.
func spread(want []vg.Length, row, lo, hi vg.Length) []vg.Length {
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
	bottom := lo + vg.Length(len(want)-1)*row // in the shifted frame
	var out []vg.Length
	for _, b := range blocks {
		level := min(max(b.sum/vg.Length(b.n), bottom), hi)
		for range b.n {
			out = append(out, level-vg.Length(len(out))*row)
		}
	}
	return out
}
