package record

// OllamaServer is what a load through Ollama's API found out about the server and
// the model it serves. All of it is null for other backends.
type OllamaServer struct {
	OllamaURL          *string  `json:"ollama_url" doc:"address of the Ollama server"`
	OllamaVersion      *string  `json:"ollama_version" doc:"version that the server states"`
	OllamaModel        *string  `json:"ollama_model" doc:"name of the model on the server"`
	OllamaDigest       *string  `json:"ollama_model_digest" doc:"digest of the model's manifest on the server, hex"`
	OllamaWeights      *string  `json:"ollama_weights_sha256" doc:"SHA-256 of the GGUF that the server loads; null where it does not tell"`
	OllamaQuantization *string  `json:"ollama_quantization" doc:"quantization that the server states"`
	OllamaLoadedBytes  *int64   `json:"ollama_loaded_bytes" unit:"B" doc:"memory that the server says the loaded model takes"`
	OllamaVRAMBytes    *int64   `json:"ollama_vram_bytes" unit:"B" doc:"how much of it lies on GPUs"`
	OllamaOffloadShare *float64 `json:"ollama_offload_share" doc:"ollama_vram_bytes / ollama_loaded_bytes"`
	OllamaDiffers      []string `json:"ollama_settings_differ" doc:"settings that are not, or not known to be, those that the native backend would run with"`
	OllamaOthers       []string `json:"ollama_other_models" doc:"models that the server held loaded beside this one"`
}

// OllamaCall is what one call through Ollama's API tells beside a Measurement.
// TR121's names where it had them. All of it is null for other backends.
type OllamaCall struct {
	OllamaWallMS     *float64 `json:"ollama_wall_ms" unit:"ms" doc:"client: from before the request to the end of the stream"`
	OllamaHeaderMS   *float64 `json:"ollama_header_ms" unit:"ms" doc:"client: to the head of the answer, which comes with the first token"`
	OllamaTotalMS    *float64 `json:"ollama_total_duration_ms" unit:"ms" doc:"server: total_duration"`
	OllamaLoadMS     *float64 `json:"ollama_load_ms" unit:"ms" doc:"server: load_duration; of a model that is loaded already, scheduling and reading the metadata of its file again"`
	OllamaDoneReason *string  `json:"ollama_done_reason" doc:"server: why the answer ended, length or stop"`

	OllamaPromptEvalCount *int     `json:"ollama_prompt_eval_count" unit:"tokens" doc:"server: tokens of the prompt, cached ones included"`
	OllamaPromptEvalMS    *float64 `json:"ollama_prompt_eval_ms" unit:"ms" doc:"server: time for those that were not cached"`
	OllamaEvalCount       *int     `json:"ollama_eval_count" unit:"tokens" doc:"server: tokens sampled, the first one from the prompt's logits, an end-of-text token included"`
	OllamaEvalMS          *float64 `json:"ollama_eval_ms" unit:"ms" doc:"server: time of the decode steps, ollama_eval_count - 1, without sampling"`

	OllamaPromptTokens *int    `json:"ollama_prompt_tokens" unit:"tokens" doc:"tokens of the prompt by the model's own tokeniser; null without one"`
	OllamaCached       *int    `json:"ollama_cached_tokens" unit:"tokens" doc:"server: prompt tokens that it had cached; null where it does not tell, as up to v0.24.0"`
	OllamaSeen         *int    `json:"ollama_prompt_tokens_seen" unit:"tokens" doc:"tokens that the prompt shares with the beginning of an earlier prompt of the same load: the most that can have been cached"`
	OllamaPieceNS      []int64 `json:"ollama_piece_ns" unit:"ns" doc:"client: when each piece of text arrived, since the request; a piece may be several tokens"`
	OllamaInterTokenNS []int64 `json:"ollama_inter_token_ns" unit:"ns" doc:"client: time between two tokens, with sampling, scheduling and HTTP; one per decode step, null where pieces are not tokens"`

	OllamaStepMS      *float64 `json:"kv_decode_ms_per_token" unit:"ms" doc:"ollama_eval_ms over the decode steps"`
	OllamaProjected   *bool    `json:"ollama_projected" doc:"the answer ended early: kv_decode_ms_equiv, e2e_kv_ms_equiv and the latencies made of them are scaled to the target"`
	DecodeEquivMS     *float64 `json:"kv_decode_ms_equiv" unit:"ms" doc:"decode scaled in proportion to the target length, as TR121 did; equal to kv_decode_ms where the target was reached"`
	E2EEquivMS        *float64 `json:"e2e_kv_ms_equiv" unit:"ms" doc:"e2e_kv_ms with decode so scaled"`
	GenTokensEquiv    *int     `json:"gen_tokens_equiv" unit:"tokens" doc:"decode steps that kv_decode_ms_equiv stands for"`
	OllamaAffineMS    *float64 `json:"ollama_affine_ms" unit:"ms" doc:"the target's decode time on a line through the arrivals of this answer's tokens; null where nothing is projected or the answer is too short"`
	OllamaProjectErrP *float64 `json:"ollama_projection_error_pct" unit:"%" doc:"how far scaling in proportion is from that line, both by the client's clock"`
	OllamaNotes       []string `json:"ollama_notes" doc:"what is worth knowing about the call and spoils nothing"`
}
