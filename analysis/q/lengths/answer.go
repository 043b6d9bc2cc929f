// Package lengths asks how decode grows with the length of the answer and with what
// lies in the KV cache before, and how prefill grows with the length of the prompt.
package lengths

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
)

// Answer has nothing where all calls of a run have one length.
type Answer struct {
	finding.Notes
	set *cells.Set

	DecodeLengths     []DecodeLength     `json:"decode_lengths,omitempty"`
	DecodeLengthFits  []DecodeLengthFit  `json:"decode_length_fits,omitempty"`
	PrefillLengths    []PrefillLength    `json:"prefill_lengths,omitempty"`
	PrefillLengthFits []PrefillLengthFit `json:"prefill_length_fits,omitempty"`
	DecodeDepths      []DecodeDepth      `json:"decode_depths,omitempty"`
	DecodeDepthFits   []DecodeDepthFit   `json:"decode_depth_fits,omitempty"`
	Answers           struct {
		DecodeLengths []Verdict `json:"decode_length,omitempty"`
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
	a.lengths()
	a.prefillLengths()
	a.checkLengths()
	a.depthsOfDecode()
	return a.out
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("decode_length.csv", "Decode by the number of tokens decoded, where a model answers prompts of one length at several lengths.", a.DecodeLengths,
			`backend backend_kind batch_size model params_millions_effective prompt_tokens gen_tokens scenarios n
			kv_decode_median_ms ms_per_token_median ms_per_token_min ms_per_token_max ms_per_token_ratio e2e_kv_median_ms decode_fraction`),
		finding.TableOf("decode_length_fits.csv", "kv_decode_ms = fixed_ms + per_token_ms * gen_tokens over the calls, weighted with 1/gen_tokens^2; and the time of one step along positions, in the longest answers.", a.DecodeLengthFits,
			`backend backend_kind batch_size model params_millions_effective prompt_tokens n_lengths n ok
			fixed_ms fixed_se_ms fixed_t_ci_ms_low fixed_t_ci_ms_high per_token_ms per_token_se_ms per_token_t_ci_ms_low per_token_t_ci_ms_high
			r2 lack_of_fit_p largest_deviation position_gen_tokens position_n position_ns_per_100 position_ns_per_100_ci_low position_ns_per_100_ci_high
			position_relative_per_100 position_reason warnings reason`),
		finding.TableOf("prefill_lengths.csv", "Prefill by the length of the prompt.", a.PrefillLengths,
			`backend backend_kind batch_size model params_millions_effective prompt_tokens scenarios n
			prefill_median_ms prefill_min_ms prefill_max_ms ms_per_token_median in_fit`),
		finding.TableOf("prefill_length_fits.csv", "log10(prefill ms) = a + exponent * log10(prompt tokens) over the medians of the prompt lengths from 64 to 1024 tokens.", a.PrefillLengthFits,
			`backend backend_kind batch_size model params_millions_effective n_lengths n shortest_prompt_tokens longest_prompt_tokens
			log10_intercept exponent exponent_t_ci_low exponent_t_ci_high r2 exponent_in_range reason`),
		finding.TableOf("decode_depth.csv", "Decode by the number of tokens in the KV cache before the call, where it varies; at equal prompts and answers.", a.DecodeDepths,
			`backend batch_size model params_millions_effective prompt_tokens gen_tokens depth n ms_per_token_median
			ms_per_token_ratio ms_per_token_ratio_ci_low ms_per_token_ratio_ci_high prefill_median_ms basis`),
	}
}
