package runner

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// base fills in what is known of a call before it is measured.
func (r *Run) base(v plan.Visit, c plan.Cell, call plan.Call, info protocol.LoadInfo, started time.Time) record.Record {
	j := v.Job
	d := &j.Model.Desc
	program, build := r.Plan.ProgramOf(j)
	rec := record.Record{
		Origin: record.Origin{SchemaVersion: record.SchemaVersion,
			RunID:   r.ID,
			TaskIdx: c.TaskIdx, CellID: j.ID(c)},
		Order: record.Order{OrderIdx: r.order, Session: r.Session, Replicate: v.Replicate},
		Subject: record.Subject{Scenario: c.Scenario.Name, Backend: j.Backend.Name, BackendKind: j.Backend.Kind,
			Model: j.Model.Name, ModelKind: j.Model.Kind, ModelSource: j.Model.Source,
			ModelFile: j.Model.Label, ModelSHA256: notEmpty(j.Model.SHA256),
			ParamsMillions: float64(d.ParamsTotal) / 1e6, ParamsMillionsConfig: j.Model.ParamsMillions,
			GenTokensTarget: r.Plan.Config.Gen(c.Scenario), BatchSizeConfig: j.Backend.BatchSize, Depth: c.Scenario.Depth},
		Outcome: record.Outcome{CallIdx: call.Idx, SampleIdx: call.Idx, IsWarmup: call.Warmup >= 0,
			StartedAt: float64(started.UnixNano()) / 1e9},
		ModelFacts: record.ModelFacts{
			WeightType: d.WeightType, Architecture: d.Architecture,
			NLayer: int(d.NLayer), NEmbd: int(d.NEmbd), NHead: int(d.NHead), NHeadKV: int(d.NHeadKV),
			HeadDim: int(d.HeadDim), NFF: int(d.NFF), NVocab: int(d.NVocab), NCtxTrain: int(d.NCtxTrain),
			ParamsTotal: d.ParamsTotal, ParamsNonEmbedding: d.ParamsNonEmbedding, ParamsActive: d.ParamsActive,
			WeightBytes: d.WeightBytes, BytesPerToken: d.BytesReadPerToken, KVBytesPerToken: j.KVBytes,
		},
		RuntimeFacts: record.RuntimeFacts{
			Device: j.Backend.Device, NThreadsAsked: j.Backend.Threads, NThreadsBatchAsked: j.Backend.ThreadsBatch,
			NGPULayers: j.Backend.NGPULayers, FlashAttention: j.Backend.FlashAttn,
			NCtx: j.Load.NCtx * j.Load.Batch(), NBatch: j.Load.NBatch, NUBatch: j.Load.NUBatch,
			KVTypeK: j.Backend.KVType, KVTypeV: j.Backend.KVType, UseMmap: j.Backend.Mmap,
			LlamaCommit: cmp.Or(info.LlamaCommit, build.LlamaCommit), Program: program, LlamaSource: build.LlamaSource,
			BuildCompiler: build.Compiler, BuildFlags: build.Flags, CPUFeatures: build.CPUFeatures,
		},
	}
	if j.Backend.Device != config.DeviceCPU && j.Backend.Kind == config.KindNative {
		rec.CUDAGraphs = &j.Backend.CUDAGraphs
		if j.Backend.VRAMLimitGiB > 0 {
			rec.VRAMLimitGiB = &j.Backend.VRAMLimitGiB
		}
	}
	rec.MachineID = r.machine
	noteNeed(&rec, j)
	rec.Pace = notEmpty(j.Backend.Pace)
	if j.Backend.Pace == record.PaceCold {
		rec.IdleMS = &j.Backend.IdleMS
	}
	if j.Backend.Kind == config.KindOllama {
		rec.KVTypeK, rec.KVTypeV = record.ByServer, record.ByServer
	}
	if info.Ollama != nil {
		rec.OllamaServer, rec.NGPULayers = *info.Ollama, info.GPULayers
	}
	if info.GPU != nil {
		rec.GPUName, rec.GPUUUID, rec.NGPULayers = &info.GPU.Name, &info.GPU.UUID, info.GPULayers
	}
	if info.Threads != nil {
		t := info.Threads.OfCall(j.Load, c.Scenario.PromptTokens)
		rec.NThreads, rec.NThreadsBatch, rec.CPUAffinity, rec.Nice = &t.Decode, &t.Prefill, notEmpty(t.Affinity), t.Nice
		if t.CPUs > 0 {
			cpus := min(float64(t.CPUs), r.cpuQuota)
			rec.CPUs = &cpus
		}
	}
	info.SelfCheck.Note(&rec)
	info.BatchCheck.Note(&rec)
	if info.NCtx > 0 {
		rec.NCtx = info.NCtx
		kv := int64(info.NCtx) * j.KVBytes
		rec.ContextBytes = &kv
	}
	if call.Warmup >= 0 {
		rec.WarmupIdx = &call.Warmup
	} else {
		rec.Rep = &call.Rep
	}
	if c.Scenario.PromptTokens == 0 {
		chars := len(c.Scenario.Prompt)
		rec.Prompt, rec.PromptChars = &c.Scenario.Prompt, &chars
	}
	return rec
}

