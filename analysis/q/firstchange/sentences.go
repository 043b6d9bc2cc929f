package firstchange

import (
	"fmt"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
)

// Sentences say of each backend what changes first.
func (a *Answer) Sentences() []string {
	f := prose.Folder{Total: len(a.Answers.FirstChange)}
	for _, c := range a.Answers.FirstChange {
		f.Add(prose.Of(c.Backend, c.BatchSize), c.sentence())
	}
	return f.List()
}

// FeasibilitySentences say of each backend what ran. They stand last in the opening.
func (a *Answer) FeasibilitySentences() []string {
	f := prose.Folder{Total: len(a.Answers.Feasibility)}
	for _, x := range a.Answers.Feasibility {
		f.Add(prose.Of(x.Backend, x.BatchSize), x.sentence())
	}
	return f.List()
}

func (c *Change) sentence() string {
	why := doc.Text(c.Why)
	var s string
	switch c.Verdict {
	case "", "unknown":
		s = fmt.Sprintf("What changes first on %s as models grow is **unknown** on this machine: %s.", prose.Some, why)
		if c.AmongSeen != "" && c.AmongSeen != "unknown" && c.AmongSeen != "none" {
			s += fmt.Sprintf(" Among the aspects with evidence it is %s.", Aspects(c.AmongSeen))
		}
	case "none":
		s = fmt.Sprintf("On %s **nothing** is shown to change as total parameters grow on this machine: %s.", prose.Some, why)
	default:
		s = fmt.Sprintf("What changes first on %s as total parameters grow: **%s**. On this machine, %s.", prose.Some, Aspects(c.Verdict), why)
	}
	for _, a := range c.Aspects {
		deciding := a.Model != "" && a.Model == c.Model
		if a.Why == "" || deciding || a.Verdict == "unknown" {
			continue // said above
		}
		verdict := "not shown to change"
		if a.Verdict == "changed" {
			verdict = "changed later"
		}
		s += fmt.Sprintf(" %s: %s; %s.", doc.Upper(doc.Text(a.Aspect)), verdict, doc.Text(a.Why))
	}
	return s
}

func (f *Feasibility) sentence() string {
	largest := ""
	if f.LargestOK != "" {
		largest = fmt.Sprintf("the largest that ran whole is %s (%s)", doc.Text(f.LargestOK), doc.Params(f.LargestOKM))
	}
	var s string
	switch f.Verdict {
	case "all_ran":
		if f.ModelsOK == 1 {
			return fmt.Sprintf("**Feasibility** on %s: the one model ran on this machine (%s, %s). At which size it stops is unknown.", prose.Some, doc.Text(f.LargestOK), doc.Params(f.LargestOKM))
		}
		return fmt.Sprintf("**Feasibility** on %s: all %d models ran on this machine; %s. At which size it stops is unknown.", prose.Some, f.ModelsOK, largest)
	case "some_failed":
		s = fmt.Sprintf("**Feasibility** on %s: %s of %d failed on this machine", prose.Some, doc.Count(f.ModelsFailed, "model", "models"), f.ModelsOK+f.ModelsFailed+f.ModelsWaived)
		if f.SmallestFailed != "" {
			s += fmt.Sprintf("; the smallest that did not fit, crashed or timed out is %s (%s, %s)", doc.Text(f.SmallestFailed), doc.Params(f.SmallestFailM), doc.Text(f.Status))
		} else {
			s += ", none of them for lack of memory, by a crash or a timeout"
		}
	case "waived":
		return fmt.Sprintf("**Feasibility** on %s is **unknown**: this machine cannot run it (%s waived).", prose.Some, doc.Count(f.ModelsWaived, "model", "models"))
	case "some_waived":
		s = fmt.Sprintf("**Feasibility** on %s: %s ran and %d were waived on this machine", prose.Some, doc.Count(f.ModelsOK, "model", "models"), f.ModelsWaived)
	default:
		return fmt.Sprintf("**Feasibility** on %s is **unknown** on this machine: no model has a result.", prose.Some)
	}
	if largest != "" {
		s += "; " + largest
	}
	return s + "."
}

// Aspects are those of a verdict, in words.
func Aspects(s string) string { return doc.Text(doc.Join(strings.Split(s, "+"))) }
