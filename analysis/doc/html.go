package doc

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	words "llmscale/internal/text"
)

//go:embed style.css
var style string

// md refuses raw HTML, so that whatever a name holds, it stays text.
var md = goldmark.New(goldmark.WithExtensions(extension.NewTable(
	extension.WithTableCellAlignMethod(extension.TableCellAlignStyle))))

// HTML is the document as one self-contained page.
func (d *Document) HTML() ([]byte, error) {
	var body, nav bytes.Buffer
	ids := map[string]int{}
	for _, b := range d.blocks {
		if h, ok := b.(heading); ok {
			id := anchor(string(h), ids)
			fmt.Fprintf(&nav, "<a href=\"#%s\">%s</a>\n", id, html.EscapeString(Clean(string(h))))
			fmt.Fprintf(&body, "<h2 id=\"%s\">%s</h2>\n", id, html.EscapeString(Clean(string(h))))
			continue
		}
		if err := writeHTML(&body, b); err != nil {
			return nil, err
		}
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<style>
%s</style>
</head>
<body>
<main>
<h1>%s</h1>
<nav aria-label="Contents">
%s</nav>
%s</main>
</body>
</html>
`, html.EscapeString(Clean(d.Title)), style, html.EscapeString(Clean(d.Title)), nav.String(), body.String())
	return []byte(words.SafeLines(page.String())), nil
}

func writeHTML(w *bytes.Buffer, b Block) error {
	switch b := b.(type) {
	case Picture:
		svg, err := InlineSVG(b)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "<figure>\n<div>%s</div>\n<figcaption>%s</figcaption>\n</figure>\n", svg, html.EscapeString(Clean(b.Caption)))
	case details:
		fmt.Fprintf(w, "<details>\n<summary>%s</summary>\n", html.EscapeString(Clean(b.summary)))
		for _, inner := range b.blocks {
			if err := writeHTML(w, inner); err != nil {
				return err
			}
		}
		w.WriteString("</details>\n")
	case Table:
		class := "table"
		if b.Wrap {
			class = "table wrap"
		}
		fmt.Fprintf(w, "<div class=\"%s\">\n", class)
		if err := md.Convert([]byte(blockMarkdown(b)), w); err != nil {
			return err
		}
		w.WriteString("</div>\n")
	default:
		return md.Convert([]byte(blockMarkdown(b)), w)
	}
	return nil
}

var (
	svgTag  = regexp.MustCompile(`(?s)<svg[^>]*>`)
	viewBox = regexp.MustCompile(`viewBox="[-0-9. ]+"`)
)

// InlineSVG is the figure's drawing without its prologue and fixed size.
func InlineSVG(f Picture) (string, error) {
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
	return tag + strings.TrimSpace(string(data[at[1]:])), nil
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
