package doc

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"os"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	words "llmscale/internal/text"
)

var (
	//go:embed style.css
	style string
	//go:embed table.js
	tableScript string
	//go:embed chart.js
	chartScript string
	//go:embed page.html
	layout string

	page = template.Must(template.New("").Parse(layout))
)

// md refuses raw HTML, so that whatever a name holds, it stays text.
var md = goldmark.New(goldmark.WithExtensions(extension.NewTable(
	extension.WithTableCellAlignMethod(extension.TableCellAlignStyle))))

// node is a block as the page's template takes it.
type node struct {
	ID       string // of a section, or of a heading in a fold
	Place    string // of a section, as links to it read
	Text     string // of a heading, summary or caption
	Class    string // of a table's box
	Section  bool
	Nodes    []node // of a section or fold
	Body     template.HTML
	Drawing  template.HTML
	Title    string // of a chart
	Subtitle string
	Data     template.JS // of a chart
	File     string      // its drawing's, for a browser without scripts
}

const (
	// maxDrawings bounds the bytes of a page's drawings. What comes after them is shown
	// from its file.
	maxDrawings = 900 << 10
	// maxChartData is the same for the data of charts, beside the library's 700 KiB.
	maxChartData = 600 << 10
)

// HTML is the document as one page. It is self-contained but for figures beyond
// maxDrawings or maxChartData, which it takes from their files by their paths from dir.
// Figures are drawn by the page where their data and the chart library are there.
func (d *Document) HTML(dir string) ([]byte, error) {
	live := hasLive(d.blocks)
	r := renderer{dir: dir, left: maxDrawings, ids: map[string]int{}, classes: map[string]int{}, places: places(d.blocks)}
	scripts := []string{tableScript}
	if live {
		r.left = maxChartData
		scripts = []string{library, tableScript + chartScript}
	}
	nodes, err := r.nodes(d.blocks, true)
	if err != nil {
		return nil, err
	}
	view := struct {
		Title  string
		Policy string
		Live   bool
		Drawn  bool
		Style  template.CSS
		Nodes  []node
	}{Clean(d.Title), policy(scripts), live, !live && r.drawn, template.CSS(style + r.css()), nodes}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "page", view); err != nil {
		return nil, err
	}
	// The scripts are ours and the library's: they stay as they are, whatever is in them.
	out := bytes.NewBufferString(words.SafeLines(b.String()))
	for _, s := range scripts {
		fmt.Fprintf(out, "<script>%s</script>\n", s)
	}
	out.WriteString("</body>\n</html>\n")
	return out.Bytes(), nil
}

