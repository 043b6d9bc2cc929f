package crosscheck

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func askRun(t *testing.T, run *runs.Run) *Answer {
	t.Helper()
	set, err := cells.New(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Ask(set)
}

func load(t *testing.T, dir string) *runs.Run {
	t.Helper()
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestLlamaBench: which lines are joined, and what is done with bad ones.
func TestLlamaBench(t *testing.T) {
	line := func(set map[string]any) string {
		l := map[string]any{"build_commit": "0c1e57098", "model_filename": "models/m01-f32.gguf", "n_threads": 2, "n_gpu_layers": 99, "backends": "CPU", "flash_attn": -1, "type_k": "f16",
			"n_ubatch": 512, "load_mode": "mmap", "n_prompt": 0, "n_gen": 0, "n_depth": 0, "avg_ns": 1, "samples_ns": []int{1}}
		for k, v := range set {
			l[k] = v
		}
		data, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	ns := func(ms ...float64) (out []int64) {
		for _, v := range ms {
			out = append(out, int64(v*1e6))
		}
		return out
	}
	lines := []string{
		line(map[string]any{"n_prompt": 256, "samples_ns": ns(64, 65, 66, 65, 65)}),
		line(map[string]any{"n_gen": 16, "n_depth": 256, "samples_ns": ns(32, 33)}),
		line(map[string]any{"n_gen": 16, "n_depth": 256, "samples_ns": ns(33, 34, 33)}), // the same test in another round
		line(map[string]any{"n_gen": 16, "n_depth": 256, "flash_attn": 1, "samples_ns": ns(99, 99, 99)}),
		line(map[string]any{"n_gen": 16, "n_depth": 256, "n_threads": 1, "samples_ns": ns(99, 99, 99)}),
		line(map[string]any{"n_gen": 16, "n_depth": 256, "backends": "CUDA,CPU", "samples_ns": ns(99, 99, 99)}),
		line(map[string]any{"n_gen": 16, "samples_ns": ns(30, 30)}),
		line(map[string]any{"n_gen": 16, "n_prompt": 256, "samples_ns": ns(99)}), // both at once
		`{"model_filename": "m01-f32.gguf", "n_gen": 16`,
		"llama-bench: warning",
		line(map[string]any{"n_gen": 16, "samples_ns": []int{}}),
		line(map[string]any{"n_gen": 16, "samples_ns": []int{0}}),
		line(map[string]any{"model_filename": "", "n_gen": 16}),
		line(map[string]any{}),
		"",
	}
	dir := t.TempDir()
	p := celltest.ServedPlan
	p.Models = 2
	var records strings.Builder
	for _, r := range p.Rows() {
		data, err := json.Marshal(r.Record())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&records, "%s\n", data)
	}
	for file, text := range map[string]string{"runs.jsonl": records.String(), runs.LlamaBenchFile: strings.Join(lines, "\n")} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := load(t, dir)
	var where []string
	for _, w := range run.Warnings {
		if w.Code == "broken_line" {
			where = append(where, w.Where)
		}
	}
	if got := strings.Join(where, " "); len(run.LlamaBench) != 8 || got != "llama-bench.jsonl:9 llama-bench.jsonl:10 llama-bench.jsonl:11 llama-bench.jsonl:12 llama-bench.jsonl:13 llama-bench.jsonl:14" {
		t.Errorf("%d lines, broken %s", len(run.LlamaBench), got)
	}
	if b := run.LlamaBench[0]; b.UseMmap != "true" || b.FlashAttn != "auto" || run.LlamaBench[3].FlashAttn != "on" || b.ModelFile != "models/m01-f32.gguf" {
		t.Errorf("%+v", b)
	}
	r := askRun(t, run)
	c := find(t, r, "m01", "p256", record.ModePrefill)
	celltest.Near(t, "prefill", c.Bench.Ratio, 65.0/64, 1e-9)
	if c.Bench.N != 5 || c.Bench.RatioCI == nil || c.BenchRun.Depth != 0 || !slices.Equal(c.BenchRun.Differ, []string{"llama.cpp: llama-bench 0c1e57098, native ec98e2002"}) {
		t.Errorf("%+v %+v", c.Bench, c.BenchRun)
	}
	c = find(t, r, "m01", "p256", record.ModeDecode)
	celltest.Near(t, "decode", c.Bench.Ratio, 33.0/32, 1e-9)
	if c.Bench.N != 5 || c.BenchRun.Depth != 256 {
		t.Errorf("%+v %+v", c.Bench, c.BenchRun)
	}
	c = find(t, r, "m01", "p128", record.ModeDecode) // measured from an empty cache alone
	celltest.Near(t, "decode from an empty cache", c.Bench.Ratio, 30.0/32, 1e-9)
	if c.BenchRun.Depth != 0 || c.Bench.RatioCI != nil || c.Bench.Reason == "" {
		t.Errorf("%+v %+v", c.Bench, c.BenchRun)
	}
	if c = find(t, r, "m00", "p256", record.ModeDecode); c.BenchRun != nil {
		t.Errorf("%+v", c.BenchRun)
	}
}

// TestLlamaBenchOfFilesWithOneName: two models in different folders are two also
// where llama-bench measured them; where nothing tells them apart, none is compared.
func TestLlamaBenchOfFilesWithOneName(t *testing.T) {
	for _, c := range []struct {
		files [2]string // model_file of the records of m00 and m01
		lines string    // model_filename of llama-bench's lines, one ms longer each
		want  [2]float64
		warns int
	}{
		{[2]string{"v1/m.gguf", "v2/m.gguf"}, "/data/v2/m.gguf ./v1/m.gguf", [2]float64{2, 1}, 0},
		{[2]string{"v1/m.gguf", "v2/m.gguf"}, "v1/m.gguf m.gguf", [2]float64{1, 0}, 1},
		{[2]string{"v1/m.gguf", "v2/m.gguf"}, "xv1/m.gguf v2/m.gguf", [2]float64{0, 2}, 1},
		{[2]string{"m.gguf", "m.gguf"}, "/data/v2/m.gguf m.gguf", [2]float64{}, 2}, // as older versions wrote records
		{[2]string{"m.gguf", "n.gguf"}, "/data/v2/m.gguf /n/n.gguf", [2]float64{1, 2}, 0},
	} {
		dir := t.TempDir()
		p := celltest.ServedPlan
		p.Models = 2
		var records, bench strings.Builder
		for _, r := range p.Rows() {
			r.ModelFile = c.files[map[string]int{"m00": 0, "m01": 1}[r.Model]]
			data, err := json.Marshal(r.Record())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&records, "%s\n", data)
		}
		for i, name := range strings.Fields(c.lines) {
			fmt.Fprintf(&bench, `{"model_filename": %q, "n_threads": 2, "backends": "CPU", "n_prompt": 256, "samples_ns": [%[2]d, %[2]d]}`+"\n", name, (i+1)*1e6)
		}
		for file, text := range map[string]string{"runs.jsonl": records.String(), runs.LlamaBenchFile: bench.String()} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		run := load(t, dir)
		warns := 0
		for _, w := range run.Warnings {
			if w.Code == "ambiguous_model" {
				warns++
			}
		}
		if warns != c.warns {
			t.Errorf("%v, %s: %d warnings, want %d", c.files, c.lines, warns, c.warns)
		}
		r := askRun(t, run)
		for i, model := range []string{"m00", "m01"} {
			got := 0.0
			if b := find(t, r, model, "p256", record.ModePrefill).Bench; b.MS != nil {
				got = *b.MS
			}
			if got != c.want[i] {
				t.Errorf("%v, %s: %s is compared with %v ms, want %v", c.files, c.lines, model, got, c.want[i])
			}
		}
	}
}

// TestLlamaBenchAtDepth: llama-bench is set beside native at the same depth or not at
// all, of one sequence, and a cold pace is named.
func TestLlamaBenchAtDepth(t *testing.T) {
	native := celltest.LengthRun(1, []int{16}, 1, celltest.Affine(0, 1), nil)[1]
	native.ModelFile, native.Device = "m.gguf", "cpu"
	lines := []runs.LlamaBench{
		{ModelFile: "m.gguf", Threads: 2, Gen: 16, Depth: 9, MS: []float64{1}}, {ModelFile: "m.gguf", Threads: 2, Gen: 16, MS: []float64{1}},
		{ModelFile: "m.gguf", Threads: 2, Gen: 16, Depth: 4096 + 9, MS: []float64{2}},
	}
	bench := func(change func(*runs.Row), lines []runs.LlamaBench) Comparison {
		r := runs.RowOf(native.Record())
		change(&r)
		c := Comparison{Phase: record.ModeDecode}
		c.bench(lines, &r, cells.Times{All: []float64{1}})
		return c
	}
	if c := bench(func(r *runs.Row) {}, lines); c.BenchRun == nil || c.BenchRun.Depth != 9 {
		t.Errorf("%+v", c.BenchRun)
	}
	if c := bench(func(r *runs.Row) { r.Depth = 4096 }, lines); c.BenchRun == nil || c.BenchRun.Depth != 4105 {
		t.Errorf("%+v", c.BenchRun)
	}
	if c := bench(func(r *runs.Row) { r.Depth = 4096 }, lines[:2]); c.BenchRun != nil || c.Bench.Reason == "" {
		t.Errorf("depth 4096 beside depth %+v", c.BenchRun)
	}
	if c := bench(func(r *runs.Row) { r.BatchSize = new(8) }, lines); c.BenchRun != nil || !strings.Contains(c.Bench.Reason, "one sequence") {
		t.Errorf("%+v", c.Bench)
	}
	if c := bench(func(r *runs.Row) { r.Pace = new("cold") }, lines); !slices.Contains(c.BenchRun.Differ, "pace: llama-bench hot, native cold") {
		t.Errorf("%+v", c.BenchRun)
	}
}
