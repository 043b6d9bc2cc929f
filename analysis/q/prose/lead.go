package prose

import (
	"llmscale/analysis/cells"
	"llmscale/runner/record"
)

// Lead is the series that the answer and all sections tell of where several differ. Of
// those that decode fewest sequences together and measured most models it is the first of
// the plan, unless another is shown to decode the largest model faster. ok is false where
// nothing was measured.
func Lead(c *cells.Set) (lead Series, ok bool) {
	mode, most, fewest := record.ModeDecode, 0, 0
	var all []Series
	for _, mode = range []string{record.ModeDecode, record.ModePrefill, record.ModeE2E} {
		for _, s := range Measured(c) {
			n := len(measured(c, s.Series, mode))
			switch {
			case n == 0:
			case all == nil || s.BatchSize < fewest || s.BatchSize == fewest && n > most:
				all, fewest, most = []Series{s}, s.BatchSize, n
			case s.BatchSize == fewest && n == most:
				all = append(all, s)
			}
		}
		if all != nil {
			break
		}
	}
	for i, s := range all {
		if i == 0 || Faster(c, s.Series, lead.Series, mode) {
			lead = s
		}
	}
	return lead, all != nil
}

// measured are the models of a series that have figures of a mode, by size.
func measured(c *cells.Set, s cells.Series, mode string) (out []*cells.Model) {
	for _, m := range c.ModelsOf(s.Backend) {
		if c.Aggregate(s, m.Name, mode) != nil {
			out = append(out, m)
		}
	}
	return out
}

// Faster is whether x is shown to take less than y, by a model's 95 % interval: the
// largest that both measured, in the scenarios of both.
func Faster(c *cells.Set, x, y cells.Series, mode string) bool {
	models := measured(c, y, mode)
	for i := len(models) - 1; i >= 0; i-- {
		var ours, theirs []cells.Times
		for _, sc := range c.Joined() {
			a, b := c.Group(x.Key(models[i].Name, sc, mode)), c.Group(y.Key(models[i].Name, sc, mode))
			if a == nil || b == nil || len(a.Rows) == 0 || len(b.Rows) == 0 {
				continue
			}
			of := (*cells.Group).Times
			if mode == record.ModeDecode {
				of = (*cells.Group).StepTimes
			}
			ours, theirs = append(ours, of(a)), append(theirs, of(b))
		}
		if len(ours) > 0 {
			e, basis := cells.ProcessContrast(theirs, ours)
			ci := e.ExpInterval()
			return basis != "" && ci != nil && ci.High < 1
		}
	}
	return false
}
