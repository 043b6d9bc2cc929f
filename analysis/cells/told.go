package cells

import (
	"strconv"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Told is a setting as records tell it, under their name for it.
type Told struct{ Name, X, Y string }

// ToldApart lists the settings in which two records of a model differ, where both tell
// them. What a server decides it does not tell.
func ToldApart(x, y *runs.Row) (out []Told) {
	layers := x.NLayer + 1
	for _, t := range []struct {
		name string
		of   func(*runs.Row) string
	}{
		{"n_threads", func(r *runs.Row) string { return countText(r.Threads()) }},
		{"n_threads_batch", func(r *runs.Row) string { return countText(r.ThreadsBatch()) }},
		{"n_gpu_layers", func(r *runs.Row) string { return strconv.Itoa(runs.LayersOf(r.NGPULayers, layers)) }},
		{"flash_attn", func(r *runs.Row) string { return r.FlashAttention }},
		{"kv_type_k", func(r *runs.Row) string { return r.KVTypeK }},
		{"n_ctx", func(r *runs.Row) string { return countText(r.NCtx) }},
		{"n_batch", func(r *runs.Row) string { return countText(r.NBatch) }},
		{"n_ubatch", func(r *runs.Row) string { return countText(r.NUBatch) }},
		{"use_mmap", func(r *runs.Row) string { return strconv.FormatBool(r.UseMmap) }},
		{"pace", (*runs.Row).PaceText},
		{"llama.cpp", func(r *runs.Row) string { return r.LlamaCommit }},
	} {
		a, b := t.of(x), t.of(y)
		if a != "" && b != "" && a != record.ByServer && b != record.ByServer && a != b {
			out = append(out, Told{t.name, a, b})
		}
	}
	return out
}

// countText is a count; "" where it is unknown.
func countText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
