package doc

import (
	"bytes"
	_ "embed"
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
	//go:embed page.html
	layout string

	page = template.Must(template.New("").Parse(layout))
)

// md refuses raw HTML, so that whatever a name holds, it stays text.
var md = goldmark.New(goldmark.WithExtensions(extension.NewTable(
	extension.WithTableCellAlignMethod(extension.TableCellAlignStyle))))

// node is a block as the page's template takes it.
type node struct {
	ID      string // of a heading
	Text    string // of a heading, summary or caption
	Class   string // of a table's box
	Nodes   []node // of details
	Body    template.HTML
	Drawing template.HTML
}

// maxDrawings bounds the bytes of a page's drawings. What comes after them is shown
// from its file.
const maxDrawings = 900 << 10

// HTML is the document as one page. It is self-contained but for drawings beyond
// maxDrawings, which it takes from their files by their paths from dir.
func (d *Document) HTML(dir string) ([]byte, error) {
	r := renderer{dir: dir, left: maxDrawings, ids: map[string]int{}, classes: map[string]int{}}
	nodes, err := r.nodes(d.blocks)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.ExecuteTemplate(&b, "page", struct {
		Title string
		Style template.CSS
		Nodes []node
	}{Clean(d.Title), template.CSS(style + r.css()), nodes})
	return []byte(words.SafeLines(b.String())), err
}

// renderer makes one page's nodes.
type renderer struct {
	dir     string
	left    int            // bytes for drawings
	ids     map[string]int // how often each was taken
	classes map[string]int // of the drawings' styles
}

func (r *renderer) nodes(blocks []Block) ([]node, error) {
	out := make([]node, len(blocks))
	for i, b := range blocks {
		n := &out[i]
		var err error
		switch b := b.(type) {
		case heading:
			n.ID, n.Text = anchor(string(b), r.ids), Clean(string(b))
		case Picture:
			n.Text = Clean(b.Caption)
			n.Drawing, err = r.drawing(b)
		case details:
			n.Text = Clean(b.summary)
			n.Nodes, err = r.nodes(b.blocks)
		case Table:
			n.Class = "table"
			if b.Wrap {
				n.Class = "table wrap"
			}
			n.Body, err = converted(b)
		default:
			n.Body, err = converted(b)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// converted is what Markdown says of a block.
func converted(b Block) (template.HTML, error) {
	var w bytes.Buffer
	err := md.Convert([]byte(blockMarkdown(b)), &w)
	// Foreign text has no quotes of its own in HTML.
	return template.HTML(strings.ReplaceAll(w.String(), ` style="text-align:right"`, ` class="r"`)), err
}

// drawing is a picture inside the page, or a link to it where there is no more room.
func (r *renderer) drawing(b Picture) (template.HTML, error) {
	svg, err := InlineSVG(b)
	if err != nil {
		return "", err
	}
	if svg = r.shrink(svg); len(svg) <= r.left {
		r.left -= len(svg)
		return svg, nil
	}
	target, err := relative(r.dir, b.PNGPath)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(`<img src="%s" loading="lazy" alt="%s">`, html.EscapeString(target), html.EscapeString(Clean(b.Title)))), nil
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

// anchor makes an id of a heading, and tells equal headings apart.
func anchor(title string, taken map[string]int) string {
	id := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, title), "-")
	taken[id]++
	if n := taken[id]; n > 1 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}
