// Package draw puts figures on paper, as PNG and SVG.
//
// The opinions it holds:
//
//   - Colours come from a palette that colour-blind readers can tell apart, and
//     shapes repeat what colours say. What has an order takes a sequential palette,
//     what has none a categorical one.
//   - A name stands beside its point only where it can be read as that point's. The
//     caption lists names that found no room.
//   - The same figure gives the same bytes.
package draw

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/internal/durable"
	words "llmscale/internal/text"
)

const (
	sheetWidth  = 8 * vg.Inch
	sheetHeight = 5.5 * vg.Inch
	tallHeight  = 7 * vg.Inch // with two panels
	sheetDPI    = 144
	maxListed   = 20 // names without room that a caption lists
)

// Write draws figures into dir, which it makes if need be, each as PNG and as SVG, on
// all processors.
// Files of earlier calls are overwritten where the names are the same.
func Write(dir string, figs []figure.Figure) ([]figure.Drawn, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	figs = slices.Clone(figs)
	taken := map[string]bool{}
	for i := range figs {
		figs[i].Name = uniqueName(fileName(figs[i].Name), taken)
	}
	drawn, errs := make([]figure.Drawn, len(figs)), make([]error, len(figs))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(figs)) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(figs)); i = next.Add(1) - 1 {
				if drawn[i], errs[i] = write(dir, clean(figs[i])); errs[i] != nil {
					errs[i] = fmt.Errorf("draw: %s: %w", figs[i].Name, errs[i])
				}
			}
		})
	}
	all.Wait()
	return drawn, cmp.Or(errs...)
}

// clean makes one printable line of each text, which holds names from configs and
// machines.
func clean(f figure.Figure) figure.Figure {
	f.Title, f.Subtitle, f.Caption = doc.Clean(f.Title), doc.Clean(f.Subtitle), doc.Clean(f.Caption)
	f.X.Label = doc.Clean(f.X.Label)
	f.Legend = slices.Clone(f.Legend)
	for i := range f.Legend {
		f.Legend[i].Text = doc.Clean(f.Legend[i].Text)
	}
	return f
}

// write draws f on both kinds of canvas and writes the two files.
func write(dir string, f figure.Figure) (figure.Drawn, error) {
	d := figure.Drawn{Kind: f.Kind, Name: f.Name, Title: f.Title,
		PNGPath: filepath.Join(dir, f.Name+".png"), SVGPath: filepath.Join(dir, f.Name+".svg"), Figure: &f}
	s, err := newSheet(f)
	if err != nil {
		return d, err
	}
	img := vgimg.NewWith(vgimg.UseWH(sheetWidth, s.height), vgimg.UseDPI(sheetDPI), vgimg.UseBackgroundColor(color.White))
	s.draw(draw.New(img))
	var buf bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(&buf); err != nil {
		return d, err
	}
	if err := durable.Quick.WriteFile(d.PNGPath, buf.Bytes()); err != nil {
		return d, err
	}

	svg := vgsvg.New(sheetWidth, s.height)
	s.draw(draw.New(svg))
	buf.Reset()
	w := bufio.NewWriter(&buf)
	if _, err := svg.WriteTo(w); err != nil {
		return d, err
	}
	if err := w.Flush(); err != nil {
		return d, err
	}
	if err := durable.Quick.WriteFile(d.SVGPath, []byte(words.SafeLines(string(mendSVG(buf.Bytes()))))); err != nil {
		return d, err
	}
	d.Caption = f.Caption
	if dropped := s.dropped(); len(dropped) > 0 {
		more := ""
		if n := len(dropped) - maxListed; n > 1 {
			dropped, more = dropped[:maxListed], fmt.Sprintf(" and %d more", n)
		}
		d.Caption += " Not named for want of room: " + strings.Join(dropped, ", ") + more + "."
	}
	return d, nil
}

// mendSVG names fonts to fall back on: vgsvg names Liberation Sans alone, and a
// reader without it would see a serif font of other widths. Arial and Helvetica
// have the same widths.
func mendSVG(svg []byte) []byte {
	return bytes.ReplaceAll(svg,
		[]byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
}

// fileName keeps what every file system takes.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, s)
}

// uniqueName counts up names that fileName has made equal. Letter case does not
// tell them apart, because it does not on every file system.
func uniqueName(name string, taken map[string]bool) string {
	unique := name
	for k := 2; taken[strings.ToLower(unique)]; k++ {
		unique = name + "-" + strconv.Itoa(k)
	}
	taken[strings.ToLower(unique)] = true
	return unique
}
