package calls

import "llmscale/analysis/cells"

// runWarnings are doubts about the run as a whole.
func (a *Answer) runWarnings(set *cells.Set) {
	bad := map[string]bool{}
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		if k := r.Backend + " " + r.Model; r.OK() && r.LogitsFinite != nil && !*r.LogitsFinite && !bad[k] {
			bad[k] = true
			a.Warn("logits_not_finite", k, "the model's output holds NaN or infinity: the computation is wrong, whatever its speed",
				"do not use its figures; check the weights' type and file")
		}
	}
}
