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
	Name        string `json:"model"`
	Kind        string `json:"model_kind"`
	Source      string `json:"model_source"`
	File        string `json:"model_file"` // file name; for TR121 the config_path of its architecture table
	Device      string `json:"device"`
	SHA256      string `json:"-"` // of the file, where the records tell

	ParamsMillions         *float64 `json:"params_millions_effective"` // measured where known, else the config's
	ParamsMillionsConfig   *float64 `json:"params_millions_config"`
	ParamsMillionsMeasured *float64 `json:"params_millions_measured"`
	ParamsTotal            int64    `json:"params_total"`
	ParamsNonEmbedding     int64    `json:"params_non_embedding"`
	ParamsActive           int64    `json:"params_active"`
	WeightBytes            int64    `json:"weight_bytes"`         // bytes
	BytesPerToken          int64    `json:"bytes_read_per_token"` // bytes
	KVBytesPerToken        int64    `json:"kv_bytes_per_token"`   // bytes

	WeightType   string `json:"weight_type"`
	Architecture string `json:"architecture"`
	NLayer       int    `json:"n_layer"`
	NEmbd        int    `json:"n_embd"`
	NHead        int    `json:"n_head"`
	NHeadKV      int    `json:"n_head_kv"`
	NFF          int    `json:"n_ff"`
	NVocab       int    `json:"n_vocab"`
	NCtxTrain    int    `json:"n_ctx_train"`
	Threads      int    `json:"n_threads"`
	LlamaCommit  string `json:"llama_commit"`
	GPULayers    *int   `json:"n_gpu_layers,omitempty"` // as loaded; nil where it ran on no GPU
}

// WholeOnGPU reports whether the GPU computes all layers when it is given so many,
// the output head counted as one. A negative number is all of them.
func (m *Model) WholeOnGPU(layers int) bool { return layers < 0 || layers > m.NLayer }
