//go:build native

package backend

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/archs"
	"llmscale/gguf/gguftest"
	"llmscale/native"
	"llmscale/runner"
)

// Every architecture of llama.cpp is either loaded, and then nothing differs between the plan and llama.cpp's account, or
// refused: by its file, or else by what llama.cpp says, and then before anything is computed, on which it may abort.
func TestEveryArchitecture(t *testing.T) {
	models, err := archs.All()
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := archs.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	build, err := native.Build()
	if err != nil {
		t.Fatal(err)
	}
	pinned := build.LlamaSource == "module"
	loaded, refused := 0, 0
	for i := range models {
		m := &models[i]
		t.Run(m.Name(), func(t *testing.T) {
			if a := accounts[m.Name()]; strings.Contains(a.Refused, "ends the process") {
				t.Skip(a.Refused) // which costs a worker, and here would the test
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := m.Write(path); err != nil {
				t.Fatal(err)
			}
			j := &planned(t, path).Jobs[0]
			if j.Refused == nil {
				loaded++
				err := load(t, j.Load)
				if err != nil && !pinned && strings.Contains(err.Error(), "could not load the file") {
					t.Skip(err) // the models are made for the pinned one: another may want further keys and tensors
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused++
			// As a new version of llama.cpp might bring it, of which the tables do not know yet.
			err := load(t, runner.LoadSpec{ModelFile: path, NCtx: 512, NBatch: 64, NUBatch: 64, Threads: 1, ThreadsBatch: 1, Mmap: true})
			if err == nil {
				t.Errorf("%s: and llama.cpp loads it as if it could", j.Refused.Reason)
			} else if f := wantFailure(t, err); !strings.Contains(f.Reason, "cannot be measured") && len(f.Stderr) == 0 && !strings.Contains(f.Reason, "decoder-only") {
				t.Errorf("refused by %q", f.Reason)
			}
		})
	}
	if loaded < 90 || refused < 10 {
		t.Errorf("%d loaded and %d refused", loaded, refused)
	}
}

// A decoder that was trained for embeddings, of which the file says nothing but how its tokens are pooled.
func TestModelThatPools(t *testing.T) {
	models, err := archs.All()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(models, func(m archs.Model) bool { return m.Name() == "qwen3" })
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := models[i].Write(path); err != nil {
		t.Fatal(err)
	}
	const none, last = 0, 3 // llama.h, enum llama_pooling_type
	for pooling, refused := range map[uint32]bool{none: false, last: true} {
		altered := gguftest.Alter(t, path, func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
			v["qwen3.pooling_type"] = pooling
			return nil
		})
		err := load(t, planned(t, altered).Jobs[0].Load)
		if refused {
			wantFailure(t, err, "cannot be measured: it only embeds")
		} else if err != nil {
			t.Errorf("pooling type %d: %v", pooling, err)
		}
	}
}
