package exchange

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"llmscale/analysis/runs"
	"llmscale/internal/durable"
	"llmscale/internal/sums"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// SourceFile is what was imported, in the run's folder.
const SourceFile = "imported.jsonl"

// Import makes a run folder of what `llama-bench -o jsonl` has printed, and says how
// many records it has. The folder must not be there, or be empty. A line that is no
// test's is an error: it has a number.
func Import(file, dir string) (records int, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var lines []runs.LlamaBench
	r := bufio.NewReader(bytes.NewReader(data))
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			l, err := runs.ParseLlamaBench(line)
			if err != nil {
				return 0, fmt.Errorf("%s: line %d is not llama-bench's: %w; want what `llama-bench -o jsonl` prints", file, number, err)
			}
			l.Line = number
			lines = append(lines, l)
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if len(lines) == 0 {
		return 0, fmt.Errorf("%s has no line; want what `llama-bench -o jsonl` prints", file)
	}
	if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
		return 0, fmt.Errorf("%s is not empty: choose a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	whole, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	id := filepath.Base(whole)
	var out bytes.Buffer
	names := backendNames(lines)
	models := modelNames(lines)
	for i := range lines {
		for rep, ms := range lines[i].MS {
			rec := recordOf(&lines[i], ms, rep)
			rec.RunID, rec.OrderIdx, rec.TaskIdx = id, records, i
			rec.Backend, rec.Model = names[i], models[lines[i].ModelFile]
			rec.CellID = rec.Model + "/" + rec.Backend + "/" + rec.Scenario
			line, err := json.Marshal(&rec)
			if err != nil {
				return 0, err
			}
			out.Write(text.JSON(line))
			out.WriteByte('\n')
			records++
		}
	}
	manifest, err := json.MarshalIndent(map[string]any{
		"schema_version": record.SchemaVersion, "run_id": id, "run_name": "llama-bench", "run_state": "completed", "records_written": records,
		"platform":    map[string]string{"processor": lines[0].CPUInfo},
		"imported":    map[string]any{"from": "llama-bench", "file": filepath.Base(file), "sha256": fmt.Sprintf("%x", sha256.Sum256(data)), "lines": len(lines)},
		"model_files": []string{}, "sessions": []string{},
	}, "", "  ")
	if err != nil {
		return 0, err
	}
	list := sums.List{About: "the run's files when they were imported", Sums: map[string]string{}}
	for _, f := range []struct {
		name string
		data []byte
	}{{runs.RecordsFile, out.Bytes()}, {SourceFile, data}, {"manifest.json", append(text.JSON(manifest), '\n')}} {
		if err := durable.System.WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return 0, err
		}
		list.Sums[f.name] = fmt.Sprintf("%x", sha256.Sum256(f.data))
	}
	return records, list.Write(durable.System, filepath.Join(dir, sums.FileName))
}

