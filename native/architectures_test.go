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
	"llmscale/gguf/ledger"
)

var updateAccounts = flag.Bool("update-accounts", false, "write the accounts of gguf/archs anew, those of the llama.cpp that is built in")

// TestArchitectures has llama.cpp load and decode a small model of each architecture that this program knows. Package
// archs keeps what it tells, of the newest and of Ollama's, and holds the descriptions against it; here that account is
// compared with llama.cpp's as it is now. An architecture of llama.cpp that nobody looked at fails the test.
func TestArchitectures(t *testing.T) {
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	rules := ledger.RulesOf(build.LlamaSource)
	amx := strings.Contains(build.SystemInfo, "AMX_INT8 = 1")
	if *updateAccounts && (build.LlamaSource == "checkout" || amx) {
		t.Fatal("kept is what the newest package and Ollama's llama.cpp tell, on a CPU without AMX")
	}
	models := archs.Models(t)
	kept := archs.Told(t, rules)
	for _, arch := range readArchSource(t).names {
		described := slices.ContainsFunc(models, func(m archs.Model) bool { return m.Arch == arch })
		if looked := archs.NotDescribed[arch]; described == looked && build.LlamaSource != "checkout" {
			t.Errorf("%s: this llama.cpp knows it; it has a small model: %v; it is in archs.NotDescribed: %v. Add it to native/discover_keys_test.go and run TestDiscover, or put it there", arch, described, looked)
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
		if amx && a.WeightBytes != 0 {
			a.WeightBytes = kept[a.Model].WeightBytes // some are in AMX's own buffer; TestArchitecturesRepacked looks there
		}
		switch {
		case *updateAccounts:
		case build.LlamaSource == "checkout" && a.Refused == "":
			c, err := archs.Compare(m, a, rules)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.Differences {
				t.Errorf("%s: %s", a.Model, d)
			}
		case build.LlamaSource != "checkout" && !reflect.DeepEqual(a, kept[a.Model]):
			t.Errorf("%s: llama.cpp tells\n%+v, kept is\n%+v", a.Model, a, kept[a.Model])
		}
	}
	if *updateAccounts {
		if err := os.WriteFile(filepath.Join("../gguf/archs", archs.AccountsFile(rules)), all.Bytes(), 0o666); err != nil {
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
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	accounts := archs.Told(t, ledger.RulesOf(build.LlamaSource))
	for _, m := range models {
		if accounts[m.Name()].Refused != "" {
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
			want, err := d.Memory(ledger.MemoryOptions{Context: archs.Context, UBatch: archs.UBatch, Rules: ledger.RulesOf(build.LlamaSource)})
			if err != nil {
				t.Fatal(err)
			}
			if got.model != want.Weights || got.repacked != want.Repacked {
				t.Errorf("%d bytes mapped and %d repacked; the ledger says %d and %d", got.model, got.repacked, want.Weights, want.Repacked)
			}
		})
	}
}
