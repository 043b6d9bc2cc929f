package firstchange

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Place is where a report has the section.
const Place = "What changes first"

const file = "first_change.csv"

// Says is the finding in one line; on is "" or names the series, as " on cpu". Sizes have
// 95 % intervals.
func (f *First) Says(on string) prose.Sentence {
	on = " as models grow" + on
	topics := strings.Split(f.Verdict, "+")
	var shown []prose.Sentence // what the verdict rests on
	for _, c := range f.Changes {
		if c.Verdict == Changes && slices.Contains(topics, c.of.topic) {
			shown = append(shown, prose.Say("%s %s", c.outgrows(), c.from()))
		}
	}
	switch {
	case f.Verdict == Unknown:
		return prose.Say("What changes first%s cannot be told", on)
	case f.Verdict == "none":
		return prose.Say("Neither latency nor tails nor feasibility change%s, within the measured sizes", on)
	}
	changes, is := " changes", " is"
	if f.Verdict == "tails" || len(topics) > 1 {
		changes, is = " change", " are"
	}
	said := doc.Upper(strings.Join(topics, " or ")) + changes + " first" + on
	switch {
	case len(topics) > 1:
		said += " (which of them cannot be told)"
	case len(f.Unknown) > 0:
		said = doc.Upper(topics[0]) + is + " the first shown to change" + on
	}
	return prose.Say("%s: %s", said, prose.Semicolons(shown))
}

// Why says, of what cannot be told, why; "" of what can.
func (f *First) Why() prose.Sentence {
	i := slices.IndexFunc(f.Changes, func(c *Change) bool { return c.Verdict == Unknown && c.of.topic != "" && c.Reason != "" })
	if f.Verdict != Unknown || i < 0 {
		return prose.Say("")
	}
	return prose.Say("%s", prose.Quoted(f.Changes[i].Reason, file+" reason"))
}

// Rest says of what does not change first whether it changes at all; "" where nothing is
// shown to change.
func (f *First) Rest() prose.Sentence {
	if f.Verdict == Unknown || f.Verdict == "none" {
		return prose.Say("")
	}
	var known, unknown []prose.Sentence
	largest := 0.0
	for _, c := range f.Changes {
		switch {
		case c.of.topic == "" || c.Verdict == Changes && slices.Contains(strings.Split(f.Verdict, "+"), c.of.topic):
		case c.Verdict == Changes:
			known = append(known, prose.Say("%s %s", c.outgrows(), c.from()))
		case c.Verdict == Unknown:
			unknown = append(unknown, prose.Say("%s", c.of.says))
		case c.Factor == 0:
			known = append(known, prose.Say("no model fails"))
		default:
			known = append(known, prose.Say("%s grows less than %s times", c.of.says, prose.Digits(c.Factor, file+" factor")))
		}
		if c.LargestM != nil {
			largest = max(largest, *c.LargestM)
		}
	}
	said := prose.Say("")
	if len(known) > 0 && largest > 0 {
		said = prose.Say("Up to %s %s", prose.Size(largest, file+" largest_millions"), prose.Join(known, "and"))
	}
	switch {
	case len(unknown) == 0:
		return said
	case said.Text == "":
		return prose.Say("Not told: %s", prose.Join(unknown, "and"))
	}
	return prose.Say("%s; not told: %s", said, prose.Join(unknown, "and"))
}

// outgrows says the change against the smallest model.
func (c *Change) outgrows() prose.Sentence {
	if c.Factor == 0 || c.SmallM == nil {
		return c.becomes()
	}
	times := prose.Say("%s times", prose.Digits(c.Factor, file+" factor"))
	if c.Factor == Twice {
		times = prose.Say("twice")
	}
	return prose.Say("%s is %s that at %s", c.of.says, times, prose.Size(*c.SmallM, file+" smallest_millions"))
}

// becomes says what counts as the change.
func (c *Change) becomes() prose.Sentence {
	switch c.Factor {
	case 0:
		return prose.Say("models fail")
	case Twice:
		return prose.Say("%s doubles", c.of.says)
	}
	return prose.Say("%s grows to %s times", c.of.says, prose.Digits(c.Factor, file+" factor"))
}

