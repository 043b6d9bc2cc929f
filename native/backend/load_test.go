//go:build native

package backend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// model writes a small model of one layer less or more than three, with random weights.
func model(t *testing.T, dir, name string, layers int64) string {
	t.Helper()
	path := filepath.Join(dir, name+".gguf")
	if err := synth.Write(path, synth.GPT2(name, layers, 64, 4), synth.Options{Type: "f32", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return path
}

// altered is a model of three layers with other metadata.
func altered(t *testing.T, change func(values map[string]any)) string {
	t.Helper()
	return gguftest.Alter(t, model(t, t.TempDir(), "m", 3), func(values map[string]any, _ []gguf.Spec) []gguf.Spec {
		change(values)
		return nil
	})
}

// planned plans a sweep of one cell of the model at path, and hashes it.
func planned(t *testing.T, path string) *plan.Plan {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "c.yaml"), fmt.Appendf(nil,
		"run_name: r\ngen_tokens: 4\nreplicates: 1\nrepetitions: 1\nscenarios: [{name: s, prompt_tokens: 4}]\nbackends: [{name: b, kind: native, device: cpu, threads: 1}]\nmodels: [{name: m, source: %q}]\n", path))
	if err != nil {
		t.Fatal(err)
	}
	models := &modelfile.Folder{Dir: t.TempDir()}
	facts, err := plan.Look(t.Context(), cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(cfg, facts)
	if err == nil {
		err = p.Prepare(t.Context(), models)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// load loads what was planned, as a worker does.
func load(t *testing.T, spec protocol.LoadSpec) error {
	t.Helper()
	n := &Native{}
	_, err := protocol.LoadChecked(n, spec, nil)
	if closeErr := n.Close(); closeErr != nil {
		t.Error(closeErr)
	}
	return err
}

// wantFailure holds a failure of status error against what its reason must say.
func wantFailure(t *testing.T, err error, parts ...string) *record.Failure {
	t.Helper()
	var f *record.Failure
	if !errors.As(err, &f) || f.Status != record.StatusError {
		t.Fatalf("%v, want a failure of status error", err)
	}
	for _, part := range parts {
		if !strings.Contains(f.Reason, part) {
			t.Errorf("%q does not say %q", f.Reason, part)
		}
	}
	return f
}

func TestLoadIsWhatWasPlanned(t *testing.T) {
	p := planned(t, model(t, t.TempDir(), "m", 3))
	if e := p.Jobs[0].Load.Expect; e.Tensors == 0 || e.Memory != ledger.MemoryKV {
		t.Fatalf("the plan expects %+v", e)
	}
	if err := load(t, p.Jobs[0].Load); err != nil {
		t.Error(err)
	}
}

// A file that was put in the planned one's place is told as that. Where the identity does not tell, for instance on a
// file system that numbers its files anew, llama.cpp's account does, and names both sides.
func TestLoadOfAnotherFile(t *testing.T) {
	dir := t.TempDir()
	path := model(t, dir, "m", 3)
	p := planned(t, path)
	spec := p.Jobs[0].Load
	if err := os.Rename(model(t, dir, "other", 2), path); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, load(t, spec), path, "was replaced", "hashed")

	spec.Files = nil
	f := wantFailure(t, load(t, spec), path, "layers 3, llama.cpp has 2", "parameters ", "bytes of weights ", "tensors in use ", "inspect")
	if strings.Contains(f.Reason, "vocabulary") || strings.Contains(f.Reason, "trained context") {
		t.Errorf("what is equal is told as a difference: %q", f.Reason)
	}
}

// Metadata that contradict the tensors: llama.cpp refuses such files, and its own first error is the reason.
func TestLoadOfLyingMetadata(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(values map[string]any)
		want   string
	}{
		{"fewer layers", func(v map[string]any) { v["gpt2.block_count"] = uint32(1) }, "wrong number of tensors"},
		{"more layers", func(v map[string]any) { v["gpt2.block_count"] = uint32(4) }, "tensor 'blk.3."},
		{"a smaller vocabulary", func(v map[string]any) {
			tokens := v["tokenizer.ggml.tokens"].([]string)
			v["tokenizer.ggml.tokens"] = tokens[:len(tokens)-8]
			types := v["tokenizer.ggml.token_type"].([]int32)
			v["tokenizer.ggml.token_type"] = types[:len(types)-8]
		}, "wrong shape"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := altered(t, c.change)
			p := planned(t, path)
			f := wantFailure(t, load(t, p.Jobs[0].Load), c.want)
			if len(f.Stderr) == 0 {
				t.Error("llama.cpp's log is not kept")
			}
		})
	}
	// The key that llama.cpp does not read where there are tokens: the plan does not read it either.
	path := altered(t, func(v map[string]any) { v["gpt2.vocab_size"] = uint32(77) })
	if err := load(t, planned(t, path).Jobs[0].Load); err != nil {
		t.Error(err)
	}
}

// A priority reaches the threads that compute.
func TestPrio(t *testing.T) {
	path := model(t, t.TempDir(), "m", 3)
	for _, nice := range []int{0, 5} {
		n := &Native{}
		info, err := n.Load(protocol.LoadSpec{ModelFile: path, Device: "cpu", Threads: 2, NCtx: 64, NBatch: 64, NUBatch: 64, KVType: "f16", FlashAttn: "auto", Nice: nice}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Threads.Nice; got == nil || nice > 0 && *got != nice {
			t.Errorf("nice %v, want %d", got, nice)
		}
		n.Close()
	}
}