// policy lets a page run these scripts and no others, and load nothing but the figures'
// files beside it.
func policy(scripts []string) string {
	s := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; img-src 'self' file:; script-src"
	for _, text := range scripts {
		sum := sha256.Sum256([]byte(text))
		s += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return s
}

// renderer makes one page's nodes.
type renderer struct {
	dir     string
	left    int            // bytes for figures
	drawn   bool           // there is a figure that the page does not draw
	ids     map[string]int // how often each was taken
	classes map[string]int // of the drawings' styles
	places  map[string]string
}

// places are the ids of the sections, by their places.
func places(blocks []Block) map[string]string {
	ids, taken := map[string]string{}, map[string]int{}
	for _, b := range blocks {
		if h, is := b.(heading); is {
			if id := anchor(h.place, taken); ids[h.place] == "" {
				ids[h.place] = id
			}
		}
	}
	return ids
}

// nodes are those of blocks; at the top, what follows a heading is its section.
func (r *renderer) nodes(blocks []Block, top bool) ([]node, error) {
	var out []node
	for _, b := range blocks {
		n, err := r.node(b)
		if err != nil {
			return nil, err
		}
		last := len(out) - 1
		if n.Section = top && n.ID != ""; !n.Section && last >= 0 && out[last].Section {
			out[last].Nodes = append(out[last].Nodes, n)
		} else {
			out = append(out, n)
		}
	}
	return out, nil
}

func (r *renderer) node(b Block) (n node, err error) {
	switch b := b.(type) {
	case heading:
		n.ID, n.Place, n.Text = anchor(b.place, r.ids), Clean(b.place), together(Clean(b.title))
	case Picture:
		n.Text = together(Clean(b.Caption))
		err = r.picture(&n, b)
	case details:
		n.Text = Clean(b.summary)
		n.Nodes, err = r.nodes(b.blocks, false)
	case Cited:
		n.Body, err = converted(Paragraph(b.linked(r.places)))
	case Table:
		n.Class = "table"
		if b.Wrap {
			n.Class = "table wrap"
		}
		n.Body, err = converted(b)
	default:
		n.Body, err = converted(b)
	}
	return n, err
}

// picture is a figure's data or drawing inside the page, or a link to its file where
// there is no more room.
func (r *renderer) picture(n *node, b Picture) (err error) {
	if b.PNGPath != "" {
		if n.File, err = relative(r.dir, b.PNGPath); err != nil {
			return err
		}
	}
	n.Title = Clean(b.Title)
	if drawable(b) {
		if n.Data, err = chartData(b.Figure); err != nil {
			return err
		}
		if len(n.Data) <= r.left {
			r.left -= len(n.Data)
			n.Text, n.Subtitle = together(Clean(b.Figure.Caption)), together(Clean(b.Figure.Subtitle))
			return nil
		}
		n.Data, r.left = "", 0
	}
	r.drawn = true
	svg, err := InlineSVG(b)
	if err != nil {
		return err
	}
	if svg = r.shrink(svg); len(svg) <= r.left {
		r.left -= len(svg)
		n.Drawing = svg
		return nil
	}
	n.Drawing = template.HTML(fmt.Sprintf(`<img src="%s" loading="lazy" alt="%s">`, html.EscapeString(n.File), html.EscapeString(n.Title)))
	return nil
}

var percent = regexp.MustCompile(`([0-9]) %`)

// together keeps a number and its percent sign on one line.
func together(s string) string { return percent.ReplaceAllString(s, "$1\u00a0%") }

// longCell is one of a table whose text has to break into lines.
var longCell = regexp.MustCompile(`<td>(.{30,})</td>`)

// converted is what Markdown says of a block.
func converted(b Block) (template.HTML, error) {
	var w bytes.Buffer
	err := md.Convert([]byte(blockMarkdown(b)), &w)
	// Foreign text has no quotes and no brackets of its own in HTML.
	text := longCell.ReplaceAllString(together(w.String()), `<td class="long">$1</td>`)
	return template.HTML(strings.NewReplacer(` style="text-align:right"`, ` class="r"`, "<thead", "<thead", "<th", `<th scope="col"`).Replace(text)), err
}

var (
	svgTag  = regexp.MustCompile(`(?s)<svg[^>]*>`)
	viewBox = regexp.MustCompile(`viewBox="[-0-9. ]+"`)
)

// InlineSVG is the figure's drawing without its prologue and fixed size.
func InlineSVG(f Picture) (template.HTML, error) {
	data, err := os.ReadFile(f.SVGPath)
	if err != nil {
		return "", err
	}
	at := svgTag.FindIndex(data)
	if at == nil {
		return "", fmt.Errorf("%s is no SVG file", f.SVGPath)
	}
	box := viewBox.Find(data[at[0]:at[1]])
	if box == nil {
		return "", fmt.Errorf("%s has no viewBox", f.SVGPath)
	}
	tag := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" %s role="img" aria-label="%s">`, box, html.EscapeString(Clean(f.Title)))
	return template.HTML(tag + strings.TrimSpace(string(data[at[1]:]))), nil
}

// anchor makes an id of a section's place, and tells equal ones apart.
func anchor(place string, taken map[string]int) string {
	id := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, place), "-")
	taken[id]++
	if n := taken[id]; n > 1 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}
