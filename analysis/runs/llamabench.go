package runs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// LlamaBenchFile is where a run folder keeps what llama-bench measured of the same
// models: the lines that `llama-bench -o jsonl` prints.
const LlamaBenchFile = "llama-bench.jsonl"

// LlamaBench is one of these lines: one test of one model, in several repetitions.
type LlamaBench struct {
	Line      int       `json:"-"`              // from 1
	ModelFile string    `json:"model_filename"` // as it was given, with slashes
	Threads   int       `json:"n_threads"`
	GPULayers int       `json:"n_gpu_layers"`
	Backends  string    `json:"backends"` // of llama.cpp's build, comma-separated: CPU, CUDA, BLAS
	Prompt    int       `json:"n_prompt"` // tokens evaluated; 0 where decode is tested
	Gen       int       `json:"n_gen"`    // tokens decoded; 0 where prefill is tested
	Depth     int       `json:"n_depth"`  // positions of the KV cache in use before
	MS        []float64 `json:"-"`
	Commit    string    `json:"build_commit"`
	FlashAttn string    `json:"-"` // on, off or auto
	KVTypeK   string    `json:"type_k"`
	KVTypeV   string    `json:"type_v"`
	NBatch    int       `json:"n_batch"`
	NUBatch   int       `json:"n_ubatch"`
	UseMmap   string    `json:"-"` // true or false; "" where the line does not say

	ModelType  string `json:"model_type"` // architecture, size and weight type in llama.cpp's words
	ModelBytes int64  `json:"model_size"`
	Params     int64  `json:"model_n_params"`
	CPUInfo    string `json:"cpu_info"`
	GPUInfo    string `json:"gpu_info"`
	TestTime   string `json:"test_time"` // RFC 3339
}

// readLlamaBench reads the file, where the run has one. A line that is no test's is
// named and left out, as in runs.jsonl.
func (run *Run) readLlamaBench() error {
	f, err := Open(run.Dir, LlamaBenchFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("analysis: %w", err)
	}
	defer f.Close()
	broken := 0
	br := bufio.NewReaderSize(f, 1<<16)
	for line := 1; ; line++ {
		data, err := br.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("analysis: %s: line %d: %w", LlamaBenchFile, line, err)
		}
		if data = bytes.TrimSpace(data); len(data) > 0 {
			b, perr := ParseLlamaBench(data)
			if perr == nil {
				b.Line = line
				run.LlamaBench = append(run.LlamaBench, b)
			} else if broken++; broken <= MaxBrokenWarnings {
				run.warn("broken_line", fmt.Sprintf("%s:%d", LlamaBenchFile, line), "not a line of llama-bench: "+perr.Error(),
					"the line is left out of the comparison; keep to what `llama-bench -o jsonl` prints")
			}
		}
		if err != nil {
			break
		}
	}
	if broken > MaxBrokenWarnings {
		run.warn("broken_line", LlamaBenchFile, fmt.Sprintf("%d lines in all are not llama-bench's", broken),
			"look whether it was run with `-o jsonl`, and its log written elsewhere")
	}
	run.leaveOutUntold()
	return nil
}

// leaveOutUntold drops the lines of which a file's name does not tell which of the
// run's files it is: records have as many of its folders as that takes, those of
// older versions none.
func (run *Run) leaveOutUntold() {
	contents := map[string][]string{} // by model_file
	for i := range run.Rows {
		if r := &run.Rows[i]; r.ModelSHA256 != nil && !slices.Contains(contents[r.ModelFile], *r.ModelSHA256) {
			contents[r.ModelFile] = append(contents[r.ModelFile], *r.ModelSHA256)
		}
	}
	told := map[string]bool{}
	run.LlamaBench = slices.DeleteFunc(run.LlamaBench, func(b LlamaBench) bool {
		named, alike := 0, 0
		for file, sums := range contents {
			if b.isOf(file) {
				named += len(sums)
			}
			if path.Base(file) == path.Base(b.ModelFile) {
				alike += len(sums)
			}
		}
		untold := named > 1 || named == 0 && alike > 1
		if untold && !told[b.ModelFile] {
			told[b.ModelFile] = true
			run.warn("ambiguous_model", fmt.Sprintf("%s:%d", LlamaBenchFile, b.Line),
				fmt.Sprintf("%s may be any of %d files of the run that have this name", b.ModelFile, max(named, alike)),
				"the model's lines are left out of the comparison; name the file with the folders that the records' model_file has, or measure these models in runs of their own")
		}
		return untold
	})
}