// notEmpty is nil for "".
func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// inModes makes the records of a call, one per mode.
func inModes(base record.Record) []record.Record {
	out := make([]record.Record, len(record.Modes))
	for i, mode := range record.Modes {
		out[i] = base
		out[i].Mode = mode
	}
	return out
}

// store writes the records of a call that was measured.
func (r *Run) store(base record.Record, m protocol.Sample) error {
	base.Status = record.StatusOK
	base.Attempted = true
	base.Measurement = m.Measurement
	if m.Ollama != nil {
		base.OllamaCall = *m.Ollama
	}
	base.Nulls = map[string]string{}
	maps.Copy(base.Nulls, m.Missing)
	if why := noDevice(base); why != "" {
		for _, name := range []string{"cuda_event_ms", "prefill_cuda_event_ms", "kv_decode_cuda_event_ms", "e2e_kv_cuda_event_ms", "host_gap_ms", "token_device_ns"} {
			base.Nulls[name] = "no device clock " + why
		}
		base.Nulls["gpu_peak_mb"] = "no device memory " + why
	}
	if base.BackendKind == config.KindOllama {
		for _, name := range []string{"n_threads", "n_threads_batch", "cpus_for_threads", "cpu_affinity"} {
			base.Nulls[name] = "the server does not tell"
		}
		for _, name := range []string{"self_check_rel_l2", "self_check_tokens"} {
			base.Nulls[name] = "the server gives no logits"
		}
	}
	tooMany := fmt.Sprintf("more than %d ids: see the hash", protocol.MaxRecordedIDs)
	if m.PromptTokenIDs == nil && base.Nulls["prompt_token_ids"] == "" {
		base.Nulls["prompt_token_ids"] = tooMany
	}
	if m.OutputTokenIDs == nil && base.Nulls["output_token_ids"] == "" && *m.GenTokensRaw > 0 {
		base.Nulls["output_token_ids"] = tooMany
	}
	records := inModes(base)
	for i := range records {
		if why := m.Invalid[records[i].Mode]; len(why) > 0 {
			invalid := record.VerdictInvalid
			records[i].Verdict, records[i].VerdictReasons = &invalid, why
		}
		w := m.Windows[records[i].Mode]
		records[i].DeviceWindow = w.DeviceWindow
		records[i].Nulls = maps.Clone(base.Nulls)
		maps.Copy(records[i].Nulls, w.Missing)
		records[i].Project()
	}
	if err := r.Store.Append(records); err != nil {
		return err
	}
	r.note(records)
	r.order++
	r.calls++
	return nil
}

// noDevice says where a call's device cannot be watched, "" if it can.
func noDevice(r record.Record) string {
	switch {
	case r.Device == config.DeviceCPU:
		return "on the CPU"
	case r.BackendKind == config.KindOllama:
		return "is watched while a server computes"
	}
	return ""
}