// from is the size of a change.
func (c *Change) from() prose.Sentence {
	low, high := file+" low_millions", file+" high_millions"
	switch {
	case c.SizeM == nil:
		return prose.Say("between %s and %s parameters", prose.Size(c.Between.Low, low), prose.Size(c.Between.High, high))
	case c.Between == nil:
		return prose.Say("from %s parameters on", prose.Size(*c.SizeM, file+" size_millions"))
	}
	return prose.Say("from %s parameters [%s to %s] on", prose.Size(*c.SizeM, file+" size_millions"), prose.Size(c.Between.Low, low), prose.Size(c.Between.High, high))
}

// First is what changes first on a series; nil where the run has none of it.
func (a *Answer) First(s cells.Series) *First {
	if i := slices.IndexFunc(a.Answers.First, func(f *First) bool { return f.Series == s }); i >= 0 {
		return a.Answers.First[i]
	}
	return nil
}

// title is what was found of the series that leads.
func (a *Answer) title() string {
	lead, _ := prose.Lead(a.set)
	first := a.First(lead.Series)
	if first == nil {
		first = a.Answers.First[0]
	}
	return first.Says(prose.On(a.set, first.Series)).Text
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
		out = append(out, row{all[0].becomes().Text, all})
	}
	return out
}

// found says of a row what its changes have in common.
func (r row) found() string {
	switch {
	case r.of[0].Verdict == Unknown:
		return "cannot tell"
	case r.of[0].Verdict == Never:
		return "not within the measured sizes"
	case len(r.of) == 1:
		return r.of[0].from().Text
	}
	var size, between doc.Span
	for _, c := range r.of {
		size.Add(c.SizeM)
		if c.Between != nil {
			between.Add(&c.Between.Low)
			between.Add(&c.Between.High)
		}
	}
	if !size.Known {
		return fmt.Sprintf("between %s and %s parameters", doc.Millions(between.Lo), doc.Millions(between.Hi))
	}
	return fmt.Sprintf("from %s parameters on", size.Text(doc.Millions))
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
	return fmt.Sprintf("%s [%s]", doc.NumberOf(c.Times), doc.Numbers(c.TimesCI))
}

// Sections have the table and the figure.
func (a *Answer) Sections() []doc.Section {
	if len(a.Changes) == 0 {
		return nil
	}
	sec := doc.Section{Title: a.title(), Place: Place}
	brackets := "Brackets hold 95 % intervals"
	if len(a.Answers.First) > 1 {
		brackets += "; a span without them is over backends"
	}
	columns := []doc.Column[row]{
		{Head: "<as models grow", Cell: func(r row) string { return r.what }},
		{Head: "<changes", Cell: row.found},
		{Head: "largest over smallest", Cell: row.times},
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
	sec.Add(doc.Pictures(KindFirst), doc.Paragraph(brackets+"."), t)
	sec.Fold(fmt.Sprintf("Each aspect of each backend (%d)", len(a.Changes)),
		doc.Paragraph("From the largest model down, each is tested to be beyond the change until one is not; the size is where the law over all of them crosses it. first_change.csv has the reasons, docs/statistics.md the tests."),
		doc.TableOf(a.Changes, []doc.Column[*Change]{
			{Head: "<backend", Cell: func(c *Change) string { return prose.Series{Series: c.Series}.String() }},
			{Head: "<aspect", Cell: func(c *Change) string { return c.becomes().Text }},
			{Head: "smallest model's", Cell: func(c *Change) string {
				return strings.TrimSpace(doc.NumberOf(c.Level) + " " + c.Unit)
			}},
			{Head: "<changes", Cell: func(c *Change) string { return row{of: []*Change{c}}.found() }},
			{Head: "largest over smallest [95 %]", Cell: timesText},
			{Head: "<why not", Cell: func(c *Change) string {
				if c.Verdict != Unknown {
					return doc.Unknown
				}
				return doc.Text(c.Reason)
			}},
		}))
	return []doc.Section{sec}
}
