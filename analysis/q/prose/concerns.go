package prose

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
)

// Limits of the line of warnings under a section: their list has all of each.
const (
	mostKinds = 2
	mostWords = 24
)

// Concerns is what a section says of the warnings of these codes: in a line each kind
// once, as it was seen first, and in a table, to be folded, all of them. Both are empty
// where there are none.
func Concerns(all []finding.Warning, codes ...string) (line []doc.Block, table doc.Table) {
	var said []string
	table = doc.Table{Wrap: true, Head: []string{"<warning", "<where", "<seen", "<what to do"}}
	for _, code := range codes {
		var seen []finding.Warning
		for _, w := range all {
			if w.Code == code && !slices.Contains(seen, w) {
				seen = append(seen, w)
				table.Rows = append(table.Rows, []string{doc.Text(code), doc.OrNone(w.Where), doc.Text(w.Text), doc.OrNone(w.Advice)})
			}
		}
		if len(seen) == 0 || len(said) == mostKinds {
			continue
		}
		what, _, _ := strings.Cut(seen[0].Text, ": ") // behind a colon is why, or what follows
		words := strings.Fields(strings.ReplaceAll(strings.TrimPrefix(seen[0].Where+": "+what, ": "), " __all__", ""))
		if len(words) > mostWords {
			words = append(words[:mostWords:mostWords], "…")
		}
		times := ""
		if len(seen) > 1 {
			times = fmt.Sprintf(", %d times", len(seen))
		}
		said = append(said, fmt.Sprintf("%s (%s%s)", doc.Text(strings.Join(words, " ")), doc.Text(code), times))
	}
	if len(said) == 0 {
		return nil, table
	}
	return []doc.Block{doc.Paragraph("**Mind:** " + strings.Join(said, "; ") + ".")}, table
}
