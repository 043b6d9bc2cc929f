package doc

import (
	"fmt"
	"slices"

	"llmscale/analysis/figure"
)

// Section is a titled part of a document. What is folded comes last in it, and so do
// all figures but the first.
type Section struct {
	Title  string   // plain text, which says what was found
	Place  string   // by which a document's order and its links know it, where Title says what was found; "": by Title
	Warned []string // codes of the warnings that concern it, the gravest first
	Closed bool     // until a reader opens it
	Blocks []Block
}

// At is by which a document's order and its links know the section.
func (s *Section) At() string {
	if s.Place != "" {
		return s.Place
	}
	return s.Title
}

// Pictures stands for all drawn figures of a kind.
type Pictures string

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

// AddSection adds a section, with the drawn figures that its Pictures stand for; under
// stands below its open blocks. One without blocks is left out.
func (d *Document) AddSection(s Section, drawn []figure.Drawn, under ...Block) {
	var open, folded, further []Block
	for _, b := range s.Blocks {
		switch b := b.(type) {
		case Pictures:
			all := pictures(drawn, string(b))
			if first := !slices.ContainsFunc(open, isPicture); first && len(all) > 0 {
				open, all = append(open, all[0]), all[1:]
			}
			further = append(further, all...)
		case details:
			folded = append(folded, b)
		default:
			open = append(open, b)
		}
	}
	if len(further) > 0 {
		folded = append(folded, details{fmt.Sprintf("Further figures (%d)", len(further)), further})
	}
	if len(open)+len(folded) == 0 {
		return
	}
	all := slices.Concat(open, under, folded)
	if s.Closed {
		d.Fold(s.Title, all...)
		return
	}
	d.Add(heading{s.Title, s.At()})
	d.Add(all...)
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

func isPicture(b Block) bool {
	_, is := b.(Picture)
	return is
}
