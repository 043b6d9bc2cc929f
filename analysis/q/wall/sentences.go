package wall

import (
	"fmt"

	"llmscale/analysis/doc"
)

func size(v *float64) string { return doc.Whole(v) + " MiB" }

// Sentences are where the wall of the CPU's memory stands, for each model. Of a GPU's the section tells.
func (a *Answer) Sentences() (out []string) {
	if a.Wall == nil {
		return nil
	}
	for i := range a.Wall.Cliffs {
		out = append(out, a.Wall.Cliffs[i].sentence())
	}
	return out
}

func (l *Cliff) sentence() string {
	need := fmt.Sprintf("reckoned before, it needs %s", size(l.NeedMiB))
	if l.PeakMiB != nil {
		need += fmt.Sprintf("; measured where it was whole, it took %s", size(l.PeakMiB))
	}
	slow := func() string {
		s := fmt.Sprintf("with %s decode takes %s times as long as without a limit (%s to %s)", size(l.SlowMiB), doc.NumberOf(l.Times), doc.NumberOf(l.Low), doc.NumberOf(l.High))
		if l.Missing != nil && l.Reread != nil {
			s += fmt.Sprintf(": there is no room for %s %% of the weights, and each pass reads %s %% of them from the disk", doc.Percent(l.Missing), doc.Percent(l.Reread))
		}
		return s
	}
	var what string
	switch {
	case l.Verdict == Found:
		what = fmt.Sprintf("The **memory wall** of %s stands between %s and %s of the CPU's memory: with %s decode holds its level (within 1.5 times), %s", doc.Text(l.name()), size(l.SlowMiB), size(l.HoldsMiB), size(l.HoldsMiB), slow())
	case l.Verdict == NotReached:
		what = fmt.Sprintf("%s meets no memory wall: its decode holds its level down to %s of the CPU's memory", doc.Text(l.name()), size(l.HoldsMiB))
	case l.SlowMiB != nil:
		what = fmt.Sprintf("The **memory wall** of %s stands above %s of the CPU's memory; how far above, this run cannot tell: %s", doc.Text(l.name()), size(l.SlowMiB), slow())
	default:
		what = fmt.Sprintf("Where the memory wall of %s stands, this run cannot tell: no limit leaves decode surely within 1.5 times of its level and a smaller one surely beyond, with intervals over processes", doc.Text(l.name()))
	}
	what += ". " + doc.Upper(need) + "."
	if l.DiesMiB != nil {
		what += fmt.Sprintf(" With %s it does not run: %s was reckoned to be what cannot be dropped and read again", size(l.DiesMiB), size(l.LeastMiB))
		if l.UnmappedMiB != nil {
			what += fmt.Sprintf(", measured where it ran: %s", size(l.UnmappedMiB))
		}
		what += "."
	}
	return what
}
