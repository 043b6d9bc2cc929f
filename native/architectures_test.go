//go:build native

package native

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/archs"
)

var updateAccounts = flag.Bool("update-accounts", false, "write gguf/archs/accounts.jsonl anew")

// elsewhere has the models whose files are others for newer versions of llama.cpp, and why; docs/models.md lists them.
var elsewhere = map[string]string{
	"lfm2": "calls the last norm otherwise", "lfm2moe": "calls the last norm otherwise",
	"llama wide heads": "has biases of the heads' width",
	"nemotron_h":       "has another key for the norms' epsilon", "nemotron_h_moe": "has another key for the norms' epsilon",
	"solar": "is not known any more", "solar skips": "is not known any more",
	"wavtokenizer-dec": "tells the width of what comes out",
}

// TestArchitectures has llama.cpp load and decode a small model of each architecture that it knows. Package archs
// keeps what it tells, and holds the descriptions against it; here that account is compared with llama.cpp's as it
// is now. An architecture of llama.cpp that has no model fails the test.
func TestArchitectures(t *testing.T) {
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	pinned := gguf.RulesOf(build.LlamaSource) == gguf.Ollama
	if *updateAccounts && !pinned {
		t.Fatal("the account that is kept is the pinned llama.cpp's")
	}
	models := archs.Models(t)
	kept := archs.Told(t)
	for _, arch := range readArchSource(t).names {
		if !slices.ContainsFunc(models, func(m archs.Model) bool { return m.Arch == arch }) && pinned {
			t.Errorf("%s: this llama.cpp knows it, and it is not covered: add it to native/discover_keys_test.go and run TestDiscover", arch)
		}
	}
	p := &prober{t: t}
	defer p.end()
	var all bytes.Buffer
	lines := json.NewEncoder(&all)
	lines.SetEscapeHTML(false)
	for i := range models {
		m := &models[i]
		r := p.probe(m, true)
		if strings.HasPrefix(r.Err, died) {
			r.Account = p.probe(m, false).Account
		}
		a := r.Account
		a.Model = m.Name()
		if r.Err != "" {
			a.Refused = refusal(r.Err)
		}
		if err := lines.Encode(a); err != nil {
			t.Fatal(err)
		}
		switch {
		case *updateAccounts:
		case pinned && !reflect.DeepEqual(a, kept[a.Model]):
			t.Errorf("%s: llama.cpp tells\n%+v, kept is\n%+v", a.Model, a, kept[a.Model])
		case !pinned && elsewhere[a.Model] == "":
			here, err := archs.Compare(m, a, gguf.Newest)
			if err != nil {
				t.Fatal(err)
			}
			there, err := archs.Compare(m, kept[a.Model], gguf.Ollama)
			if err != nil {
				t.Fatal(err)
			}
			if here.Refused != there.Refused {
				t.Errorf("%s: refused here with %q, by the pinned llama.cpp with %q", a.Model, here.Refused, there.Refused)
			}
			for _, d := range here.Differences {
				t.Errorf("%s: %s", a.Model, d)
			}
		}
	}
	if *updateAccounts {
		if err := os.WriteFile("../gguf/archs/accounts.jsonl", all.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// refusal is the essence of an error, without what changes from machine to machine.
func refusal(err string) string {
	if _, assertion, ok := strings.Cut(err, "GGML_ASSERT"); ok {
		return "llama.cpp ends the process: GGML_ASSERT" + strings.TrimSuffix(assertion, " failed")
	}
	if rest, ok := strings.CutPrefix(err, died); ok {
		return "llama.cpp ends the process: " + rest
	}
	if _, reason, ok := strings.Cut(err, "error loading model: "); ok {
		if end := strings.IndexAny(reason, ";)"); end >= 0 {
			reason = reason[:end]
		}
		return reason
	}
	err = strings.TrimPrefix(err, "native: load: ")
	err, _, _ = strings.Cut(err, " (")
	return err
}

// TestTensorsThatNoArchitectureHas: llama.cpp refuses a file with tensors beyond its architecture's, of an encoder of
// images or of a layer too many, which is what the description's notes say.
func TestTensorsThatNoArchitectureHas(t *testing.T) {
	models := archs.Models(t)
	i := slices.IndexFunc(models, func(m archs.Model) bool { return m.Arch == "gemma3" })
	for _, name := range []string{"v.blk.0.attn_q.weight", "mm.input_projection.weight", "blk.7.attn_q.weight"} {
		m := models[i]
		m.Tensors = append(slices.Clip(m.Tensors), gguf.Spec{Name: name, Type: gguf.F32, Dims: []int64{32, 32}})
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := m.Write(path); err != nil {
			t.Fatal(err)
		}
		d, err := m.Describe()
		if notes := strings.Join(d.Notes, "\n"); err != nil || !strings.Contains(notes, "llama.cpp refuses the file") {
			t.Errorf("%s: notes %q, %v", name, d.Notes, err)
		}
		if without, err := models[i].Describe(); err != nil || d.BytesReadPerToken != without.BytesReadPerToken || d.ParamsActive != without.ParamsActive || d.WeightBytes != without.WeightBytes+4096 {
			t.Errorf("%s: %d bytes read of %d; without it %d of %d", name, d.BytesReadPerToken, d.WeightBytes, without.BytesReadPerToken, without.WeightBytes)
		}
		if m, err := Load(path, ModelParams{}); err == nil {
			m.Close()
			t.Errorf("llama.cpp loads a file with %s", name)
		}
	}
}

// TestArchitecturesRepacked: with weights in q4_0, of which llama.cpp copies some into an order of its own, what it
// maps and what it copies is what the ledger says.
func TestArchitecturesRepacked(t *testing.T) {
	models := archs.Models(t)
	accounts := archs.Told(t)
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		if accounts[m.Name()].Refused != "" || gguf.RulesOf(build.LlamaSource) == gguf.Newest && elsewhere[m.Name()] != "" {
			continue
		}
		t.Run(m.Name(), func(t *testing.T) {
			m.Tensors = slices.Clone(m.Tensors)
			for i := range m.Tensors {
				if s := &m.Tensors[i]; s.Type == gguf.F16 && s.Dims[0]%32 == 0 {
					s.Type = gguf.Q4_0
				}
			}
			path := filepath.Join(t.TempDir(), "model.gguf")
			if err := m.Write(path); err != nil {
				t.Fatal(err)
			}
			d := describe(t, path)
			loaded, err := Load(path, ModelParams{Mmap: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { loaded.Close() }) // after the context's
			got := accounted(t, newContext(t, loaded, ContextParams{NCtx: archs.Context, NUBatch: archs.UBatch, Threads: 1}))
			want, err := d.Memory(gguf.MemoryOptions{Context: archs.Context, UBatch: archs.UBatch, Rules: gguf.RulesOf(build.LlamaSource)})
			if err != nil {
				t.Fatal(err)
			}
			if got.model != want.Weights || got.repacked != want.Repacked {
				t.Errorf("%d bytes mapped and %d repacked; the ledger says %d and %d", got.model, got.repacked, want.Weights, want.Repacked)
			}
		})
	}
}
