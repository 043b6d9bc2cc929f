// Package weights asks in which weight type a model is fastest, and whether decode
// takes as long as the bytes that a token reads.
package weights

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// Answer has nothing where every model was measured in one type.
type Answer struct {
	finding.Notes
	set *cells.Set

	WeightTypes []Comparison `json:"weight_types,omitempty"`
	Answers     struct {
		WeightTypes []Verdict `json:"weight_types,omitempty"` // one for each comparison
	} `json:"answers"`
}

// asker puts the answer together.
type asker struct {
	*cells.Set
	out *Answer
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &asker{c, &Answer{set: c}}
	a.compare()
	return a.out
}

// row is one type of one comparison in one scenario.
type row struct {
	*Comparison
	*Type
	*Times
	*OverAll // nil but in the row over all scenarios
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	var rows []row
	for i := range a.WeightTypes {
		w := &a.WeightTypes[i]
		for j := range w.Types {
			t := &w.Types[j]
			for k := range t.Times {
				r := row{w, t, &t.Times[k], nil}
				if r.Times == t.All() {
					r.OverAll = &t.OverAll
				}
				rows = append(rows, r)
			}
		}
	}
	return []finding.Table{
		finding.TableOf("weight_types.csv", "The weight types of one model side by side, on one device and with the same runtime options: a row for each type and scenario. Ratios are to the type that reads most bytes per token.", rows,
			`model backend backend_kind device batch_size params_millions_effective weight_type bits_per_weight bytes_read_per_token scenario n
			prefill_median_ms prefill_ratio prefill_ratio_ci_low prefill_ratio_ci_high
			decode_ms_per_token decode_ratio decode_ratio_ci_low decode_ratio_ci_high weights_gb_per_s
			decode_over_bytes decode_over_bytes_ci_low decode_over_bytes_ci_high decode_residual basis`),
		finding.TableOf("weight_type_fits.csv", "decode_ms_per_token = fixed_ms + ms_per_mb * MB read per token over the weight types of one model, least squares over the types.", a.WeightTypes,
			`model backend_kind device batch_size params_millions_effective base_weight_type shared_fixed_max_ms n_types n ok
			fixed_ms fixed_se_ms fixed_t_ci_ms_low fixed_t_ci_ms_high ms_per_mb ms_per_mb_se ms_per_mb_t_ci_low ms_per_mb_t_ci_high gb_per_s r2 reason`),
	}
}
