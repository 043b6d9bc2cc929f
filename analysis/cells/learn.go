package cells

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/runs"
	"llmscale/runner/ceilings"
)

// modelList has the models in the order of the tables: by backend, then size.
func (set *Set) modelList() []Model {
	backendAt := set.manifestOrder("backends")
	var out []Model
	for _, m := range set.byKey {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(x, y Model) int {
		return cmp.Or(backendAt(set.Configured(x.Backend))-backendAt(set.Configured(y.Backend)), strings.Compare(x.Backend, y.Backend),
			cmp.Compare(OrInf(x.ParamsMillions), OrInf(y.ParamsMillions)), strings.Compare(x.Name, y.Name))
	})
	return out
}

// learn takes what a record says about its model. Records of failed calls may
// know nothing, so what one of them leaves open another may fill in.
func (set *Set) learn(r *runs.Row) {
	k := ModelKey{r.Backend, r.Model}
	m := set.byKey[k]
	if m == nil {
		m = &Model{Backend: r.Backend, BackendKind: r.BackendKind, Name: r.Model, Kind: r.ModelKind, Source: r.ModelSource}
		set.byKey[k] = m
	}
	if at, seen := slices.BinarySearch(m.Machines, r.Machine()); len(set.Machines) > 0 && !seen {
		m.Machines = slices.Insert(m.Machines, at, r.Machine())
	}
	fill(&m.File, r.ModelFile)
	fill(&m.Device, r.Device)
	if r.OK() && r.ModelSHA256 != nil {
		fill(&m.SHA256, *r.ModelSHA256)
	}
	fill(&m.WeightType, r.WeightType)
	fill(&m.Architecture, r.Architecture)
	fill(&m.LlamaCommit, r.LlamaCommit)
	fill(&m.ParamsTotal, r.ParamsTotal)
	fill(&m.ParamsNonEmbedding, r.ParamsNonEmbedding)
	fill(&m.ParamsActive, r.ParamsActive)
	fill(&m.WeightBytes, r.WeightBytes)
	fill(&m.BytesPerToken, r.BytesPerToken)
	fill(&m.KVBytesPerToken, r.KVBytesPerToken)
	fill(&m.NLayer, r.NLayer)
	fill(&m.NEmbd, r.NEmbd)
	fill(&m.NHead, r.NHead)
	fill(&m.NHeadKV, r.NHeadKV)
	fill(&m.NFF, r.NFF)
	fill(&m.NVocab, r.NVocab)
	fill(&m.NCtxTrain, r.NCtxTrain)
	if r.OK() { // of others only what was asked for is known
		fill(&m.Threads, r.Threads())
	}
	if m.GPULayers == nil && r.OK() && r.Device == ceilings.CUDA {
		m.GPULayers = new(r.NGPULayers)
	}
	if p := r.ParamsMillionsConfig; p != nil && *p > 0 && m.ParamsMillionsConfig == nil {
		m.ParamsMillionsConfig = new(*p)
	}
	if m.ParamsMillionsMeasured == nil {
		switch p := r.ParamsMillionsMeasured; {
		case p != nil && *p > 0:
			m.ParamsMillionsMeasured = new(*p)
		case r.SchemaVersion > 0 && r.ParamsMillions > 0: // llmscale counts the file's tensors
			m.ParamsMillionsMeasured = new(r.ParamsMillions)
		}
	}
	if m.ParamsMillions == nil && r.ParamsMillions > 0 {
		m.ParamsMillions = new(r.ParamsMillions) // the fallback: completeModel prefers better ones
	}
}

// completeModel takes from the manifest, and from TR121's table of shapes, what
// the records left open, and settles the effective size.
func (set *Set) completeModel(m *Model) {
	if m.ParamsMillionsMeasured == nil && m.ParamsTotal > 0 {
		m.ParamsMillionsMeasured = new(float64(m.ParamsTotal) / 1e6)
	}
	if set.Run.Harness == runs.HarnessTR121 {
		set.completeTR121(m)
	}
	switch {
	case m.ParamsMillionsMeasured != nil:
		m.ParamsMillions = new(*m.ParamsMillionsMeasured)
	case m.ParamsMillionsConfig != nil:
		m.ParamsMillions = new(*m.ParamsMillionsConfig)
	}
}

func (set *Set) completeTR121(m *Model) {
	type measured struct {
		Model    string   `json:"model"`
		Params   *float64 `json:"params_millions_measured"`
		Quant    string   `json:"quantization_level"`
		Family   string   `json:"family"`
		Device   string   `json:"device"`
		DataType string   `json:"dtype"`
	}
	var lists struct {
		HF     []measured `json:"hf_params_millions"`
		Ollama []measured `json:"ollama_params_millions"`
	}
	set.Run.Manifest.Decode(&lists, "measured_params")
	list := lists.HF
	if m.BackendKind == "ollama" {
		list = lists.Ollama
	}
	for _, e := range list {
		if e.Model != m.Name {
			continue
		}
		if e.Params != nil && *e.Params > 0 && m.ParamsMillionsMeasured == nil {
			m.ParamsMillionsMeasured = new(*e.Params)
		}
		fill(&m.WeightType, e.Quant)
		fill(&m.Architecture, e.Family)
	}
	var backends []struct {
		Name, Device string
		DType        string `json:"dtype"`
	}
	set.Run.Manifest.Decode(&backends, "resolved", "backends")
	for _, b := range backends {
		if b.Name == m.Backend {
			fill(&m.Device, b.Device)
			if m.BackendKind != "ollama" {
				fill(&m.WeightType, b.DType)
			}
		}
	}
	shape, known := set.Run.Shapes[m.Name]
	if !known || m.BackendKind == "ollama" {
		return
	}
	fill(&m.File, shape.ConfigPath)
	fill(&m.NLayer, shape.NLayer)
	fill(&m.NEmbd, shape.NEmbd)
	fill(&m.NHead, shape.NHead)
	fill(&m.NFF, shape.NFF)
	fill(&m.NVocab, shape.NVocab)
	fill(&m.NCtxTrain, shape.NCtx)
	// TR121's models are GPT-2: (V+n_positions)*d + L*(12d^2+13d) + 2d. Where that
	// gives the model's size, its second part is the non-embedding count.
	d, layers := int64(shape.NEmbd), int64(shape.NLayer)
	blocks := layers*(12*d*d+13*d) + 2*d
	total := int64(shape.NVocab+shape.NCtx)*d + blocks
	size := m.ParamsMillionsMeasured
	if size == nil {
		size = m.ParamsMillionsConfig
	}
	if size != nil && d > 0 && math.Abs(float64(total)/1e6/(*size)-1) < 0.01 {
		fill(&m.Architecture, "gpt2")
		fill(&m.ParamsTotal, total)
		fill(&m.ParamsNonEmbedding, blocks)
		fill(&m.ParamsActive, total)
	}
}

// X is the model's place on the set's axis.
func (set *Set) X(m *Model) (float64, bool) { return set.Axis.X(m) }

// X is the model's place on the axis; ok is false where it is not known.
func (a Axis) X(m *Model) (x float64, ok bool) {
	switch a.Name {
	case "params_total":
		if m.ParamsMillions == nil {
			return 0, false
		}
		x = *m.ParamsMillions
	case "params_non_embedding":
		x = float64(m.ParamsNonEmbedding) / 1e6
	case "params_active":
		x = float64(m.ParamsActive) / 1e6
	case "bytes_per_token":
		x = float64(m.BytesPerToken) / 1e6
	}
	return x, x > 0
}

func fill[T comparable](have *T, v T) {
	var zero T
	if *have == zero {
		*have = v
	}
}
