package firstchange

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// feasible finds the smallest model that failed for its size.
func (a *asker) feasible(c *Change) {
	var ran, failed *cells.Model // the largest below failed, and the smallest
	var notes []string
	waived := 0
	for _, m := range a.sized(c.Series) {
		var status string
		n := 0
		where := map[string][]string{} // scenarios by why it is no matter of size
		for _, f := range a.failed[modelOf{c.Series, m.Name}] {
			if f.Status == record.StatusWaived {
				waived++
			}
			if f.Status != record.StatusOOM && f.Status != record.StatusCrashed && f.Status != record.StatusTimeout || !a.Joins(f.Scenario) {
				continue
			}
			if why := a.notOfSize(c.Series, m, f); why != "" {
				where[why] = append(where[why], f.Scenario)
				continue
			}
			n, status = n+1, f.Status
		}
		for _, why := range slices.Sorted(maps.Keys(where)) {
			notes = append(notes, fmt.Sprintf("%s %s (%s), which is not a matter of size", m.Name, why, strings.Join(where[why], ", ")))
		}
		switch {
		case n > 0:
			c.failed = append(c.failed, *m.ParamsMillions)
			if failed == nil {
				failed = m
				c.Reason = fmt.Sprintf("%s of %s (%s) %s, and no larger model ran there", words.Counted(n, "cell", "cells"), m.Name, doc.Params(m.ParamsMillions), statusWord(status))
				if ran == nil && status != record.StatusOOM {
					c.Reason += "; it is the smallest: suspect the build or the configuration before the size"
				} else {
					c.Verdict = Changes
				}
			}
		case a.Measured(c.Series, m.Name):
			c.Models++
			c.LargestM = m.ParamsMillions
			if failed == nil {
				ran = m
			}
		}
	}
	switch {
	case c.Verdict == Changes:
		c.SizeM = failed.ParamsMillions
		if ran != nil {
			c.Between = stats.NewInterval(*ran.ParamsMillions, *failed.ParamsMillions)
		}
	case failed != nil:
	case ran != nil:
		c.Verdict, c.Reason = Never, fmt.Sprintf("no model up to %s (%s) failed for its size", ran.Name, doc.Params(ran.ParamsMillions))
	case waived > 0:
		c.Reason = "the models were waived: this machine cannot run them"
	default:
		c.Reason = "no model of known size was measured"
	}
	c.Reason = strings.Join(append([]string{c.Reason}, notes...), "; ")
}

// notOfSize says why a failed cell is no matter of size: a limit or a path in the
// config, a damaged file, a killed process. "" if it may be one.
func (a *asker) notOfSize(s cells.Series, m *cells.Model, f failures.Cell) string {
	if f.OKCalls > 0 && f.Status != record.StatusOOM {
		return statusWord(f.Status) + " after calls that went well"
	}
	for _, l := range a.sized(s) {
		if l == m || sizeStep**l.ParamsMillions <= *m.ParamsMillions || a.Group(s.Key(l.Name, f.Scenario, record.ModeDecode)) == nil {
			continue
		}
		if slices.ContainsFunc(a.failed[modelOf{s, l.Name}], func(x failures.Cell) bool { return x.Scenario == f.Scenario }) {
			continue
		}
		if *l.ParamsMillions < sizeStep**m.ParamsMillions {
			return fmt.Sprintf("%s where %s of the same size ran", statusWord(f.Status), l.Name)
		}
		return fmt.Sprintf("%s where the larger %s ran", statusWord(f.Status), l.Name)
	}
	return ""
}

func statusWord(status string) string {
	switch status {
	case record.StatusOOM:
		return "ran out of memory"
	case record.StatusTimeout:
		return "timed out"
	}
	return status
}
