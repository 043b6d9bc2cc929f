package doc

import (
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"llmscale/analysis/figure"
	words "llmscale/internal/text"
)

// Document is a title and blocks. Text in blocks is Markdown whose foreign parts
// have gone through text.
type Document struct {
	Title  string
	Page   string // its HTML's file, to which Markdown refers for what is folded; "": Markdown has it
	blocks []Block
}

// Block is a heading, paragraph, list, table, figure, code or details.
type Block interface{}

type (
	heading   struct{ title, place string } // of a section, plain text
	Paragraph string
	List      []string
	Code      string // verbatim
	Picture   struct{ figure.Drawn }
	details   struct {
		summary string // plain text
		blocks  []Block
	}
	// Cited are sentences; a page links each to the section that has its evidence.
	Cited []Citation
	Table struct {
		Head []string // a leading "<" aligns the column to the left, else right
		Rows [][]string
		Wrap bool // has long texts, which may break into lines
	}
)

// Citation is a sentence in Markdown, and where a document has the section behind it.
type Citation struct{ Text, Place string }

func (d *Document) Add(b ...Block) { d.blocks = append(d.blocks, b...) }

// Section begins a section whose title does not change with what is found.
func (d *Document) Section(title string) { d.Add(heading{title, title}) }

func (d *Document) Say(format string, a ...any) { d.Add(Paragraph(fmt.Sprintf(format, a...))) }

func (d *Document) Fold(summary string, b ...Block) {
	if len(b) > 0 {
		d.Add(details{summary, b})
	}
}

// Markdown is the document as GitHub-flavoured Markdown; figures are links
// relative to dir.
func (d *Document) Markdown(dir string) (string, error) {
	var sb strings.Builder
	fmt.Fprintf(&sb, "# %s\n", Text(d.Title))
	if err := d.writeMarkdown(&sb, d.blocks, dir); err != nil {
		return "", err
	}
	return words.SafeLines(sb.String()), nil
}

func (d *Document) writeMarkdown(sb *strings.Builder, blocks []Block, dir string) error {
	var folded []string
	for i, b := range blocks {
		if fold, is := b.(details); is && d.Page != "" {
			folded = append(folded, Text(fold.summary))
			if i+1 == len(blocks) || !isFold(blocks[i+1]) {
				fmt.Fprintf(sb, "\nIn [%s](%s): %s.\n", Text(d.Page), (&url.URL{Path: d.Page}).EscapedPath(), strings.Join(folded, " · "))
				folded = nil
			}
			continue
		}
		sb.WriteString("\n")
		switch b := b.(type) {
		case Picture:
			target, err := relative(dir, b.PNGPath)
			if err != nil {
				return err
			}
			fmt.Fprintf(sb, "![%s](%s)\n\n*%s*\n", Text(b.Title), target, Text(b.Caption))
		case details:
			fmt.Fprintf(sb, "<details>\n<summary>%s</summary>\n", html.EscapeString(Clean(b.summary)))
			if err := d.writeMarkdown(sb, b.blocks, dir); err != nil {
				return err
			}
			sb.WriteString("\n</details>\n")
		case heading:
			fmt.Fprintf(sb, "## %s\n", Text(b.title))
		default:
			sb.WriteString(blockMarkdown(b))
		}
	}
	return nil
}

func isFold(b Block) bool {
	_, is := b.(details)
	return is
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
func blockMarkdown(b Block) string {
	var sb strings.Builder
	switch b := b.(type) {
	case Paragraph:
		fmt.Fprintf(&sb, "%s\n", b)
	case Cited:
		fmt.Fprintf(&sb, "%s\n", b.linked(nil))
	case List:
		for _, item := range b {
			fmt.Fprintf(&sb, "- %s\n", item)
		}
	case Code:
		fence := "```"
		for strings.Contains(string(b), fence) {
			fence += "`"
		}
		fmt.Fprintf(&sb, "%s\n%s\n%s\n", fence, words.SafeLines(strings.TrimRight(string(b), "\n")), fence)
	case Table:
		titles, rule := make([]string, len(b.Head)), make([]string, len(b.Head))
		for i, h := range b.Head {
			title, left := strings.CutPrefix(h, "<")
			titles[i], rule[i] = title, "---:"
			if left {
				rule[i] = "---"
			}
		}
		for _, row := range slices.Concat([][]string{titles, rule}, b.Rows) {
			fmt.Fprintf(&sb, "| %s |\n", strings.Join(row, " | "))
		}
	}
	return sb.String()
}

// linked are the sentences as one text, with links to the sections that have an id.
func (c Cited) linked(ids map[string]string) string {
	var sb strings.Builder
	for i, x := range c {
		if i > 0 {
			sb.WriteByte(' ')
		}
		sb.WriteString(x.Text)
		if id := ids[x.Place]; id != "" && (i+1 == len(c) || c[i+1].Place != x.Place) { // of neighbours the last has the link
			fmt.Fprintf(&sb, " [%s](#%s)", Text(x.Place), id)
		}
	}
	return sb.String()
}

// Clean makes one printable line of foreign text.
func Clean(s string) string {
	return words.Safe(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " "))
}

// Text makes Markdown that reads as s, on one line, wherever it is put: in a
// paragraph, a table's cell or a link's text. An underscore within a word needs
// no escape, and names are full of them.
func Text(s string) string {
	runes := []rune(Clean(s))
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