// isOf tells whether the line is of the file that records call file: its name, with
// as many of its folders as tell it from others of the run.
func (b *LlamaBench) isOf(file string) bool {
	return b.ModelFile == file || strings.HasSuffix(b.ModelFile, "/"+file)
}

// ParseLlamaBench reads one line; Line of what it returns is 0. llama-bench has changed flash_attn from a boolean
// to a number, of which -1 is auto.
func ParseLlamaBench(data []byte) (LlamaBench, error) {
	var l struct {
		LlamaBench
		SamplesNS []float64       `json:"samples_ns"`
		FlashAttn json.RawMessage `json:"flash_attn"`
		UseMmap   json.RawMessage `json:"use_mmap"`
		LoadMode  string          `json:"load_mode"` // in place of use_mmap since 2026
	}
	if err := json.Unmarshal(Sanitize(data), &l); err != nil {
		return LlamaBench{}, err
	}
	b := l.LlamaBench
	b.ModelFile = path.Clean(filepath.ToSlash(b.ModelFile))
	switch {
	case l.ModelFile == "":
		return b, errors.New("no model_filename")
	case l.Prompt < 0 || l.Gen < 0 || l.Depth < 0 || l.Prompt+l.Gen == 0:
		return b, fmt.Errorf("%d prompt tokens and %d to decode", l.Prompt, l.Gen)
	case len(l.SamplesNS) == 0:
		return b, errors.New("no samples_ns")
	}
	for _, ns := range l.SamplesNS {
		ms := ns / 1e6
		if !(ms > MinLatencyMS && ms < MaxLatencyMS) {
			return b, fmt.Errorf("a sample of %g ns", ns)
		}
		b.MS = append(b.MS, ms)
	}
	b.FlashAttn = map[string]string{"1": "on", "true": "on", "0": "off", "false": "off", "-1": "auto"}[string(l.FlashAttn)]
	b.UseMmap = map[string]string{"1": "true", "true": "true", "0": "false", "false": "false"}[string(l.UseMmap)]
	if l.LoadMode != "" {
		b.UseMmap = fmt.Sprint(l.LoadMode == "mmap")
	}
	return b, nil
}

// RunsOn reports whether the line is of the same model file, threads and device as
// a record.
func (b *LlamaBench) RunsOn(r *Row) bool {
	threads := r.Threads()
	if b.Gen == 0 {
		threads = r.ThreadsBatch()
	}
	if !b.isOf(r.ModelFile) || b.Threads != threads {
		return false
	}
	if r.Device == ceilings.CPU {
		return b.GPULayers == 0 || b.Backends != "" && !strings.Contains(b.Backends, "CUDA")
	}
	layers := r.NLayer + 1 // the output head counts as one
	return LayersOf(b.GPULayers, layers) == LayersOf(r.NGPULayers, layers)
}

// LayersOf is what a number of layers to offload comes to; a negative one is all.
func LayersOf(asked, there int) int {
	if asked < 0 || asked > there {
		return there
	}
	return asked
}

// orNothing prints a count of which 0 means unknown.
func orNothing(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// Differs lists the settings that are not the record's, where both are known.
func (b *LlamaBench) Differs(r *Row) []string {
	var out []string
	say := func(name, theirs, ours string) {
		if theirs != "" && ours != "" && theirs != ours {
			out = append(out, fmt.Sprintf("%s: llama-bench %s, native %s", name, theirs, ours))
		}
	}
	say("flash_attn", b.FlashAttn, r.FlashAttention)
	say("kv_type", b.KVTypeK, r.KVTypeK)
	say("n_ubatch", orNothing(b.NUBatch), orNothing(r.NUBatch))
	say("mmap", b.UseMmap, fmt.Sprint(r.UseMmap))
	say("pace", record.PaceHot, r.PaceText()) // it goes from one repetition to the next
	// Either may be cut short.
	if c := b.Commit; !strings.HasPrefix(c, r.LlamaCommit) && !strings.HasPrefix(r.LlamaCommit, c) {
		say("llama.cpp", c, r.LlamaCommit)
	}
	return out
}
