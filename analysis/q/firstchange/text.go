package firstchange

import (
	"fmt"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

// Place is where a report has the section.
const Place = "What changes first"

// Sentences say of each backend what changes first.
func (a *Answer) Sentences() []string {
	f := prose.Folder{Total: len(a.Answers.First)}
	for _, x := range a.Answers.First {
		f.Add(prose.Series{Series: x.Series}, x.sentence())
	}
	return f.List()
}

// short is the finding in few words.
func (f *First) short() string {
	first := strings.ReplaceAll(f.Verdict, "+", " or ")
	switch {
	case f.Verdict == Unknown:
		return "unknown"
	case f.Verdict == "none":
		return "nothing"
	case len(f.Unknown) > 0:
		return first + ", as far as can be told"
	}
	return first
}

func (f *First) sentence() string {
	s := fmt.Sprintf("As models grow on %s, **%s** changes first on this machine: ", prose.Some, f.Verdict)
	switch {
	case f.Verdict == Unknown:
		s = fmt.Sprintf("What changes first on %s as models grow is **unknown** on this machine: ", prose.Some)
	case f.Verdict == "none":
		s = fmt.Sprintf("As models grow on %s, **none** of latency, tails and feasibility changes on this machine: ", prose.Some)
	case strings.Contains(f.Verdict, "+"):
		s = fmt.Sprintf("As models grow on %s, **%s** change first on this machine, and which of them is unknown: ", prose.Some, strings.ReplaceAll(f.Verdict, "+", " or "))
	case len(f.Unknown) > 0:
		s = fmt.Sprintf("As models grow on %s, **%s** is the first that is shown to change on this machine: ", prose.Some, f.Verdict)
	}
	var parts, never, open []string
	unknown := map[string][]string{} // aspects by why
	for _, c := range f.Changes {
		switch {
		case c.Factor == 0:
			parts = append(parts, doc.Text(c.Reason))
		case c.Mode == record.ModePrefill:
		case c.Verdict == Changes:
			parts = append(parts, fmt.Sprintf("%s is %g times the smallest model's %s", c.of.says, c.Factor, c.from()))
		case c.of.topic == "":
		case c.Verdict == Never:
			never = append(never, fmt.Sprintf("%s %g times", c.of.says, c.Factor))
		default:
			if unknown[c.Reason] == nil {
				open = append(open, c.Reason)
			}
			unknown[c.Reason] = append(unknown[c.Reason], c.of.says)
		}
	}
	if len(never) > 0 {
		parts = append(parts, "within the measured sizes never "+doc.Join(never))
	}
	for _, why := range open {
		parts = append(parts, fmt.Sprintf("of %s it is unknown, since %s", doc.Join(unknown[why]), doc.Text(why)))
	}
	return s + strings.Join(parts, "; ") + "."
}

// from is the size of a change, in words.
func (c *Change) from() string {
	between := ""
	if c.Between != nil {
		between = doc.Size(round(c.Between.Low)) + " to " + doc.Size(round(c.Between.High))
	}
	switch {
	case c.SizeM == nil:
		return "from somewhere between " + strings.ReplaceAll(between, " to ", " and ") + " million parameters on"
	case between == "":
		return fmt.Sprintf("from %s million parameters on", doc.Size(round(*c.SizeM)))
	}
	return fmt.Sprintf("from %s million parameters on (95 %% %s)", doc.Size(round(*c.SizeM)), between)
}

// Sections have the table and the figure.
func (a *Answer) Sections() []doc.Section {
	t := doc.Table{Wrap: true, Head: []string{"<backend", "<aspect", "smallest model's level", "counts from, times", "<changes", "at the largest, times", "95 %", "<why"}}
	for _, c := range a.Changes {
		level := doc.NumberOf(c.Level)
		if c.Level != nil && c.Unit != "" {
			level += " " + c.Unit
		}
		mode := ""
		if c.Mode != "" {
			mode = ", " + prose.Mode(c.Mode)
		}
		said := map[string]string{Never: "never within the measured sizes", Unknown: "cannot tell", Changes: ""}[c.Verdict]
		if c.Verdict == Changes {
			said = c.from()
		}
		factor := doc.Unknown
		if c.Factor > 0 {
			factor = doc.Size(c.Factor)
		}
		t.Rows = append(t.Rows, []string{prose.Series{Series: c.Series}.String(), doc.Text(strings.ReplaceAll(c.Aspect, "_", " ") + mode), level, factor, said,
			doc.NumberOf(c.Times), doc.Interval(c.TimesCI, 2), doc.Text(c.Reason)})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	found := prose.Folder{Total: len(a.Answers.First)}
	for _, f := range a.Answers.First {
		found.Add(prose.Series{Series: f.Series}, f.short()+" on "+prose.Some)
	}
	title := Place + ": " + strings.Join(found.List(), "; ")
	if len(found.Said) == 1 {
		title = Place + ": " + a.Answers.First[0].short()
	}
	sec := doc.Section{Title: title, Place: Place}
	sec.Say("Each aspect against its level on the smallest model. From the largest model down, each is tested to be more than so many times that (one-sided, error 1 %%) until one is not; the size is where the law over all of them crosses the factor. “Never” takes that all models are shown to be below it.")
	sec.Add(doc.Pictures(KindFirst), t)
	return []doc.Section{sec}
}
