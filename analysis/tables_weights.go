package analysis

import (
	"strconv"

	"llmscale/analysis/stats"
)

// weightTables compare the weight types of one model.
var weightTables = []Table{
	table("weight_types.csv", "The weight types of one model side by side, on one device and with the same runtime options: a row for each type and scenario. Ratios are to the type that reads most bytes per token.", true,
		weightRows,
		[]column[weightRow]{
			{"model", "", "name of the model", func(r weightRow) string { return r.of.Model }},
			{"backend", "", "name of the backend", func(r weightRow) string { return r.t.Backend }},
			{"backend_kind", "", "runtime", func(r weightRow) string { return r.of.BackendKind }},
			{"device", "", "device", func(r weightRow) string { return r.of.Device }},
			{"batch_size", "sequences", "sequences decoded together", func(r weightRow) string { return strconv.Itoa(r.of.BatchSize) }},
			{"params_millions_effective", "1e6", "parameters", func(r weightRow) string { return opt(r.of.ParamsM) }},
			{"weight_type", "", "type that holds most of the weights", func(r weightRow) string { return r.t.WeightType }},
			{"bits_per_weight", "bits", "weight bytes * 8 / parameters", func(r weightRow) string { return opt(r.t.BitsPerWeight) }},
			{"bytes_read_per_token", "B", "weight bytes read per decoded token", func(r weightRow) string { return whole(r.t.BytesPerToken) }},
			{"scenario", "", "scenario, or `__all__` (geometric means)", func(r weightRow) string { return r.at.Scenario }},
			{"n", "calls", "decode calls; of `__all__` the fewest in a scenario", func(r weightRow) string { return strconv.Itoa(r.at.N) }},
			{"prefill_median_ms", "ms", "median prefill", func(r weightRow) string { return opt(r.at.PrefillMS) }},
			{"prefill_ratio", "", "its ratio", func(r weightRow) string { return opt(r.at.PrefillRatio) }},
		},
		bounds("prefill_ratio_ci_within_process", "", "its 95 % interval, from the calls of one process each", func(r weightRow) *stats.Interval { return r.at.PrefillRatioCI }),
		[]column[weightRow]{
			{"decode_ms_per_token", "ms/token", "median decode time per token", func(r weightRow) string { return num(r.at.DecodeMS) }},
			{"decode_ratio", "", "its ratio", func(r weightRow) string { return num(r.at.DecodeRatio) }},
		},
		bounds("decode_ratio_ci_within_process", "", "its 95 % interval, from the calls of one process each", func(r weightRow) *stats.Interval { return r.at.DecodeRatioCI }),
		[]column[weightRow]{
			{"weights_gb_per_s", "GB/s", "1e9 bytes of weights read in a second of decode", func(r weightRow) string { return num(r.at.GBPerS) }},
			{"decode_over_bytes", "", "`__all__`: decode time over what the type's bytes take at the rate of the type with most, with `shared_fixed_max_ms`", func(r weightRow) string { return opt(r.overall().OverBytes) }},
		},
		bounds("decode_over_bytes_ci_within_process", "", "`__all__`: its 95 % interval, from the calls of one process each, with `shared_fixed_max_ms` taken as given", func(r weightRow) *stats.Interval { return r.overall().OverBytesCI }),
		[]column[weightRow]{
			{"decode_residual", "", "`__all__`: decode time over the line's, less 1", func(r weightRow) string { return opt(r.overall().Residual) }},
		}),

	table("weight_type_fits.csv", "decode_ms_per_token = fixed_ms + ms_per_mb * MB read per token over the weight types of one model, least squares over the types.", true,
		func(r *Result) []*WeightTypes { return pointers(r.WeightTypes) },
		[]column[*WeightTypes]{
			{"model", "", "name of the model", func(w *WeightTypes) string { return w.Model }},
			{"backend_kind", "", "runtime", func(w *WeightTypes) string { return w.BackendKind }},
			{"device", "", "device", func(w *WeightTypes) string { return w.Device }},
			{"batch_size", "sequences", "sequences decoded together", func(w *WeightTypes) string { return strconv.Itoa(w.BatchSize) }},
			{"params_millions_effective", "1e6", "parameters", func(w *WeightTypes) string { return opt(w.ParamsM) }},
			{"base_weight_type", "", "type that reads most bytes", func(w *WeightTypes) string { return w.Base }},
			{"shared_fixed_max_ms", "ms/token", "largest cost per token, the same for all types, that their times leave room for", func(w *WeightTypes) string { return opt(w.SharedFixedMS) }},
			{"n_types", "", "weight types", func(w *WeightTypes) string { return strconv.Itoa(w.Fit.NTypes) }},
			{"n", "", "points of the line", func(w *WeightTypes) string { return strconv.Itoa(w.Fit.N) }},
			{"ok", "", "whether there is a line", func(w *WeightTypes) string { return strconv.FormatBool(w.Fit.OK) }},
			{"fixed_ms", "ms/token", "the line at no bytes", func(w *WeightTypes) string { return opt(w.Fit.FixedMS) }},
			{"fixed_se_ms", "ms/token", "its standard error", func(w *WeightTypes) string { return opt(w.Fit.FixedSE) }},
		},
		bounds("fixed_t_ci_ms", "ms/token", "its 95 % t-interval", func(w *WeightTypes) *stats.Interval { return w.Fit.FixedT }),
		[]column[*WeightTypes]{
			{"ms_per_mb", "ms/MB", "its slope", func(w *WeightTypes) string { return opt(w.Fit.MSPerMB) }},
			{"ms_per_mb_se", "ms/MB", "the slope's standard error", func(w *WeightTypes) string { return opt(w.Fit.MBSE) }},
		},
		bounds("ms_per_mb_t_ci", "ms/MB", "the slope's 95 % t-interval", func(w *WeightTypes) *stats.Interval { return w.Fit.MBT }),
		[]column[*WeightTypes]{
			{"gb_per_s", "GB/s", "one over the slope", func(w *WeightTypes) string { return opt(w.Fit.GBPerS) }},
			{"r2", "", "R2", func(w *WeightTypes) string { return opt(w.Fit.R2) }},
			{"reason", "", "why there is no line", func(w *WeightTypes) string { return w.Fit.Reason }},
		}),
}

// weightRow is one type of one comparison in one scenario.
type weightRow struct {
	of *WeightTypes
	t  *WeightType
	at *WeightTypeTimes
}

// overall has what is known over all scenarios alone; nothing in the rows of one.
func (r weightRow) overall() *WeightType {
	if r.at != r.t.All() {
		return &WeightType{}
	}
	return r.t
}

func weightRows(r *Result) []weightRow {
	var out []weightRow
	for i := range r.WeightTypes {
		w := &r.WeightTypes[i]
		for j := range w.Types {
			for k := range w.Types[j].Times {
				out = append(out, weightRow{w, &w.Types[j], &w.Types[j].Times[k]})
			}
		}
	}
	return out
}
