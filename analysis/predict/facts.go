package predict

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/stats"
	"llmscale/gguf/ledger"
	"llmscale/internal/text"
)

// facts are what a model's times follow from.
type facts struct {
	arch, typ string
	params    int64
	layers    int
	width     int
	moe       bool
	bytes     float64 // weights that a step reads
	kv        float64 // bytes of KV cache, per token of depth
	each      float64 // multiply-adds for each token of a prompt
	head      float64 // for its last one, besides
}

// known is whether the facts suffice for a law.
func (f *facts) known() bool { return f.bytes > 0 && f.each > 0 }

func factsOf(d *ledger.Description) facts {
	return facts{arch: d.Architecture, typ: d.WeightType, params: d.ParamsTotal, layers: int(d.NLayer), width: int(d.NEmbd), moe: d.NExpert > 0,
		bytes: float64(d.BytesReadPerToken), each: float64(d.ParamsActive - d.ParamsTotal + d.ParamsNonEmbedding), head: float64(d.NVocab * d.NEmbd)}
}

func factsOfModel(m *cells.Model) facts {
	return facts{arch: m.Architecture, typ: m.WeightType, params: m.ParamsTotal, layers: m.NLayer, width: m.NEmbd, moe: m.ParamsActive < m.ParamsTotal,
		bytes: float64(m.BytesPerToken), kv: float64(m.KVBytesPerToken), each: float64(m.ParamsActive - m.ParamsTotal + m.ParamsNonEmbedding), head: float64(m.NVocab) * float64(m.NEmbd)}
}

// step is the work of a decode step, in bytes: the weights, and the KV cache of each
// sequence at a depth.
func (f *facts) step(depth float64, batch int) float64 { return f.bytes + float64(batch)*f.kv*depth }

// prompt is the work of a prefill, in multiply-adds. The head computes the last token's
// logits alone; attention, which grows with the prompt's square, is in none of it, as
// all models of a law have the same prompt.
func (f *facts) prompt(tokens float64) float64 { return tokens*f.each + f.head }

// twin is the model of the series that has the same facts; nil without one.
func (p *Predictor) twin(f facts) *cells.Model {
	for _, m := range p.all {
		if o := factsOfModel(m); o.arch == f.arch && o.typ == f.typ && o.params == f.params && o.bytes == f.bytes && o.layers == f.layers && o.width == f.width {
			return m
		}
	}
	return nil
}

// choose finds the series, and in it the models that tell of the target.
func (p *Predictor) choose(f facts) error {
	var fit []cells.Series
	var types, batches []string
	for _, s := range p.set.Series {
		if p.asked.Backend != "" && s.Backend != p.asked.Backend {
			continue
		}
		for _, m := range p.set.ModelsOf(s.Backend) {
			if m.WeightType != "" && !slices.Contains(types, m.WeightType) {
				types = append(types, m.WeightType)
			}
			if b := fmt.Sprint(s.BatchSize); m.WeightType == f.typ && !slices.Contains(batches, b) {
				batches = append(batches, b)
			}
			if m.WeightType == f.typ && s.BatchSize == p.asked.Batch && !slices.Contains(fit, s) {
				fit = append(fit, s)
			}
		}
	}
	switch {
	case p.asked.Backend != "" && !slices.Contains(p.set.Backends(), p.asked.Backend):
		return fmt.Errorf("the run has no backend %q; it has %s", p.asked.Backend, text.List(p.set.Backends(), "and"))
	case len(types) == 0:
		return fmt.Errorf("the records of this run do not tell what its models are: predictions take a run of llmscale, of backends of kind native")
	case len(batches) == 0:
		return fmt.Errorf("the model's weights are %s, and measured were %s: no law carries over from one type to another; measure %d sizes in %s", f.typ, text.List(types, "and"), fewestSizes, f.typ)
	case len(fit) == 0:
		return fmt.Errorf("no backend decodes %d sequences together with weights of %s; measured were %s: take one of these for --batch, or measure with batch_size: %d", p.asked.Batch, f.typ, text.List(batches, "and"), p.asked.Batch)
	case len(fit) > 1:
		return fmt.Errorf("several backends measured %s: say which is meant, --backend %s", f.typ, text.List(stats.Map(fit, func(s cells.Series) string { return s.Backend }), "or"))
	}
	p.series = fit[0]
	p.all = p.set.ModelsOf(p.series.Backend)
	var usable []*cells.Model
	for _, m := range p.all {
		o := factsOfModel(m)
		if o.typ == f.typ && o.known() && o.moe == f.moe && !slices.Contains(p.asked.Without, m.Name) && (m.GPULayers == nil || m.WholeOnGPU(*m.GPULayers)) && p.set.Measured(p.series, m.Name) {
			usable = append(usable, m)
		}
	}
	_, kinds := stats.GroupBy(usable, func(m *cells.Model) string { return m.Architecture })
	for arch, models := range kinds {
		if sizesOf(models) >= fewestSizes && (p.models == nil || arch == f.arch || p.models[0].Architecture != f.arch && better(models, p.models)) {
			p.models = models
		}
	}
	if p.models == nil {
		what := "models"
		if f.moe {
			what = "mixtures of experts"
		}
		return fmt.Errorf("%s has too few %s of one architecture in %s: a law takes %d sizes; configs/ladder.yaml measures 13", p.series.Backend, what, f.typ, fewestSizes)
	}
	return nil
}

// better is whether models are more than others, by name where they are as many.
func better(x, y []*cells.Model) bool {
	return len(x) > len(y) || len(x) == len(y) && x[0].Architecture < y[0].Architecture
}

func sizesOf(models []*cells.Model) int {
	return stats.Distinct(stats.Map(models, func(m *cells.Model) float64 { return float64(m.BytesPerToken) }))
}

func modelNames(set *cells.Set) string {
	var names []string
	for _, m := range set.Models {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, ", ")
}

// kv is the bytes that a token takes in the cache, of the type that the series has.
func (p *Predictor) kv(d *ledger.Description) float64 {
	for _, m := range p.models {
		for _, c := range p.set.CellsOfModel(p.series, m.Name) {
			for _, r := range p.set.RowsOf(p.series, m.Name, c.Scenario, c.Mode) {
				if v, err := d.KVBytesPerToken(r.KVTypeK, r.KVTypeV, ledger.RulesOf(r.LlamaSource)); err == nil {
					return float64(v)
				}
			}
		}
	}
	v, _ := d.KVBytesPerToken("f16", "f16", ledger.Newest) // what a server has unless told otherwise
	return float64(v)
}

// span says how large the models of the laws are.
func (a *Answer) span() string {
	return fmt.Sprintf("%s to %s million parameters", doc.Size(a.SmallestM), doc.Size(a.LargestM))
}
