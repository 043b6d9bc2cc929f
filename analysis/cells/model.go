package cells

import "math"

func OrInf(v *float64) float64 {
	if v == nil {
		return math.Inf(1)
	}
	return *v
}

// Model is one model as one backend ran it. Zero facts are unknown.
type Model struct {
	Backend     string `json:"backend"`
	BackendKind string `json:"backend_kind"`
	Name        string `json:"model" doc:"name of the model"`
	Kind        string `json:"model_kind"`
	Source      string `json:"model_source"`
	File        string `json:"model_file" csv:"config_path" doc:"file that the shape was read from"`
	Device      string `json:"device"`
	SHA256      string `json:"-"` // of the file, where the records tell

	ParamsMillions         *float64 `json:"params_millions_effective"` // measured where known, else the config's
	ParamsMillionsConfig   *float64 `json:"params_millions_config"`
	ParamsMillionsMeasured *float64 `json:"params_millions_measured"`
	ParamsTotal            int64    `json:"params_total" zero:"unknown" doc:"all parameters"`
	ParamsNonEmbedding     int64    `json:"params_non_embedding" zero:"unknown" doc:"parameters without embeddings"`
	ParamsActive           int64    `json:"params_active" zero:"unknown" doc:"parameters that one token uses"`
	WeightBytes            int64    `json:"weight_bytes"` // bytes
	BytesPerToken          int64    `json:"bytes_read_per_token" unit:"B" zero:"unknown" doc:"weight bytes read per decoded token"`
	KVBytesPerToken        int64    `json:"kv_bytes_per_token"` // bytes

	WeightType   string `json:"weight_type" doc:"type that holds most of the weights"`
	Architecture string `json:"architecture" doc:"architecture"`
	NLayer       int    `json:"n_layer" zero:"unknown" doc:"transformer blocks"`
	NEmbd        int    `json:"n_embd" zero:"unknown" doc:"width"`
	NHead        int    `json:"n_head" zero:"unknown" doc:"attention heads"`
	NHeadKV      int    `json:"n_head_kv" zero:"unknown" doc:"key/value heads"`
	NFF          int    `json:"n_ff" csv:"n_inner" zero:"unknown" doc:"width of the feed-forward layer"`
	NVocab       int    `json:"n_vocab" csv:"vocab_size" unit:"tokens" zero:"unknown" doc:"vocabulary"`
	NCtxTrain    int    `json:"n_ctx_train" csv:"n_positions" unit:"tokens" zero:"unknown" doc:"context length that the file states"`
	Threads      int    `json:"n_threads"`
	LlamaCommit  string `json:"llama_commit"`
	GPULayers    *int   `json:"n_gpu_layers,omitempty"` // as loaded; nil where it ran on no GPU

	Machines []string `json:"machines,omitempty"` // that measured it, of a run of several
}

// WholeOnGPU reports whether the GPU computes all layers when it is given so many,
// the output head counted as one. A negative number is all of them.
func (m *Model) WholeOnGPU(layers int) bool { return layers < 0 || layers > m.NLayer }
