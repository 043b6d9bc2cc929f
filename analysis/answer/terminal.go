package answer

import (
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
)

// Size of the answer on a terminal.
const (
	Columns = 100
	Lines   = 40
)

// How many lines a part may take.
const (
	verdictLines = 6
	lineLines    = 2 // of any other sentence
	changeLines  = 9 // advice among them
	trustLines   = 6
)

// Terminal is the answer as text of Lines lines of Columns columns at most. bold makes
// headings bold; page is where the report is, "" for nowhere.
func (a *Answer) Terminal(bold bool, page string) string {
	title := func(s string) string {
		if bold {
			return "\x1b[1m" + s + "\x1b[0m"
		}
		return s
	}
	head := "llmscale"
	if n := prose.Name(a.Run.Name); n != "" {
		head += " " + n
	}
	out := wrapped(head+": "+a.Of.Text, "", "  ", lineLines)
	out[0] = title(out[0])
	out = append(out, "", title("The answer"))
	out = append(out, wrapped(a.said(), "  ", "  ", verdictLines)...)
	if a.Law != nil {
		out = append(out, wrapped(a.Law.Text, "  ", "  ", lineLines)...)
	}
	out = append(out, wrapped(a.Goal.Text, "  ", "  ", lineLines)...)
	out = append(out, "", title("What to change (95 % intervals in brackets)"))
	var advice []string
	for _, s := range a.Advice {
		advice = append(advice, wrapped(s.Text, "  ", "  ", lineLines)...)
	}
	out = append(out, fitting(a.changes(), changeLines-len(advice), lineLines+1)...)
	out = append(out, advice...)
	below := append([]string{"", title("Trust")}, fitting(a.doubts(), trustLines, lineLines+1)...)
	if page != "" {
		below = append(below, "", doc.Clean("The page: "+page)) // whole, however long: it is to be opened
	}
	const around = 4 // blank line, title, head, and the line that says that there are more
	if room := Lines - len(out) - len(below) - around; len(a.Table.Rows) > 0 {
		out = append(out, "", title("What was measured"))
		out = append(out, a.Table.lines(room)...)
	}
	return strings.Join(append(out, below...), "\n") + "\n"
}

// changes are what to change, as items of a list.
func (a *Answer) changes() []string {
	return stats.Map(a.Changes, func(c Change) string { return c.Text + "." })
}

// doubts are what is to be known before figures are used, as items of a list.
func (a *Answer) doubts() []string {
	return append([]string{a.Trust.Text}, stats.Map(a.Caveats, func(c Caveat) string { return c.told() })...)
}

// fitting are the items that have room in so many lines, each of a few at most.
func fitting(items []string, room, each int) (out []string) {
	for _, s := range items {
		if more := wrapped(s, "  - ", "    ", each); len(out)+len(more) <= room {
			out = append(out, more...)
		}
	}
	return out
}

// said is the verdict as one text.
func (a *Answer) said() string {
	var parts []string
	for _, s := range a.Verdict {
		parts = append(parts, s.Text)
	}
	return strings.Join(parts, " ")
}

// wrapped breaks text into lines of Columns columns, of which there are so many at most;
// what has no room is cut.
func wrapped(s, first, next string, most int) (out []string) {
	line, indent := first, first
	for _, word := range strings.Fields(text.Safe(s)) {
		word = text.Elide(word, Columns-len(next))
		switch {
		case line == indent:
			line += word
		case text.Width(line)+1+text.Width(word) <= Columns:
			line += " " + word
		case len(out)+1 == most:
			for text.Width(line)+2 > Columns {
				line = line[:strings.LastIndexByte(line, ' ')]
			}
			return append(out, line+" …")
		default:
			out, line, indent = append(out, line), next+word, next
		}
	}
	return append(out, line)
}

// column of the table on a terminal.
type column struct {
	head  string
	right bool
	cell  func(Row) string
}

// columns are those in which something is known; a backend is named where there are
// several.
func (t *Table) columns() (out []column) {
	all := []column{
		{"model", false, func(r Row) string { return doc.Clean(r.Model) }},
		{"size", true, func(r Row) string { return sizeText(r.ParamsM) }},
		{"weights", false, func(r Row) string { return doc.Clean(r.WeightType) }},
		{"prefill t/s", true, func(r Row) string { return doc.SizeOf(r.Prefill) }},
		{"decode t/s", true, func(r Row) string { return doc.SizeOf(r.Decode) }},
		{"bandwidth", true, func(r Row) string {
			if r.Share == nil {
				return doc.Unknown
			}
			return prose.Percent(*r.Share, "").Shown
		}},
		{"bound by", false, func(r Row) string { return strings.Replace(r.Regime, cannotTell, "unknown", 1) }}, // columns are dear
		{"verdict", false, func(r Row) string { return r.Verdict }},
	}
	backends := map[string]bool{}
	for _, r := range t.Rows {
		backends[r.Backend] = true
	}
	if len(backends) > 1 {
		all = append(all[:3], append([]column{{"backend", false, func(r Row) string { return doc.Clean(r.Backend) }}}, all[3:]...)...)
	}
	for _, c := range all {
		for _, r := range t.Rows {
			if s := c.cell(r); s != "" && s != doc.Unknown {
				out = append(out, c)
				break
			}
		}
	}
	return out
}

func sizeText(m *float64) string {
	if m == nil {
		return doc.Unknown
	}
	return prose.Size(*m, "").Shown
}

// cellGap is between columns.
const cellGap = 2

// lines are the table's, of so many rows at most. Names are shortened to fit.
func (t *Table) lines(room int) (out []string) {
	shown := Table{Rows: thinned(t.Rows, max(room, 2))}
	columns := shown.columns()
	cells := make([][]string, len(columns))
	widths := make([]int, len(columns))
	for i, c := range columns {
		cells[i] = []string{c.head}
		for _, r := range shown.Rows {
			cells[i] = append(cells[i], c.cell(r))
		}
		for _, s := range cells[i] {
			widths[i] = max(widths[i], text.Width(s))
		}
	}
	total := func() (n int) {
		n = cellGap // indent
		for _, w := range widths {
			n += w + cellGap
		}
		return n - cellGap
	}
	for over := total() - Columns; over > 0; over = total() - Columns { // the widest name gives way
		widest := -1
		for i, c := range columns {
			if !c.right && (c.head == "model" || c.head == "backend" || c.head == "weights") && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		widths[widest]--
	}
	for row := range cells[0] {
		line := ""
		for i, c := range columns {
			s := text.Elide(cells[i][row], widths[i])
			pad := strings.Repeat(" ", widths[i]-text.Width(s))
			if c.right {
				s = pad + s
			} else {
				s += pad
			}
			line += strings.Repeat(" ", cellGap) + s
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	if n := t.Of - len(shown.Rows); n > 0 {
		out = append(out, "  "+doc.Count(n, "further row", "further rows")+": analysis/"+t.File)
	}
	return out
}
