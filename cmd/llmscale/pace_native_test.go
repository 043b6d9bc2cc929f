//go:build native

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"llmscale/native"
	"llmscale/runner/record"
)

const pacedSweep = `gen_tokens: 4
replicates: 1
repetitions: 2
warmup_repetitions: 0
seed: 11
cell_timeout_s: 120
probe: false
scenarios: [{name: s, prompt_tokens: 12}]
backends:
  - {name: b, dtype: f32, threads: 1, pace: [hot, cold], idle_ms: 30}
  - {name: bound, dtype: f32, cpu_affinity: "%d"}
  - {name: pair, dtype: f32, threads: 2, threads_batch: %d, cpu_affinity: "%d,%d"}
models: [{name: m1, source: "synth:gpt2-1m"}]
`

// TestPaceAndAffinityOnRecord: what came before each call is on its record, and so is where its threads ran.
func TestPaceAndAffinityOnRecord(t *testing.T) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	var cpus []int
	for i := range 64 * len(set) {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	if len(cpus) < 2 {
		t.Skip("one processor")
	}
	first, last := cpus[0], cpus[len(cpus)-1]
	build, err := native.Build()
	if err != nil {
		t.Fatal(err)
	}
	prefill := 1
	if !strings.Contains(build.SystemInfo, "OPENMP = 1") {
		prefill = 2 // ggml's own threads are bound in no other case, see TestBoundThreadsWithoutOpenMP
	}
	dir := filepath.Join(t.TempDir(), "run")
	t.Setenv("OMP_PROC_BIND", "true") // gives way to cpu_affinity
	code, _, stderr := llmscale("run", "--config", writeFile(t, "paced.yaml", fmt.Sprintf(pacedSweep, last, prefill, last, first)), "--models-dir", sharedModels, "--out", dir)
	if code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	said := func(v any) string {
		switch v := v.(type) {
		case *string:
			if v != nil {
				return *v
			}
		case *int:
			if v != nil {
				return fmt.Sprint(*v)
			}
		case *float64:
			if v != nil {
				return "known"
			}
		}
		return "null"
	}
	affinity := map[string]string{"bound": fmt.Sprint(last), "pair": fmt.Sprint(last, " ", first)}
	calls := 0
	for _, r := range readRuns(t, dir) {
		if r.Mode != record.ModeE2E {
			continue
		}
		calls++
		if r.Status != record.StatusOK {
			t.Fatalf("%s: %s", r.CellID, *r.Error)
		}
		pace, want := said(r.Pace)+" "+said(r.IdleMS)+" "+said(r.PrefillColdMS), "hot null known"
		if r.Backend == "b_cold" {
			want = "cold 30 null"
		}
		if broken := r.Nulls["prefill_cold_ms"] != ""; pace != want && !(broken && pace == "hot null null") {
			t.Errorf("%s: %s, want %s (%v)", r.CellID, pace, want, r.Nulls)
		}
		if want := affinity[r.Backend]; want != "" && said(r.CPUAffinity) != want {
			t.Errorf("%s: threads on %s, want %s", r.CellID, said(r.CPUAffinity), want)
		}
	}
	if calls != 8 {
		t.Errorf("%d calls", calls)
	}
}
