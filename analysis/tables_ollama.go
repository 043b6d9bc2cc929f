package analysis

import (
	"slices"

	"llmscale/analysis/q/ollama"
	"llmscale/analysis/q/scaling"
)

// ollamaTables are about answers that ran to the target length.
var ollamaTables = []Table{
	table("scaling_fits_length_limited.csv", "The fits of decode and end-to-end over those answers alone that ran to the target length.", true,
		func(r *Result) []*scaling.Fit { return pointers(Get[ollama.Answer](r).Lists().LengthLimited) },
		slices.Concat(fitColumns(), []column[*scaling.Fit]{{"filter", "", "which rows were kept", func(f *scaling.Fit) string { return f.Filter }}})),
}
