package doc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/figure"
)

func tableOf(rows int) Table {
	t := Table{Head: []string{"n"}}
	for i := range rows {
		t.Rows = append(t.Rows, []string{fmt.Sprint(i)})
	}
	return t
}

// TestShorten: tables and lists keep so many rows, wherever they stand, and say what is left out.
func TestShorten(t *testing.T) {
	for rows, cut := range map[int]int{400: 0, 150: 1, 30: 2, 3: 3} {
		var d Document
		d.Add(tableOf(10), details{"more", []Block{tableOf(100)}})
		d.Add(List(strings.Split(strings.Repeat("x,", 199)+"x", ",")))
		d.Shorten(rows)
		md, err := d.Markdown(".")
		if err != nil || strings.Count(md, "further rows are not shown") != cut || strings.Count(md, "- x\n") != min(rows, 200) {
			t.Errorf("%d rows: %v %s", rows, err, md)
		}
	}
	var d Document
	d.Add(Paragraph(strings.Repeat("name ", 1000)))
	d.Shorten(10)
	if p := d.blocks[0].(Paragraph); len(p) > maxText+5 || !strings.HasSuffix(string(p), "name …") {
		t.Errorf("%d bytes: %s", len(p), p)
	}
}

// TestDrawings: a page holds drawings, with their styles as classes, as long as there is room; others are shown from
// their files.
func TestDrawings(t *testing.T) {
	dir := t.TempDir()
	svg := func(name string, size int) Picture {
		path := filepath.Join(dir, name+".svg")
		body := `<svg viewBox="0 0 9 9"><path d="M1.2345,2L-0.04,9.96" style="fill:none;stroke:#123456" /><text x="0.333">5.4321</text>` + strings.Repeat("<g></g>", size/7) + "</svg>"
		if err := os.WriteFile(path, []byte(body), 0o666); err != nil {
			t.Fatal(err)
		}
		return Picture{figure.Drawn{SVGPath: path, PNGPath: filepath.Join(dir, name+".png"), Title: name}}
	}
	var d Document
	d.Add(svg("a", 100), svg("b&c", maxDrawings), svg("d", 100))
	page, err := d.HTML(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<path d="M1.2,2L-0,10" class="s0" />`, `<text x="0.3">5.4321</text>`, ".s0 { fill:none;stroke:#123456 }", `<img src="b&amp;c.png"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(string(page), "<svg"); n != 2 || len(page) > maxDrawings {
		t.Errorf("%d drawings in %d bytes", n, len(page))
	}
}

// TestFolded: Markdown names what is folded where there is a page that has it, and has it else.
func TestFolded(t *testing.T) {
	end := Section{Title: "End", Closed: true}
	end.Say("last words")
	end.Fold("Inner", Paragraph("inmost"))
	d := &Document{Title: "T"}
	figures := []figure.Drawn{{Kind: "k", Caption: "one", PNGPath: "1.png"}, {Kind: "k", Caption: "two", PNGPath: "2.png"}}
	s := Section{Title: "S"}
	s.Fold("More", Paragraph("hidden"))
	s.Add(Pictures("k"), Paragraph("open"))
	d.AddSection(s, figures, Paragraph("under"))
	d.AddSection(Section{Title: "Nothing", Blocks: []Block{Pictures("none")}}, figures, Paragraph("under"))
	d.AddSection(end, nil)
	full, err := d.Markdown(".")
	if err != nil {
		t.Fatal(err)
	}
	d.Page = "page.html"
	short, err := d.Markdown(".")
	if err != nil {
		t.Fatal(err)
	}
	const open = "# T\n\n## S\n\n![](1.png)\n\n*one*\n\nopen\n\nunder\n"
	if want := open + "\nIn [page.html](page.html): More · Further figures (1) · End.\n"; short != want {
		t.Errorf("%q, want %q", short, want)
	}
	if !strings.HasPrefix(full, open) || strings.Count(full, "<details>") != 4 || strings.Count(full, "</details>") != 4 || !strings.Contains(full, "inmost") || !strings.Contains(full, "*two*") {
		t.Error(full)
	}
}