// recordOf is the record of one repetition of a line's test.
func recordOf(l *runs.LlamaBench, ms float64, rep int) record.Record {
	one, threads := 1, l.Threads
	architecture, weights := typeOf(l.ModelType)
	r := record.Record{
		Origin: record.Origin{SchemaVersion: record.SchemaVersion},
		Subject: record.Subject{BackendKind: runs.KindLlamaBench, ModelKind: "gguf", ModelSource: l.ModelFile, ModelFile: l.ModelFile,
			Scenario: testName(l), ParamsMillions: float64(l.Params) / 1e6, Depth: l.Depth, GenTokensTarget: l.Gen, BatchSizeConfig: 1},
		Outcome:    record.Outcome{CallIdx: rep, SampleIdx: rep, Rep: &rep, Status: record.StatusOK, Attempted: true},
		ModelFacts: record.ModelFacts{Architecture: architecture, WeightType: weights, ParamsTotal: l.Params, WeightBytes: l.ModelBytes},
		RuntimeFacts: record.RuntimeFacts{Device: "cpu", NThreadsAsked: threads, NThreadsBatchAsked: threads, NGPULayers: l.GPULayers, FlashAttention: l.FlashAttn,
			NBatch: l.NBatch, NUBatch: l.NUBatch, KVTypeK: l.KVTypeK, KVTypeV: l.KVTypeV, UseMmap: l.UseMmap == "true", LlamaCommit: l.Commit},
		Nulls: map[string]string{
			"model_sha256": "llama-bench does not tell", "n_threads": "llama-bench tells how many were asked for", "n_threads_batch": "llama-bench tells how many were asked for",
			"pace": "one repetition comes right behind the other; before them one of warming up",
		},
	}
	if l.GPULayers != 0 && l.GPUInfo != "" {
		r.Device, r.GPUName = "cuda", &l.GPUInfo
		if !strings.Contains(l.Backends, "CUDA") {
			r.Device = strings.ToLower(l.Backends)
		}
	}
	if t, err := time.Parse(time.RFC3339, l.TestTime); err == nil {
		r.StartedAt = float64(t.Unix())
	}
	tokens := l.Prompt + l.Gen
	rate := float64(tokens) / (ms / 1e3)
	r.BatchSize = &one
	r.LatencyMS, r.TokensTotal, r.TokensPerS, r.TokensPerSEach = &ms, &tokens, &rate, &rate
	if l.Prompt > 0 {
		r.SeqLen, r.PromptTokensRaw = &l.Prompt, &l.Prompt
	}
	if l.Gen > 0 {
		r.GenTokensRaw, r.GenTokens = &l.Gen, &l.Gen
	}
	const argmax = "llama-bench decodes without choosing a token: its time is decode_no_sampling_ms"
	switch {
	case l.Gen == 0:
		r.Mode, r.PrefillMS = record.ModePrefill, &ms
	case l.Prompt == 0:
		r.Mode, r.DecodeNoSampMS = record.ModeDecode, &ms
		r.Nulls["kv_decode_ms"], r.Nulls["token_ns"] = argmax, "llama-bench keeps the sum alone"
	default:
		r.Mode = record.ModeE2E
		r.Nulls["e2e_kv_ms"] = argmax
	}
	return r
}

// testName is the test in llama-bench's words.
func testName(l *runs.LlamaBench) string {
	name := ""
	switch {
	case l.Gen == 0:
		name = fmt.Sprintf("pp%d", l.Prompt)
	case l.Prompt == 0:
		name = fmt.Sprintf("tg%d", l.Gen)
	default:
		name = fmt.Sprintf("pp%d+tg%d", l.Prompt, l.Gen)
	}
	if l.Depth > 0 {
		name += fmt.Sprintf("@d%d", l.Depth)
	}
	return name
}

// typeOf takes architecture and weight type from a description such as "llama 7B Q4_0".
func typeOf(description string) (architecture, weights string) {
	words := strings.SplitN(description, " ", 3)
	if len(words) < 3 {
		return "", ""
	}
	weights, _, _ = strings.Cut(strings.TrimPrefix(words[2], "all "), " ")
	return words[0], strings.ToLower(weights)
}

// backendNames gives each line a backend: the settings in which the lines differ.
func backendNames(lines []runs.LlamaBench) []string {
	settings := func(l *runs.LlamaBench) [][2]string {
		_, weights := typeOf(l.ModelType)
		return [][2]string{{"", weights}, {"threads", strconv.Itoa(l.Threads)}, {"gpu_layers", strconv.Itoa(l.GPULayers)}, {"flash_attn", l.FlashAttn},
			{"k", l.KVTypeK}, {"v", l.KVTypeV}, {"batch", strconv.Itoa(l.NBatch)}, {"ubatch", strconv.Itoa(l.NUBatch)}, {"mmap", l.UseMmap},
			{"on", l.Backends}, {"commit", l.Commit}}
	}
	differs := map[int]bool{}
	for i := range lines {
		for j, s := range settings(&lines[i]) {
			differs[j] = differs[j] || s != settings(&lines[0])[j]
		}
	}
	out := make([]string, len(lines))
	for i := range lines {
		out[i] = "llama-bench"
		for j, s := range settings(&lines[i]) {
			if differs[j] {
				out[i] += "_" + strings.ReplaceAll(s[0]+s[1], "/", "-")
			}
		}
	}
	return out
}

// modelNames gives each file a name: its own, with its folders where two have the same.
func modelNames(lines []runs.LlamaBench) map[string]string {
	out := map[string]string{}
	var taken []string
	for i := range lines {
		file := lines[i].ModelFile
		if out[file] != "" {
			continue
		}
		name := strings.TrimSuffix(path.Base(file), ".gguf")
		if slices.Contains(taken, name) {
			name = strings.ReplaceAll(strings.Trim(strings.TrimSuffix(file, ".gguf"), "/"), "/", "_")
		}
		taken = append(taken, name)
		out[file] = name
	}
	return out
}
