package report

import (
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"llmscale/analysis/plot"
	words "llmscale/internal/text"
)

// document is a title and blocks. Text in blocks is Markdown whose foreign parts
// have gone through text.
type document struct {
	title  string
	blocks []block
}

// block is a heading, paragraph, list, table, figure, code or details.
type block interface{}

type (
	heading   string // of a section, plain text
	paragraph string
	list      []string
	code      string // verbatim
	figure    struct{ plot.Figure }
	details   struct {
		summary string // plain text
		blocks  []block
	}
	table struct {
		head []string // a leading "<" aligns the column to the left, else right
		rows [][]string
		wrap bool // has long texts, which may break into lines
	}
)

func (d *document) add(b ...block)              { d.blocks = append(d.blocks, b...) }
func (d *document) section(title string)        { d.add(heading(title)) }
func (d *document) say(format string, a ...any) { d.add(paragraph(fmt.Sprintf(format, a...))) }
func (d *document) fold(summary string, b ...block) {
	if len(b) > 0 {
		d.add(details{summary, b})
	}
}

// markdown is the document as GitHub-flavoured Markdown; figures are links
// relative to dir.
func (d *document) markdown(dir string) (string, error) {
	var sb strings.Builder
	fmt.Fprintf(&sb, "# %s\n", text(d.title))
	if err := writeMarkdown(&sb, d.blocks, dir); err != nil {
		return "", err
	}
	return words.SafeLines(sb.String()), nil
}

func writeMarkdown(sb *strings.Builder, blocks []block, dir string) error {
	for _, b := range blocks {
		sb.WriteString("\n")
		switch b := b.(type) {
		case figure:
			target, err := relative(dir, b.PNGPath)
			if err != nil {
				return err
			}
			fmt.Fprintf(sb, "![%s](%s)\n\n*%s*\n", text(b.Title), target, text(b.Caption))
		case details:
			fmt.Fprintf(sb, "<details>\n<summary>%s</summary>\n", html.EscapeString(clean(b.summary)))
			if err := writeMarkdown(sb, b.blocks, dir); err != nil {
				return err
			}
			sb.WriteString("\n</details>\n")
		case heading:
			fmt.Fprintf(sb, "## %s\n", text(string(b)))
		default:
			sb.WriteString(blockMarkdown(b))
		}
	}
	return nil
}

// relative is the link from a file in dir to file.
func relative(dir, file string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(dir, file)
	if err != nil {
		return "", err
	}
	return (&url.URL{Path: filepath.ToSlash(rel)}).EscapedPath(), nil
}

// blockMarkdown is a block that looks the same in both files.
func blockMarkdown(b block) string {
	var sb strings.Builder
	switch b := b.(type) {
	case paragraph:
		fmt.Fprintf(&sb, "%s\n", b)
	case list:
		for _, item := range b {
			fmt.Fprintf(&sb, "- %s\n", item)
		}
	case code:
		fence := "```"
		for strings.Contains(string(b), fence) {
			fence += "`"
		}
		fmt.Fprintf(&sb, "%s\n%s\n%s\n", fence, words.SafeLines(strings.TrimRight(string(b), "\n")), fence)
	case table:
		titles, rule := make([]string, len(b.head)), make([]string, len(b.head))
		for i, h := range b.head {
			title, left := strings.CutPrefix(h, "<")
			titles[i], rule[i] = title, "---:"
			if left {
				rule[i] = "---"
			}
		}
		for _, row := range slices.Concat([][]string{titles, rule}, b.rows) {
			fmt.Fprintf(&sb, "| %s |\n", strings.Join(row, " | "))
		}
	}
	return sb.String()
}

// clean makes one printable line of foreign text.
func clean(s string) string {
	return words.Safe(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " "))
}

// text makes Markdown that reads as s, on one line, wherever it is put: in a
// paragraph, a table's cell or a link's text. An underscore within a word needs
// no escape, and names are full of them.
func text(s string) string {
	runes := []rune(clean(s))
	var sb strings.Builder
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	for i, r := range runes {
		switch {
		case r == '_' && word(i-1) && word(i+1):
		case strings.ContainsRune("\\`*_[]<>&|~#!$", r):
			sb.WriteByte('\\')
		case i == 0 && strings.ContainsRune("+-=", r):
			sb.WriteByte('\\')
		}
		sb.WriteRune(r)
	}
	return sb.String()
}
