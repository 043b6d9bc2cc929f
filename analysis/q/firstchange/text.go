package firstchange

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Place is where a report has the section.
const Place = "What changes first"

// Says is the finding in one line of plain text; on is "" or names the series, as " on
// cpu". Sizes have 95 % intervals.
func (f *First) Says(on string) string {
	var shown []*Change // what the verdict rests on
	for _, c := range f.Changes {
		if c.Verdict == Changes && slices.Contains(strings.Split(f.Verdict, "+"), c.of.topic) {
			shown = append(shown, c)
		}
	}
	switch {
	case f.Verdict == Unknown:
		return "What changes first" + on + " as models grow cannot be told"
	case f.Verdict == "none":
		return "Neither latency nor tails nor feasibility change" + on + " within the measured sizes"
	}
	said := doc.Upper(strings.ReplaceAll(f.Verdict, "+", " or "))
	switch {
	case strings.Contains(f.Verdict, "+"):
		said += " change first" + on + ", and which of them cannot be told"
	case len(f.Unknown) > 0:
		said += " shown to change first" + on
	case f.Verdict == "tails":
		said += " change first" + on
	default:
		said += " changes first" + on
	}
	return said + ": " + strings.Join(stats.Map(shown, func(c *Change) string { return c.becomes() + " " + c.from() }), "; ")
}

// becomes says what counts as the change.
func (c *Change) becomes() string {
	switch c.Factor {
	case 0:
		return "models fail"
	case Twice:
		return c.of.says + " doubles"
	}
	return fmt.Sprintf("%s grows by %g %%", c.of.says, 100*(c.Factor-1))
}

// from is the size of a change, in words.
func (c *Change) from() string {
	switch {
	case c.SizeM == nil:
		return fmt.Sprintf("between %s and %s", doc.Millions(c.Between.Low), doc.Millions(c.Between.High))
	case c.Between == nil:
		return "from " + doc.Millions(*c.SizeM) + " parameters on"
	}
	return fmt.Sprintf("from %s parameters on (%s to %s)", doc.Millions(*c.SizeM), doc.Millions(c.Between.Low), doc.Millions(c.Between.High))
}

// title is what was found of the series that leads.
func (a *Answer) title() string {
	first := &a.Answers.First[0]
	if lead, ok := prose.Lead(a.set); ok {
		for i := range a.Answers.First {
			if f := &a.Answers.First[i]; f.Series == lead.Series {
				first = f
			}
		}
	}
	if len(a.Answers.First) == 1 {
		return first.Says("")
	}
	return first.Says(" on " + first.Title())
}

// row is an aspect, of all series where they agree, else of the one that leads.
type row struct {
	what string
	of   []*Change
}

// rows has each aspect once. Where a device has its own memory, the host's hardly matters.
func (a *Answer) rows() (out []row) {
	lead, _ := prose.Lead(a.set)
	device := slices.ContainsFunc(a.Changes, func(c *Change) bool { return c.Aspect == "device_memory" })
	for i := range aspects {
		x := &aspects[i]
		all := slices.DeleteFunc(slices.Clone(a.Changes), func(c *Change) bool { return c.of != x })
		if len(all) == 0 || device && x.name == "memory" {
			continue
		}
		if slices.ContainsFunc(all, func(c *Change) bool { return c.Verdict != all[0].Verdict || (c.SizeM == nil) != (all[0].SizeM == nil) }) {
			at := max(0, slices.IndexFunc(all, func(c *Change) bool { return c.Series == lead.Series }))
			all = all[at : at+1]
		}
		out = append(out, row{all[0].becomes(), all})
	}
	return out
}

// found says of a row what its changes have in common: sizes are those of the first and
// of the last.
func (r row) found() string {
	switch {
	case r.of[0].Verdict == Unknown:
		return "cannot tell"
	case r.of[0].Verdict == Never:
		return "not within the measured sizes"
	case len(r.of) == 1:
		return r.of[0].from()
	}
	var size, low, high doc.Span
	for _, c := range r.of {
		size.Add(c.SizeM)
		if c.Between != nil {
			low.Add(&c.Between.Low)
			high.Add(&c.Between.High)
		}
	}
	switch {
	case !size.Known:
		return fmt.Sprintf("between %s and %s", doc.Millions(low.Lo), doc.Millions(high.Hi))
	case !low.Known:
		return fmt.Sprintf("from %s parameters on", size.Text(doc.Millions))
	}
	return fmt.Sprintf("from %s parameters on (%s to %s)", size.Text(doc.Millions), doc.Millions(low.Lo), doc.Millions(high.Hi))
}

// times is how often the smallest model's level the largest one has.
func (r row) times() string {
	if len(r.of) == 1 {
		return timesText(r.of[0])
	}
	var times doc.Span
	for _, c := range r.of {
		times.Add(c.Times)
	}
	if !times.Known {
		return doc.Unknown
	}
	return times.String()
}

func timesText(c *Change) string {
	if c.TimesCI == nil {
		return doc.NumberOf(c.Times)
	}
	return fmt.Sprintf("%s (%s)", doc.NumberOf(c.Times), doc.Numbers(c.TimesCI))
}

// Sections have the table and the figure.
func (a *Answer) Sections() []doc.Section {
	if len(a.Changes) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: Place}
	columns := []doc.Column[row]{
		{Head: "<as models grow", Cell: func(r row) string { return r.what }},
		{Head: "<changes", Cell: row.found},
		{Head: "largest over smallest (95 %)", Cell: row.times},
	}
	if len(a.Answers.First) > 1 {
		columns = append(columns, doc.Column[row]{Head: "<backend", Cell: func(r row) string {
			if len(r.of) == len(a.Answers.First) {
				return "all"
			}
			return doc.Join(stats.Map(r.of, func(c *Change) string { return prose.Series{Series: c.Series}.String() }))
		}})
	}
	t := doc.TableOf(a.rows(), columns)
	t.Wrap = true
	sec.Add(doc.Pictures(KindFirst), t)
	sec.Fold(fmt.Sprintf("Each aspect of each backend (%d)", len(a.Changes)),
		doc.Paragraph("From the largest model down, each is tested to be beyond the change until one is not; the size is where the law over all of them crosses it. first_change.csv has the reasons, docs/statistics.md the tests."),
		doc.TableOf(a.Changes, []doc.Column[*Change]{
			{Head: "<backend", Cell: func(c *Change) string { return prose.Series{Series: c.Series}.String() }},
			{Head: "<aspect", Cell: func(c *Change) string { return c.becomes() }},
			{Head: "smallest model's", Cell: func(c *Change) string {
				return strings.TrimSpace(doc.NumberOf(c.Level) + " " + c.Unit)
			}},
			{Head: "<changes", Cell: func(c *Change) string { return row{of: []*Change{c}}.found() }},
			{Head: "largest over smallest (95 %)", Cell: timesText},
			{Head: "<why not", Cell: func(c *Change) string {
				if c.Verdict != Unknown {
					return doc.Unknown
				}
				return doc.Text(c.Reason)
			}},
		}))
	return []doc.Section{sec}
}
