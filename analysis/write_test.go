package analysis

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/device"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// TestTR121Folder checks what else comes out of the Python harness's folder.
func TestTR121Folder(t *testing.T) {
	r := tr121(t)
	if r.Harness != runs.HarnessTR121 || r.RunID != "20251224_002149" || r.Counts.Records != 684 || len(r.Cells) != 171 || len(r.Aggregates) != 57 {
		t.Errorf("%s %s %+v", r.Harness, r.RunID, r.Counts)
	}
	// tr121.md 1.9: wall against CUDA events, medians in percent.
	for mode, want := range map[string]string{"prefill": ".94", "kv_decode": ".013", "e2e_kv": ".031"} {
		i := slices.IndexFunc(Get[device.Answer](r).Gaps, func(g device.Gap) bool { return g.Mode == mode && !g.IsWarmup })
		pct := 100 * Get[device.Answer](r).Gaps[i].RelMedian
		celltest.Printed(t, mode+" gap %", &pct, want)
		if Get[device.Answer](r).Gaps[i].N != 63 || Get[device.Answer](r).Gaps[i].RelP95.Value != nil {
			t.Errorf("%+v", Get[device.Answer](r).Gaps[i])
		}
	}
	// tr121.md 1.9: decode fraction .979, .981, .983, medians over the models; the
	// first is .9798 from the rounded table, hence two digits.
	for backend, want := range map[string]string{"hf_cpu_fp32": ".98", "hf_gpu_fp16": ".98", "ollama": ".98"} {
		var fr []float64
		for _, d := range Get[summary.Answer](r).DecodeFractions {
			if d.Backend == backend && d.Scenario == cells.AllScenarios {
				fr = append(fr, d.Fraction)
			}
		}
		m := stats.Median(fr)
		celltest.Printed(t, backend+" decode fraction", &m, want)
	}
	if m := r.Models[0]; m.Name != "tiny-gpt2" || m.ParamsNonEmbedding != 152 || m.ParamsTotal != 102714 || m.NLayer != 2 || m.WeightType != "fp32" {
		t.Errorf("tiny-gpt2: %+v", m) // tr121.md 1.5
	}
}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestWrite: the same input gives the same bytes, and every table its columns.
func TestWrite(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "analysis"), t.TempDir()
	var r *Result
	for _, dir := range []string{first, first, second} {
		run := mustLoad(t, "testdata/tr121")
		var err error
		r, err = Analyze(run, cells.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	// All answers have one length, each model one weight type; TR121 has no ceilings, no pairs,
	// no verdicts and no records of a device.
	var present []finding.Table
	for _, table := range Tables(r) {
		if !table.Optional || table.Len() > 0 {
			present = append(present, table)
		}
	}
	a, b := readAll(t, first), readAll(t, second)
	if len(a) != len(b) || len(a) != len(present)+2 || len(present) != 23 {
		t.Errorf("%d and %d files, %d tables", len(a), len(b), len(present))
	}
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs between two analyses of one run", name)
		}
		if strings.Contains(name, "tmp") {
			t.Errorf("left behind: %s", name)
		}
	}
	for _, table := range present {
		rows, err := csv.NewReader(bytes.NewReader(a[table.File])).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", table.File, err)
			continue
		}
		for i, c := range table.Columns {
			if rows[0][i] != c.Name || c.Doc == "" {
				t.Errorf("%s: column %d is %q, declared %+v", table.File, i, rows[0][i], c)
			}
		}
		if bytes.Contains(a[table.File], []byte("NaN")) || bytes.Contains(a[table.File], []byte("Inf")) {
			t.Errorf("%s holds NaN or Inf", table.File)
		}
	}
	var read Result
	var fits scaling.Answer
	if err := errors.Join(json.Unmarshal(a[ResultFile], &read), json.Unmarshal(a[ResultFile], &fits)); err != nil || len(fits.Fits) != len(Get[scaling.Answer](tr121(t)).Fits) || read.Manifest.Text("run_id") != read.RunID {
		t.Errorf("analysis.json: %v", err)
	}
	if rows := string(a["summary_by_model_backend_mode.csv"]); !strings.Contains(rows, ",too few,too few,") {
		t.Error("p95 of three samples was printed")
	}

	// Without Ollama and CUDA, their files do not appear.
	plain := t.TempDir()
	if err := Write(plain, analyzed(celltest.Ladder, t, cells.Options{})); err != nil {
		t.Fatal(err)
	}
	for name := range readAll(t, plain) {
		if strings.HasPrefix(name, "ollama") || strings.HasPrefix(name, "cuda") || strings.Contains(name, "length_limited") {
			t.Errorf("%s without anything to say", name)
		}
	}
}

