//go:build native

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/profile"
	"llmscale/native"
	"llmscale/native/profiler"
)

// profiled runs `llmscale profile` and returns its two files.
func profiled(t *testing.T, args ...string) (doc profiler.Document, trace []map[string]any, stdout string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	code, stdout, stderr := llmscale(append([]string{"profile", "--models-dir", sharedModels, "-o", dir}, args...)...)
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	data, err := os.ReadFile(filepath.Join(dir, "profile.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, "trace.json")); err != nil {
		t.Fatal(err)
	}
	var events struct {
		TraceEvents []map[string]any `json:"traceEvents"`
	}
	if err := json.Unmarshal(data, &events); err != nil {
		t.Fatal(err)
	}
	// Beside the two files there is nothing: no record that an analysis could take for a measurement.
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
	if code, _, stderr := llmscale("profile", "--models-dir", sharedModels, "-o", dir, "synth:tiny-gpt2"); code != exitUsage || !strings.Contains(stderr, "is there already") {
		t.Errorf("a profile over another: exit code %d, %s", code, stderr)
	}
	return doc, events.TraceEvents, stdout
}

func TestProfileCPU(t *testing.T) {
	const gen, reps = 5, 2
	doc, trace, stdout := profiled(t, "synth:gpt2-1m", "--dtype", "f16", "--prompt-tokens", "12", "--gen-tokens", "5", "--repetitions", "2", "--threads", "1", "--rows", "3")
	if doc.Device != "cpu" || doc.GPU != nil || doc.CUDAGraphs != nil || doc.PromptTokens != 12 || doc.GenTokens != gen || doc.Threads != 1 || doc.SHA256 == "" {
		t.Errorf("%+v", doc)
	}
	if len(doc.UnprofiledPrefillNS) != reps || len(doc.UnprofiledTokenNS) != reps*gen {
		t.Errorf("%d unprofiled prefills, %d decode steps", len(doc.UnprofiledPrefillNS), len(doc.UnprofiledTokenNS))
	}
	if len(doc.Profile.Phases) != 2 {
		t.Fatalf("%d phases", len(doc.Profile.Phases))
	}
	ops := 0
	for i, want := range []struct{ steps, tokens int }{{1, 12}, {gen, 1}} {
		ph := doc.Profile.Phases[i]
		if ph.Steps != want.steps || ph.TokensPerStep != want.tokens || ph.ProfilingRatio == nil || *ph.ProfilingRatio <= 0 {
			t.Errorf("%s: %d steps of %d tokens, ratio %v", ph.Name, ph.Steps, ph.TokensPerStep, ph.ProfilingRatio)
		}
		head, total := 0, int64(0)
		for _, r := range ph.Rows {
			ops += r.Count
			total += r.TotalNS
			if r.Kind != profile.Op {
				t.Errorf("%s: a %s on the CPU", ph.Name, r.Kind)
			}
			if r.Name == "MUL_MAT" && strings.HasSuffix(r.Class, "→50257") {
				head += r.Count
			}
		}
		if head != want.steps {
			t.Errorf("%s: the head is multiplied %d times in %d steps", ph.Name, head, want.steps)
		}
		// One after the other: nothing overlaps.
		if total != ph.WorkNS || ph.BusyNS != ph.WorkNS {
			t.Errorf("%s: operations of %d ns, work %d, busy %d", ph.Name, total, ph.WorkNS, ph.BusyNS)
		}
	}
	inTrace := 0
	for _, e := range trace {
		if e["cat"] == profile.Op {
			inTrace++
		}
	}
	if inTrace != ops {
		t.Errorf("%d operations in the trace, %d in the table", inTrace, ops)
	}
	for _, want := range []string{"prefill: 1 step of 12 tokens", "decode: 5 steps of 1 token", "MUL_MAT f16", "others", "trace.json"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table has no %q:\n%s", want, stdout)
		}
	}

	code, stdout, stderr := llmscale("profile", "--models-dir", sharedModels, "-o", t.TempDir(), "--json", "synth:tiny-gpt2", "--prompt-tokens", "3", "--gen-tokens", "1", "--threads", "1")
	if code != exitDone {
		t.Fatal(stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || doc.Model != "synth:tiny-gpt2" {
		t.Errorf("--json: %v\n%s", err, stdout)
	}
}

// TestProfileGPU needs a GPU and CUPTI; it is skipped elsewhere.
func TestProfileGPU(t *testing.T) {
	if !native.HasGPU() {
		t.Skip("waived: there is no GPU that this build can use")
	}
	for name, flag := range map[string]string{"graphs": "--no-cuda-graphs=false", "launches": "--no-cuda-graphs"} {
		doc, trace, _ := profiled(t, "synth:gpt2-5m", "--device", "cuda", flag, "--dtype", "f16", "--prompt-tokens", "64", "--gen-tokens", "16")
		inGraphs := 0
		for _, e := range trace {
			if args, _ := e["args"].(map[string]any); e["cat"] == profile.Kernel && args["graph_node"] != nil {
				inGraphs++
			}
		}
		dec := doc.Profile.Phases[1]
		t.Logf("%s: %d to %d kernels per token, %d of %d in graphs, busy %.0f %%", name, dec.PerStepMin, dec.PerStepMax, inGraphs, dec.PerStepMin*dec.Steps, 100*dec.BusyShare)
		if !doc.Profile.Complete || doc.GPU == nil || dec.PerStepMin < 10 || dec.PerStepMax > 2*dec.PerStepMin {
			t.Errorf("%s: %+v", name, dec)
		}
		if name == "launches" && inGraphs > 0 || name == "graphs" && inGraphs == 0 {
			t.Errorf("%s: %d kernels in graphs", name, inGraphs)
		}
	}
}
