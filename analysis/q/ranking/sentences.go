package ranking

import (
	"fmt"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/runner/record"
)

const mostPairs = 4 // in the opening

// Sentences say of the first backend and each other whether they cross, where they differ in more than one setting.
func (a *Answer) Sentences() (out []string) {
	for i := range a.Crossings {
		if c := &a.Crossings[i]; c.Mode == record.ModeDecode && a.said(c.Scenario) && c.NSizes > 1 && c.Base == a.set.Series[0].Backend && !a.settings.Told(c.Base, c.Backend) {
			if len(out) == mostPairs {
				return append(out, "Further pairs of backends are in crossings.csv.")
			}
			out = append(out, c.sentence())
		}
	}
	return out
}

func (c *Crossing) sentence() string {
	s := fmt.Sprintf("Decode on **%s** against %s on this machine (%s)", prose.Series{Series: c.Series}, doc.Text(c.Base), c.differ())
	if c.SmallCI != nil && c.LargeCI != nil {
		s += fmt.Sprintf(": %s times as fast at %s, %s at %s%s", strings.Replace(policy.AsFast(c.Small, c.SmallCI), "[", "[95 % ", 1), doc.Params(c.SmallM), policy.AsFast(c.Large, c.LargeCI), doc.Params(c.LargeM), prose.Within(c.Basis))
	}
	return s + ": " + c.where() + "."
}

func (c *Crossing) differ() string {
	if len(c.Differ) == 0 {
		return "the same settings"
	}
	return "they differ in " + doc.Text(strings.Join(c.Differ, ", "))
}

// where says the verdict.
func (c *Crossing) where() string {
	switch {
	case c.Verdict == Crosses && c.SizeM != nil:
		return fmt.Sprintf("**they cross at %s** (%s), %s is faster below and %s above", doc.Params(c.SizeM), "95 % "+c.interval(), doc.Text(c.Below), doc.Text(c.Above))
	case c.Verdict == Crosses:
		return "they cross more than once"
	case c.Verdict == OneFaster:
		return doc.Text(c.Above) + " is faster at every size"
	}
	return "no crossing is shown: " + doc.Text(c.Reason)
}
