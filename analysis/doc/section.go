package doc

import (
	"fmt"

	"llmscale/analysis/figure"
)

// Section is a titled part of a document.
type Section struct {
	Title  string // plain text
	Place  string // by which a document's order knows it, where Title says what was found; "": by Title
	Blocks []Block
}

// At is by which a document's order knows the section.
func (s *Section) At() string {
	if s.Place != "" {
		return s.Place
	}
	return s.Title
}

// Pictures stands for all drawn figures of a kind.
type Pictures string

// FoldedPictures are Pictures that are closed until a reader opens them.
type FoldedPictures struct {
	Summary string // their number stands behind it
	Kind    string
}

// Add adds blocks.
func (s *Section) Add(b ...Block) { s.Blocks = append(s.Blocks, b...) }

// Say adds a paragraph.
func (s *Section) Say(format string, a ...any) { s.Add(Paragraph(fmt.Sprintf(format, a...))) }

// Fold adds blocks that are closed until a reader opens them.
func (s *Section) Fold(summary string, b ...Block) {
	if len(b) > 0 {
		s.Add(details{summary, b})
	}
}

// FoldAbove adds a table, closed where it has more than so many rows.
func (s *Section) FoldAbove(rows int, summary string, t Table) {
	if len(t.Rows) > rows {
		s.Fold(fmt.Sprintf("%s (%d)", summary, len(t.Rows)), t)
		return
	}
	s.Add(t)
}

// AddSection adds a section, with the drawn figures that its Pictures stand for.
// One without blocks is left out.
func (d *Document) AddSection(s Section, drawn []figure.Drawn) {
	var blocks []Block
	for _, b := range s.Blocks {
		switch b := b.(type) {
		case Pictures:
			blocks = append(blocks, pictures(drawn, string(b))...)
		case FoldedPictures:
			all := pictures(drawn, b.Kind)
			if len(all) == 0 {
				continue
			}
			blocks = append(blocks, details{fmt.Sprintf("%s (%d)", b.Summary, len(all)), all})
		default:
			blocks = append(blocks, b)
		}
	}
	if len(blocks) > 0 {
		d.Section(s.Title)
		d.Add(blocks...)
	}
}

// pictures are the drawn figures of a kind.
func pictures(drawn []figure.Drawn, kind string) (out []Block) {
	for _, f := range drawn {
		if f.Kind == kind {
			out = append(out, Picture{Drawn: f})
		}
	}
	return out
}
