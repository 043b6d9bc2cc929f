package exchange

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// benchLine is a line of llama-bench's: one test of one model. What a record does not
// tell is null.
type benchLine struct {
	runs.LlamaBench
	BuildCommit *string   `json:"build_commit"`
	BuildNumber *int      `json:"build_number"`
	CPUInfo     *string   `json:"cpu_info"`
	GPUInfo     *string   `json:"gpu_info"`
	Backends    *string   `json:"backends"`
	ModelType   *string   `json:"model_type"`
	CPUMask     *string   `json:"cpu_mask"`
	CPUStrict   *bool     `json:"cpu_strict"`
	Poll        *int      `json:"poll"`
	FlashAttn   int       `json:"flash_attn"`
	UseMmap     bool      `json:"use_mmap"`
	AvgNS       int64     `json:"avg_ns"`
	StddevNS    int64     `json:"stddev_ns"`
	AvgTS       float64   `json:"avg_ts"`
	StddevTS    float64   `json:"stddev_ts"`
	SamplesNS   []int64   `json:"samples_ns"`
	SamplesTS   []float64 `json:"samples_ts"`
}

// ofBench gives a record's time as llama-bench counts it, and what it tested; ok is
// false where llama-bench has no such test.
func ofBench(r *runs.Row) (ms float64, l benchLine, ok bool) {
	if r.BackendKind == KindOllama || r.Sequences() > 1 {
		return 0, l, false
	}
	var time *float64
	switch {
	case r.Mode == record.ModePrefill && r.PromptTokensRaw != nil:
		time, l.Prompt, l.Depth, l.Threads = r.PrefillMS, *r.PromptTokensRaw, r.DepthTokens(), r.ThreadsBatch()
	case r.Mode == record.ModeDecode && r.GenTokensRaw != nil:
		time, l.Gen, l.Depth, l.Threads = r.DecodeNoSampMS, *r.GenTokensRaw, r.DepthTokens(), r.Threads()
		if r.PromptTokensRaw != nil { // which stands in the cache by then
			l.Depth += *r.PromptTokensRaw
		}
	}
	if time == nil || !(*time > runs.MinLatencyMS) || l.Prompt+l.Gen == 0 {
		return 0, l, false
	}
	return *time, l, true
}

// KindOllama is the kind of backends whose times are a server's.
const KindOllama = "ollama"

// writeLlamaBench writes a line for each cell and test, in the order of the records.
func writeLlamaBench(w io.Writer, run *runs.Run) (left []string, err error) {
	type cell struct {
		backend, model, scenario, mode string
		prompt, gen, depth             int
	}
	lines := map[cell]*benchLine{}
	var order []cell
	other, not := 0, 0
	for i := range run.Rows {
		r := &run.Rows[i]
		if r.IsWarmup || !r.Counts() {
			not++
			continue
		}
		ms, l, ok := ofBench(r)
		if !ok {
			other++
			continue
		}
		k := cell{r.Backend, r.Model, r.Scenario, r.Mode, l.Prompt, l.Gen, l.Depth}
		if lines[k] == nil {
			l.BuildCommit, l.CPUInfo, l.GPUInfo = known(r.LlamaCommit), known(run.Manifest.Text("platform", "processor")), r.GPUName
			l.ModelFile, l.ModelBytes, l.Params = r.ModelFile, r.WeightBytes, r.ParamsTotal
			l.NBatch, l.NUBatch, l.KVTypeK, l.KVTypeV, l.GPULayers, l.UseMmap = r.NBatch, r.NUBatch, r.KVTypeK, r.KVTypeV, r.NGPULayers, r.UseMmap
			l.FlashAttn = map[string]int{"on": 1, "off": 0}[r.FlashAttention]
			if r.FlashAttention == "auto" {
				l.FlashAttn = -1
			}
			l.TestTime = time.Unix(0, int64(r.StartedAt*1e9)).UTC().Format(time.RFC3339)
			lines[k] = &l
			order = append(order, k)
		}
		into := lines[k]
		ns := ms * 1e6
		into.SamplesNS = append(into.SamplesNS, int64(math.Round(ns)))
		into.SamplesTS = append(into.SamplesTS, float64(l.Prompt+l.Gen)*1e9/ns)
	}
	if len(order) == 0 {
		return nil, fmt.Errorf("no cell of the run is a test of llama-bench: it has prefill and decode of one sequence, by native backends")
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, k := range order {
		l := lines[k]
		ns := make([]float64, len(l.SamplesNS))
		for i, v := range l.SamplesNS {
			ns[i] = float64(v)
		}
		mean, dev := meanAndDeviation(ns)
		l.AvgNS, l.StddevNS = int64(math.Round(mean)), int64(math.Round(dev))
		l.AvgTS, l.StddevTS = meanAndDeviation(l.SamplesTS)
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return append(leftOut(other, "records are no test of llama-bench: e2e_kv, batches, or through a server"), leftOut(not, "records are warm-ups, failed or do not count")...), nil
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// meanAndDeviation are the mean and the sample standard deviation, 0 of one value as
// llama-bench has it.
func meanAndDeviation(v []float64) (mean, dev float64) {
	if mean, dev = stat.MeanStdDev(v, nil); len(v) < 2 {
		dev = 0
	}
	return mean, dev
}
