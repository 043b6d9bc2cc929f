package exchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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

// test is one line of llama-bench's, with the settings that runs.LlamaBench has no field for.
type test struct {
	runs.LlamaBench
	more map[string]string
}

// notSettings are the fields of a line that say what was tested, what came out, or have
// a field of runs.LlamaBench.
var notSettings = strings.Fields(`build_commit build_number backends model_filename model_type model_size model_n_params n_batch n_ubatch n_threads type_k type_v
	n_gpu_layers flash_attn use_mmap load_mode n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts samples_ns samples_ts`)

// Import makes a run folder of what `llama-bench -o jsonl` has printed, and says how
// many records it has. The folder must not be there, or be empty. A line that is no
// test's is an error: it has a number. Of a test that comes again, each line is of a
// process of its own, and so a replicate: llama-bench makes each test once.
func Import(file, dir string) (records int, err error) { return importTo(durable.System, file, dir) }

func importTo(disk durable.Disk, file, dir string) (records int, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	tests, err := parse(file, data)
	if err != nil {
		return 0, err
	}
	there, err := os.ReadDir(dir)
	if err == nil && len(there) > 0 {
		return 0, fmt.Errorf("%s is not empty: choose a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	whole, werr := filepath.Abs(dir)
	if werr != nil {
		return 0, werr
	}
	id := filepath.Base(whole)
	lines, records, err := encode(tests, id)
	if err != nil {
		return 0, err
	}
	manifest, err := json.MarshalIndent(map[string]any{
		"schema_version": record.SchemaVersion, "run_id": id, "run_name": "llama-bench", "run_state": "completed", "records_written": records,
		"platform":    map[string]string{"processor": tests[0].CPUInfo},
		"imported":    map[string]any{"from": "llama-bench", "file": filepath.Base(file), "sha256": fmt.Sprintf("%x", sha256.Sum256(data)), "lines": len(tests)},
		"model_files": []string{}, "sessions": []string{},
	}, "", "  ")
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	list := sums.List{About: "the run's files when they were imported", Sums: map[string]string{}}
	for _, f := range []struct {
		name string
		data []byte
	}{{runs.RecordsFile, lines}, {SourceFile, data}, {"manifest.json", append(text.JSON(manifest), '\n')}} {
		if err == nil {
			err = disk.WriteFile(filepath.Join(dir, f.name), f.data)
		}
		list.Sums[f.name] = fmt.Sprintf("%x", sha256.Sum256(f.data))
	}
	if err == nil {
		err = list.Write(disk, filepath.Join(dir, sums.FileName))
	}
	if err == nil {
		return records, nil
	}
	for name := range list.Sums { // a part of a run is none
		_ = os.Remove(filepath.Join(dir, name)) // the first error is what counts
	}
	_ = os.Remove(filepath.Join(dir, sums.FileName))
	if there == nil {
		_ = os.Remove(dir)
	}
	return 0, err
}

// parse reads the lines.
func parse(file string, data []byte) (tests []test, err error) {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		l, err := runs.ParseLlamaBench(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d is not llama-bench's: %w; want what `llama-bench -o jsonl` prints", file, number, err)
		}
		l.Line = number
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(runs.Sanitize(line), &fields); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", file, number, err)
		}
		t := test{l, map[string]string{}}
		for name, value := range fields {
			if !slices.Contains(notSettings, name) {
				t.more[name] = strings.Trim(string(value), `"`)
			}
		}
		tests = append(tests, t)
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("%s has no line; want what `llama-bench -o jsonl` prints", file)
	}
	return tests, nil
}

// encode makes the lines of the run's records.
func encode(tests []test, id string) (lines []byte, records int, err error) {
	type cell struct{ backend, model, scenario string }
	var out bytes.Buffer
	first, times := map[cell]int{}, map[cell]int{}
	names, models := backendNames(tests), modelNames(tests)
	for i := range tests {
		at := cell{names[i], models[tests[i].ModelFile], testName(&tests[i].LlamaBench)}
		if times[at] == 0 {
			first[at] = i
		}
		for rep, ms := range tests[i].MS {
			rec := recordOf(&tests[i].LlamaBench, ms, rep)
			rec.RunID, rec.OrderIdx, rec.TaskIdx, rec.Replicate = id, records, first[at], times[at]
			rec.Backend, rec.Model = at.backend, at.model
			rec.CellID = rec.Model + "/" + rec.Backend + "/" + rec.Scenario
			line, err := json.Marshal(&rec)
			if err != nil {
				return nil, 0, err
			}
			out.Write(text.JSON(line))
			out.WriteByte('\n')
			records++
		}
		times[at]++
	}
	return out.Bytes(), records, nil
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
func backendNames(tests []test) []string {
	var more []string
	for i := range tests {
		for name := range tests[i].more {
			if !slices.Contains(more, name) {
				more = append(more, name)
			}
		}
	}
	slices.Sort(more)
	settings := func(l *test) [][2]string {
		_, weights := typeOf(l.ModelType)
		out := [][2]string{{"", weights}, {"threads", strconv.Itoa(l.Threads)}, {"gpu_layers", strconv.Itoa(l.GPULayers)}, {"flash_attn", l.FlashAttn},
			{"k", l.KVTypeK}, {"v", l.KVTypeV}, {"batch", strconv.Itoa(l.NBatch)}, {"ubatch", strconv.Itoa(l.NUBatch)}, {"mmap", l.UseMmap},
			{"on", l.Backends}, {"commit", l.Commit}}
		for _, name := range more {
			out = append(out, [2]string{name, l.more[name]})
		}
		return out
	}
	differs := map[int]bool{}
	for i := range tests {
		for j, s := range settings(&tests[i]) {
			differs[j] = differs[j] || s != settings(&tests[0])[j]
		}
	}
	out := make([]string, len(tests))
	for i := range tests {
		out[i] = "llama-bench"
		for j, s := range settings(&tests[i]) {
			if differs[j] {
				out[i] += "_" + strings.NewReplacer("/", "-", " ", "-").Replace(s[0]+s[1])
			}
		}
	}
	return out
}

// modelNames gives each file a name: its own, with its folders where two have the same.
func modelNames(tests []test) map[string]string {
	out := map[string]string{}
	var taken []string
	for i := range tests {
		file := tests[i].ModelFile
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
