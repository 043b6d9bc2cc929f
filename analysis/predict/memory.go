package predict

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/gguf/ledger"
	"llmscale/runner/ceilings"
	"llmscale/runner/protocol"
)

// Memory is what loading a model onto the CPU and an answer take. All but the peak is
// counted as llama.cpp counts.
type Memory struct {
	Weights  int64 `json:"weights_bytes"` // with copies in another order
	KV       int64 `json:"kv_bytes"`      // of a context for prompt and answer
	Total    int64 `json:"total_bytes"`
	Resident int64 `json:"resident_bytes"` // of it, what has to be in memory

	PeakMiB Figure `json:"rss_peak_mib"`    // of the process, where memory suffices for mapped pages that are used no more
	Free    *int64 `json:"available_bytes"` // when the run began; null unknown
	Fits    *bool  `json:"fits"`            // resident, and what the process takes besides
}

// memoryLaw is the peak of workers beyond their weights, cache and output, over the
// compute buffer, which is touched in part: a line, in MiB.
type memoryLaw struct {
	row     *runs.Row // of the series: how models are loaded
	x, y    []float64
	line    stats.Line
	ok      bool
	besides float64 // most of what a worker took beyond its total
	free    *int64
}

// learnMemory is nil where models do not lie in the memory of a worker of the run.
func (p *Predictor) learnMemory() *memoryLaw {
	l := &memoryLaw{}
	if v := p.set.Run.Manifest; !v.Empty() {
		var free int64
		if v.Decode(&free, "environment", "memory_available_bytes") && free > 0 {
			l.free = &free
		}
	}
	for _, m := range p.models {
		row, peak := p.loaded(m)
		if row == nil || row.BackendKind != cells.KindNative || row.Device == ceilings.CUDA {
			return nil
		}
		l.row = row
		d, ok := p.describe(m.Source, m.WeightType)
		if !ok || d.ParamsTotal != m.ParamsTotal || peak == nil {
			continue
		}
		mem, err := d.Memory(p.options(row, int64(row.NCtx/row.Sequences()), int64(row.NBatch), int64(row.NUBatch)))
		if err != nil {
			continue
		}
		if l.short(mem.Total) {
			continue
		}
		beyond := *peak - float64(mem.Total)/(1<<20)
		l.x, l.y = append(l.x, float64(mem.Compute)/(1<<20)), append(l.y, beyond)
		l.besides = max(l.besides, beyond)
	}
	if l.row == nil {
		return nil
	}
	if stats.Distinct(l.x) >= stats.MinPoints {
		l.line, l.ok = stats.OLS(l.x, l.y)
	}
	return l
}

// short is whether a model comes so near to what was free that the kernel may have taken
// mapped pages from it: then its peak tells nothing of other models.
func (l *memoryLaw) short(total int64) bool {
	return l.free != nil && float64(total) > .8*float64(*l.free)
}

// loaded is a record of a model in the series, and the peak of its workers in MiB.
func (p *Predictor) loaded(m *cells.Model) (row *runs.Row, peak *float64) {
	for _, c := range p.set.CellsOfModel(p.series, m.Name) {
		peak = stats.Larger(peak, c.RSSPeakMiB)
		if rows := p.set.RowsOf(p.series, m.Name, c.Scenario, c.Mode); row == nil && len(rows) > 0 {
			row = rows[0]
		}
	}
	return row, peak
}

// options are how the series loads a model, in a context of so many tokens for each
// sequence.
func (p *Predictor) options(row *runs.Row, context, batch, ubatch int64) ledger.MemoryOptions {
	build := protocol.Build{LlamaSource: row.LlamaSource, CPUFeatures: row.CPUFeatures}
	if build.LlamaSource == "" { // records of before they told
		build.LlamaSource = p.set.Run.Manifest.Text("llmscale", "native", "llama_source")
		build.CPUFeatures = p.set.Run.Manifest.Text("llmscale", "native", "system_info")
	}
	rules, repack, amx := build.MemoryRules()
	return ledger.MemoryOptions{Rules: rules, Repack: repack, AMX: amx, Context: context, Sequences: int64(row.Sequences()), Batch: batch, UBatch: ubatch,
		TypeK: row.KVTypeK, TypeV: row.KVTypeV, NoFlashAttention: row.FlashAttention == "off", NoMmap: !row.UseMmap}
}

func (p *Predictor) memoryOf(t *Target) (*Memory, error) {
	l := p.memory
	if l == nil {
		return nil, nil
	}
	// A batch that was the whole context, or llama.cpp's default, is so again.
	batch, ubatch := int64(l.row.NBatch), int64(l.row.NUBatch)
	if l.row.NBatch == min(cells.DefaultBatch, l.row.NCtx) {
		batch = cells.DefaultBatch
	}
	if l.row.NUBatch == min(cells.DefaultUBatch, l.row.NBatch) {
		ubatch = cells.DefaultUBatch
	}
	const step = 256 // to which llama.cpp rounds a context up
	mem, err := t.Desc.Memory(p.options(l.row, int64((p.asked.Prompt+p.asked.Gen+step-1)/step*step), batch, ubatch))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	out := &Memory{Weights: mem.Weights + mem.Repacked, KV: mem.KV, Total: mem.Total, Resident: mem.Resident, Free: l.free}
	if l.free != nil {
		out.Fits = new(float64(mem.Resident)+l.besides*(1<<20) <= float64(*l.free))
	}
	out.PeakMiB = l.peak(float64(mem.Total)/(1<<20), float64(mem.Compute)/(1<<20))
	if l.short(mem.Total) {
		out.PeakMiB = Figure{Basis: Refused, Why: "the system takes mapped pages from a model that nearly fills the memory", Helps: "a machine of more memory"}
	}
	if m := p.twin(factsOf(&t.Desc)); m != nil {
		if row, peak := p.loaded(m); row != nil && row.NCtx == int(mem.Context)*p.asked.Batch {
			out.PeakMiB.Observed = peak
		}
	}
	return out, nil
}

// peak is that of a worker of one more model.
func (l *memoryLaw) peak(total, compute float64) Figure {
	if !l.ok {
		return Figure{Basis: Refused, Why: "too few models tell what a process takes besides", Helps: "measure more sizes"}
	}
	e := l.line.Next(compute)
	e.Value += total
	out := Figure{Basis: Interpolated, Value: &e.Value, CI: e.Interval()}
	if compute < slices.Min(l.x) || compute > slices.Max(l.x) {
		out.Basis = Extrapolated
	}
	return out
}
