package summary

import "llmscale/analysis/cells"

// DecodeFraction is the share of decode in end-to-end time.
type DecodeFraction struct {
	cells.Subject
	Scenario  string   `json:"scenario" doc:"scenario, or '__all__'"`
	GenTokens *float64 `json:"gen_tokens_target" unit:"tokens" doc:"tokens that the times stand for; empty where scenarios of different lengths are joined"`
	PrefillMS *float64 `json:"prefill_median_ms" unit:"ms" doc:"prefill"`
	DecodeMS  float64  `json:"kv_decode_median_ms" unit:"ms" doc:"decode"`
	E2EMS     float64  `json:"e2e_kv_median_ms" unit:"ms" doc:"end-to-end"`
	Fraction  float64  `json:"decode_fraction" doc:"decode over end-to-end"`
}

// Warmup compares a cell's warm-ups with its repetitions.
type Warmup struct {
	cells.Subject
	Scenario   string   `json:"scenario" doc:"name of the scenario"`
	Mode       string   `json:"mode" doc:"prefill, kv_decode or e2e_kv"`
	WarmupN    int      `json:"warmup_n" unit:"calls" doc:"warm-ups"`
	WarmupMS   *float64 `json:"warmup_median_ms" unit:"ms" doc:"their median"`
	MeasuredN  int      `json:"measured_n" unit:"calls" doc:"repetitions"`
	MeasuredMS *float64 `json:"measured_median_ms" unit:"ms" doc:"their median"`
	Ratio      *float64 `json:"warmup_to_measured_ratio" doc:"the first over the second"`
	MinusMS    *float64 `json:"warmup_minus_measured_ms" unit:"ms" doc:"the first less the second"`
}