// TestTR121Columns: the columns of tr121.md 1.7 come first, in its order.
func TestTR121Columns(t *testing.T) {
	want := map[string]string{
		"summary_by_model_backend_mode.csv":     "backend backend_kind batch_size model model_kind params_millions_effective scenario mode n latency_mean_ms latency_median_ms latency_p95_ms latency_p99_ms tokens_per_s_median tokens_per_s_compute_median tokens_total_median tokens_total_compute_median prompt_tokens_median prompt_tokens_raw_median prompt_tokens_compute_median gen_tokens_median gen_tokens_raw_median gen_tokens_target_median cuda_event_median_ms gpu_peak_mb_median ollama_load_ms_median params_millions_config_median params_millions_measured_median",
		"summary_by_model_backend_mode_agg.csv": "backend backend_kind batch_size model model_kind params_millions_effective mode n_scenarios latency_geomean_ms latency_median_of_medians_ms tokens_per_s_geomean tokens_per_s_compute_geomean gpu_peak_mb_median ollama_load_ms_median params_millions_config_median params_millions_measured_median",
		"scaling_fits.csv":                      "backend backend_kind batch_size mode scenario aggregation n_models ok log10_intercept slope r2 spearman_rho_loglog spearman_p_loglog theilsen_slope theilsen_log10_intercept theilsen_slope_ci_low theilsen_slope_ci_high slope_ci_low slope_ci_high log10_intercept_ci_low log10_intercept_ci_high boot_n_used boot_n_requested",
		"hf_model_architecture.csv":             "model config_path n_layer n_embd n_head n_inner vocab_size n_positions",
		"warmup_effect.csv":                     "backend model scenario mode warmup_n warmup_median_ms measured_n measured_median_ms warmup_to_measured_ratio warmup_minus_measured_ms",
		"cuda_event_gap_summary.csv":            "backend mode is_warmup n rel_gap_median rel_gap_p95 abs_gap_ms_median abs_gap_ms_p95",
	}
	declared, err := Declared()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range declared {
		var names []string
		for _, c := range table.Columns {
			names = append(names, c.Name)
		}
		if w := want[table.File]; w != "" && !strings.HasPrefix(strings.Join(names, " "), w) {
			t.Errorf("%s: %s", table.File, strings.Join(names, " "))
		}
		sorted := slices.Sorted(slices.Values(names))
		if len(slices.Compact(sorted)) != len(names) {
			t.Errorf("%s: a column twice", table.File)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r := &Result{}
	if err := Write(file, r); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a folder: %v", err)
	}
	if err := Write(filepath.Join(file, "below"), r); err == nil {
		t.Error("wrote below a file")
	}
	if os.Getuid() != 0 { // root may write anywhere
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, r); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("read-only folder: %v", err)
		}
	}
	// A folder where a file should go: the failure names it and leaves no rubbish.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, WarningsFile), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, r); err == nil || !strings.Contains(err.Error(), WarningsFile) {
		t.Errorf("folder in the way: %v", err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.Contains(e.Name(), "tmp") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// TestOneLength: nothing appears, in any file, where all answers have one length
// or prompts differ with them.
func TestOneLength(t *testing.T) {
	one := celltest.LengthRun(3, []int{64}, 3, celltest.Affine(3, 2), nil)
	prompts := celltest.LengthRun(3, []int{8, 64}, 3, celltest.Affine(3, 2), nil)
	for i := range prompts {
		prompts[i].PromptTokensRaw = new(*prompts[i].GenTokens + 1)
	}
	scaled := celltest.LengthRun(3, []int{8, 64}, 3, celltest.Affine(3, 2), nil)
	for i := range scaled {
		scaled[i].GenTokensRaw = new(5)
	}
	for name, rows := range map[string][]runs.Row{"one": one, "prompts differ": prompts, "scaled answers": scaled} {
		r := analyzeRows(t, rows)
		dir := filepath.Join(t.TempDir(), "analysis")
		if err := Write(dir, r); err != nil {
			t.Fatal(err)
		}
		for file, data := range readAll(t, dir) {
			if strings.Contains(file, "length") || bytes.Contains(data, []byte("length_laws")) {
				t.Errorf("%s: %s speaks of lengths", name, file)
			}
			if mixed := bytes.Contains(data, []byte("mixed_lengths")); mixed && name == "one" {
				t.Errorf("%s: %s speaks of mixed lengths", name, file)
			}
		}
	}
}
