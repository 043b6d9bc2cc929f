package analysis

import (
	"strconv"
	"strings"

	"llmscale/analysis/stats"
)

// lengthTables say how decode grows with the number of tokens decoded.
var lengthTables = []Table{
	table("decode_length.csv", "Decode by the number of tokens decoded, where a model answers prompts of one length at several lengths.", true,
		func(r *Result) []*DecodeLength { return pointers(r.DecodeLengths) },
		[]column[*DecodeLength]{
			{"backend", "", "name of the backend", func(d *DecodeLength) string { return d.Backend }},
			{"backend_kind", "", "runtime", func(d *DecodeLength) string { return d.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(d *DecodeLength) string { return strconv.Itoa(d.BatchSize) }},
			{"model", "", "name of the model", func(d *DecodeLength) string { return d.Model }},
			{"params_millions_effective", "1e6", "parameters", func(d *DecodeLength) string { return opt(d.ParamsM) }},
			{"prompt_tokens", "tokens", "prompt, per sequence", func(d *DecodeLength) string { return strconv.Itoa(d.PromptTokens) }},
			{"gen_tokens", "tokens", "tokens decoded, per sequence", func(d *DecodeLength) string { return strconv.Itoa(d.GenTokens) }},
			{"scenarios", "", "scenarios of this length", func(d *DecodeLength) string { return strings.Join(d.Scenarios, " ") }},
			{"n", "calls", "calls", func(d *DecodeLength) string { return strconv.Itoa(d.N) }},
			{"kv_decode_median_ms", "ms", "median decode time", func(d *DecodeLength) string { return num(d.DecodeMS) }},
			{"ms_per_token_median", "ms/token", "the same over gen_tokens", func(d *DecodeLength) string { return num(d.MSPerToken) }},
			{"ms_per_token_min", "ms/token", "fastest call", func(d *DecodeLength) string { return num(d.MSPerTokenMin) }},
			{"ms_per_token_max", "ms/token", "slowest call", func(d *DecodeLength) string { return num(d.MSPerTokenMax) }},
			{"ms_per_token_ratio", "", "median time per token over that of the shortest length", func(d *DecodeLength) string { return num(d.Ratio) }},
			{"e2e_kv_median_ms", "ms", "median end-to-end time of the same scenarios", func(d *DecodeLength) string { return opt(d.E2EMS) }},
			{"decode_fraction", "", "decode over end-to-end", func(d *DecodeLength) string { return opt(d.Fraction) }},
		}),

	table("decode_length_fits.csv", "kv_decode_ms = fixed_ms + per_token_ms * gen_tokens over the calls, weighted with 1/gen_tokens^2; and the time of one step along positions, in the longest answers.", true,
		func(r *Result) []*DecodeLengthFit { return pointers(r.DecodeLengthFits) },
		[]column[*DecodeLengthFit]{
			{"backend", "", "name of the backend", func(f *DecodeLengthFit) string { return f.Backend }},
			{"backend_kind", "", "runtime", func(f *DecodeLengthFit) string { return f.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(f *DecodeLengthFit) string { return strconv.Itoa(f.BatchSize) }},
			{"model", "", "name of the model", func(f *DecodeLengthFit) string { return f.Model }},
			{"params_millions_effective", "1e6", "parameters", func(f *DecodeLengthFit) string { return opt(f.ParamsM) }},
			{"prompt_tokens", "tokens", "prompt, per sequence", func(f *DecodeLengthFit) string { return strconv.Itoa(f.PromptTokens) }},
			{"n_lengths", "", "answer lengths", func(f *DecodeLengthFit) string { return strconv.Itoa(f.NLengths) }},
			{"n", "calls", "calls", func(f *DecodeLengthFit) string { return strconv.Itoa(f.N) }},
			{"ok", "", "whether there is a fit", func(f *DecodeLengthFit) string { return strconv.FormatBool(f.OK) }},
			{"fixed_ms", "ms", "cost of a call that does not depend on its length", func(f *DecodeLengthFit) string { return opt(f.FixedMS) }},
			{"fixed_se_ms", "ms", "its standard error", func(f *DecodeLengthFit) string { return opt(f.FixedSE) }},
		},
		bounds("fixed_t_ci_ms", "ms", "its 95 % t-interval", func(f *DecodeLengthFit) *stats.Interval { return f.FixedT }),
		[]column[*DecodeLengthFit]{
			{"per_token_ms", "ms/token", "cost of each token", func(f *DecodeLengthFit) string { return opt(f.PerTokenMS) }},
			{"per_token_se_ms", "ms/token", "its standard error", func(f *DecodeLengthFit) string { return opt(f.PerTokenSE) }},
		},
		bounds("per_token_t_ci_ms", "ms/token", "its 95 % t-interval", func(f *DecodeLengthFit) *stats.Interval { return f.PerTokenT }),
		[]column[*DecodeLengthFit]{
			{"r2", "", "R2 of the weighted times", func(f *DecodeLengthFit) string { return opt(f.R2) }},
			{"lack_of_fit_p", "", "p of the lengths' means lying on the line, against the calls' scatter", func(f *DecodeLengthFit) string { return opt(f.BentP) }},
			{"largest_deviation", "", "largest deviation of a length's mean from the line, as a share of the line", func(f *DecodeLengthFit) string { return opt(f.Deviation) }},
			{"position_gen_tokens", "tokens", "answers that the slope along positions is taken from", func(f *DecodeLengthFit) string { return strconv.Itoa(f.Position.GenTokens) }},
			{"position_n", "calls", "those of them with token times", func(f *DecodeLengthFit) string { return strconv.Itoa(f.Position.N) }},
			{"position_ns_per_100", "ns", "by how much a step takes longer 100 positions later: mean over the calls", func(f *DecodeLengthFit) string { return opt(f.Position.NSPer100) }},
		},
		bounds("position_ns_per_100_ci", "ns", "its 95 % t-interval over the calls", func(f *DecodeLengthFit) *stats.Interval { return f.Position.CI }),
		[]column[*DecodeLengthFit]{
			{"position_relative_per_100", "", "the same over the median step", func(f *DecodeLengthFit) string { return opt(f.Position.Relative) }},
			{"position_reason", "", "why that is unknown", func(f *DecodeLengthFit) string { return f.Position.Reason }},
			{"warnings", "", "codes of the fit's warnings", func(f *DecodeLengthFit) string { return codes(f.Warnings) }},
			{"reason", "", "why there is no fit", func(f *DecodeLengthFit) string { return f.Reason }},
		}),
}
