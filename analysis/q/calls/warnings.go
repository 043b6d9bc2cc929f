package calls

// runWarnings are doubts about the run as a whole.
func (a *asker) runWarnings() {
	bad := map[string]bool{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if k := r.Backend + " " + r.Model; r.OK() && r.LogitsFinite != nil && !*r.LogitsFinite && !bad[k] {
			bad[k] = true
			a.out.Warn("logits_not_finite", k, "the model's output holds NaN or infinity: the computation is wrong, whatever its speed",
				"do not use its figures; check the weights' type and file")
		}
	}
}
