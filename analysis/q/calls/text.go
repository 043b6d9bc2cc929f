package calls

import (
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Spoilt is one reason for which calls are INVALID.
type Spoilt struct {
	*record.Reason
	Seen  string // the reason as it was told first
	Cells int
}

// Spoilt lists the reasons, builds that compute wrong results first.
func (a *Answer) Spoilt() (all []Spoilt) {
	for _, c := range a.Invalid {
		if len(c.Reasons) == 0 {
			c.Reasons = []string{"no reason on record"}
		}
		reasons, seen := stats.GroupBy(c.Reasons, record.ReasonOf)
		for _, r := range reasons {
			i := slices.IndexFunc(all, func(s Spoilt) bool { return s.Reason == r })
			if i < 0 {
				if i = len(all); r == record.WrongResults {
					i = 0
				}
				all = slices.Insert(all, i, Spoilt{Reason: r, Seen: seen[r][0]})
			}
			all[i].Cells++
		}
	}
	return all
}

// SaidTable has an answer of each model that came as a file.
func (a *Answer) SaidTable() doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<model", "<backend", "<prompt", "<answer"}}
	for _, s := range a.Said {
		t.Rows = append(t.Rows, []string{doc.Text(s.Model), doc.Text(s.Backend), doc.OrNone(shorten(s.Prompt)), doc.OrNone(shorten(s.Output))})
	}
	return t
}

// saidLimit is how much of a prompt or an answer is shown, in characters.
const saidLimit = 300

// shorten cuts one line of s.
func shorten(s string) string {
	r := []rune(doc.Clean(s))
	if len(r) <= saidLimit {
		return string(r)
	}
	return strings.TrimSpace(string(r[:saidLimit])) + "…"
}
