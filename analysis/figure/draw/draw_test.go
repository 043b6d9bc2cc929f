package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/figure"
)

// all is a figure of two panels with all that a figure can have.
func all() figure.Figure {
	line := figure.Layer{Look: figure.Series(0), Line: []figure.XY{{X: 1, Y: 1}, {X: 100, Y: 90}}, End: "the line's end"}
	points := figure.Layer{Look: figure.Series(1), Points: []figure.Point{
		{Name: "filled", X: 2, Y: 50, Low: 40, High: 60, Named: true}, {Name: "hollow", X: 30, Y: 5, Named: true, Hollow: true}, {Name: "silent", X: 40, Y: 40}}}
	band := figure.Layer{Look: figure.Ramp(0, 2), Band: []figure.Range{{X: 1, Low: 2, High: 3}, {X: 100, Low: 20, High: 30}}}
	beyond := figure.Layer{Look: figure.Series(2), Beyond: []float64{5, 50}}
	level := figure.Layer{Look: figure.Ink().Stroke(0.9, 4, 3), Level: new(0.5), End: "the level"}
	return figure.Figure{Kind: "kind", Name: "all", Title: "The title", Subtitle: "the subtitle", Caption: "The caption.",
		X: figure.Axis{Label: "size (MB)", Log: true, Min: 1, Max: 100},
		Panels: []figure.Panel{
			{Y: figure.Axis{Label: "time (ms)", Log: true, Min: 1, Max: 100}, Layers: []figure.Layer{line, points, band, beyond}},
			{Y: figure.Axis{Label: "share", Min: 0, Max: 1}, Layers: []figure.Layer{level}},
		},
		Legend: []figure.Key{line.Key("a line"), points.Key("points"), band.Key("a band"), level.Key("a level")},
	}
}

// drawn writes figures and checks that their files can be read.
func drawn(t *testing.T, figs ...figure.Figure) []figure.Drawn {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plots")
	out, err := Write(dir, figs)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range out {
		if filepath.Dir(d.PNGPath) != dir || filepath.Dir(d.SVGPath) != dir {
			t.Errorf("%s lies outside %s", d.PNGPath, dir)
		}
		img, err := png.Decode(bytes.NewReader(read(t, d.PNGPath)))
		if err != nil {
			t.Fatalf("%s: %v", d.PNGPath, err)
		}
		want := map[int]int{1: 792, 2: 1008}[len(figs[i].Panels)]
		if len(figs[i].Legend) > 8 {
			want += 2 * 15 * (len(figs[i].Legend) - 8)
		}
		if b := img.Bounds(); b.Dx() != 1152 || b.Dy() != want {
			t.Errorf("%s is %v", d.PNGPath, b)
		}
		svg := read(t, d.SVGPath)
		for x := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := x.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", d.SVGPath, err)
			}
		}
		for _, bad := range []string{"NaN", "Inf", "<script"} {
			if bytes.Contains(svg, []byte(bad)) {
				t.Errorf("%s has %s", d.SVGPath, bad)
			}
		}
	}
	return out
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWrite(t *testing.T) {
	f := all()
	again := drawn(t, f)[0]
	d := drawn(t, f)[0]
	if d.Kind != "kind" || d.Name != "all" || d.Title != "The title" || d.Caption != "The caption." {
		t.Errorf("%+v", d)
	}
	svg := string(read(t, d.SVGPath))
	for _, text := range []string{f.Title, f.Subtitle, "size (MB)", "time (ms)", "share", "filled", "hollow", "the line's end", "the level", "a line", "points", "a band", "a level", "Arial"} {
		if !strings.Contains(svg, strings.ReplaceAll(text, "'", "&#39;")) {
			t.Errorf("the drawing does not say %q", text)
		}
	}
	if strings.Contains(svg, "silent") {
		t.Error("a name that is not asked for is drawn")
	}
	for _, pair := range [][2]string{{d.PNGPath, again.PNGPath}, {d.SVGPath, again.SVGPath}} {
		if !bytes.Equal(read(t, pair[0]), read(t, pair[1])) {
			t.Errorf("%s differs between two calls", filepath.Base(pair[0]))
		}
	}
}

func TestLongLegend(t *testing.T) {
	f := all()
	for range 20 {
		f.Legend = append(f.Legend, f.Legend[0])
	}
	for i := range f.Legend {
		f.Legend[i].Text = strings.Repeat("long ", 20) // a row each
	}
	drawn(t, f)
}

func TestHostileNames(t *testing.T) {
	a := all()
	a.Panels = a.Panels[:1]
	a.Name, a.Title = "../a b", "<script>alert(1)</script>|\n&\x1b"
	a.Panels[0].Layers[0].End = strings.Repeat("a very long name ", 20)
	a.Panels[0].Layers[1].Points[0].Name = "<script>\n"
	b := a
	b.Name = "../A&b"
	both := drawn(t, a, b)
	if both[0].Name != ".._a_b" || both[1].Name != ".._A_b-2" {
		t.Errorf("files are called %q and %q", both[0].Name, both[1].Name)
	}
	if strings.ContainsAny(both[0].Title, "\n\x1b") {
		t.Errorf("title %q", both[0].Title)
	}
}

func TestDroppedNames(t *testing.T) {
	for _, tc := range []struct {
		crowd int
		more  bool
	}{{15, false}, {1000, true}} {
		f := all()
		l := &f.Panels[0].Layers[1]
		for i := range tc.crowd {
			l.Points = append(l.Points, figure.Point{Name: fmt.Sprintf("crowd-%d", i), X: 20 + float64(i)*0.001, Y: 2 + float64(i)*0.0001, Named: true})
		}
		f.Panels[1].Layers = append(f.Panels[1].Layers, *l) // both panels drop the same names
		d := drawn(t, f)[0]
		caption, dropped, _ := strings.Cut(d.Caption, " Not named for want of room: ")
		names := strings.Split(strings.TrimSuffix(dropped, "."), ", ")
		if caption != "The caption." || len(names) < 10 || len(names) > maxListed || strings.Contains(dropped, " more.") != tc.more {
			t.Errorf("%d names found room: %s", tc.crowd, d.Caption)
		}
		slices.Sort(names)
		if once := slices.Compact(slices.Clone(names)); len(once) != len(names) {
			t.Errorf("names stand twice: %s", d.Caption)
		}
	}
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plots")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(file, []figure.Figure{all()}); err == nil || !strings.HasPrefix(err.Error(), "draw: ") {
		t.Errorf("a file in the folder's place: %v", err)
	}
	f := all()
	f.Panels = nil
	if _, err := Write(t.TempDir(), []figure.Figure{f}); err == nil || !strings.Contains(err.Error(), "draw: all: a figure has one panel or two, this one has 0") {
		t.Errorf("no panels: %v", err)
	}
}
