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
	"llmscale/gguf/ledger"
	"llmscale/native"
	"llmscale/runner/protocol"
)

// Every architecture of llama.cpp is either loaded, and then nothing differs between the plan and llama.cpp's account, or
// refused: by its file, or else by what llama.cpp says, and then before anything is computed, on which it may abort.
func TestEveryArchitecture(t *testing.T) {
	models := archs.Models(t)
	build, err := native.Build()
	if err != nil {
		t.Fatal(err)
	}
	accounts := archs.Told(t, ledger.RulesOf(build.LlamaSource))
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
			if why := accounts[m.Name()].Refused; j.Refused == nil && why != "" {
				t.Skip(why) // it is made for the other llama.cpp
			}
			if j.Refused == nil {
				loaded++
				if err := load(t, j.Load); err != nil {
					t.Error(err)
				}
				return
			}
			refused++
			// As a new version of llama.cpp might bring it, of which the tables do not know yet.
			err := load(t, protocol.LoadSpec{ModelFile: path, NCtx: 512, NBatch: 64, NUBatch: 64, Threads: 1, ThreadsBatch: 1, Mmap: true})
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
	models := archs.Models(t)
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

// No architecture with random weights fails the self-check, except the one whose graph llama.cpp builds wrong: cogvlm's
// (src/models/cogvlm.cpp of ec98e2002 and of 0c1e57098) leaves out which tokens' logits are wanted, so that a batch
// answers with those of its first token. That is what the check is for.
func TestSelfCheckOfEveryArchitecture(t *testing.T) {
	everyArchitecture(t, 0, func(t *testing.T, m *archs.Model, _ *Native, info protocol.LoadInfo) {
		c := info.SelfCheck
		t.Logf("relative L2 %.1e of %d tokens", c.RelL2, c.Tokens)
		if wrong := c.RelL2 > protocol.SelfCheckBound; wrong != (m.Name() == "cogvlm") || c.Tokens != protocol.SelfCheckTokens {
			t.Errorf("relative L2 %.2g of %d tokens, the bound is %g", c.RelL2, c.Tokens, protocol.SelfCheckBound)
		}
	})
}

// Three sequences of every architecture come out together as they do alone, but for two whose graphs llama.cpp builds
// wrong (src/models/ of ec98e2002 and of 0c1e57098): chameleon's takes the likelihood of images away from the first
// sequence alone (ggml_set_1d), plamo2's mixes the sequences of its Mamba layers up (ssm_states_all from kv_head * n_seqs
// on). And a call at a depth is possible and, from the cache that the first one filled, repeatable to the token.
func TestBatchesOfEveryArchitecture(t *testing.T) {
	everyArchitecture(t, 3, func(t *testing.T, m *archs.Model, n *Native, info protocol.LoadInfo) {
		c := info.BatchCheck
		if m.Name() == "cogvlm" { // wrong already with one sequence, see TestSelfCheckOfEveryArchitecture
			if c == nil || c.Skipped == "" {
				t.Errorf("%+v", c)
			}
		} else if wrong := m.Name() == "chameleon" || m.Name() == "plamo2"; c == nil || c.Sequences != 3 || wrong != (c.RelL2 > c.Bound) {
			t.Errorf("%+v", c)
		}
		call := protocol.CallSpec{PromptTokens: 5, Seed: 1, GenTokens: 4, Depth: 30, DepthSeed: 2}
		var hash string
		for range 2 {
			s, err := n.Measure(call)
			if err != nil {
				t.Fatal(err)
			}
			if hash != "" && *s.OutputTokensHash != hash {
				t.Error("other tokens the second time")
			}
			hash = *s.OutputTokensHash
			if *s.BatchSize != 3 || *s.SeqLen != 5 || *s.PromptTokensRaw != 15 || len(s.OutputTokenIDs) != 12 || len(s.TokenNS) != 4 {
				t.Errorf("%d sequences of %d, %d tokens, %d answers, %d steps", *s.BatchSize, *s.SeqLen, *s.PromptTokensRaw, len(s.OutputTokenIDs), len(s.TokenNS))
			}
		}
	})
}

// everyArchitecture loads a model with random weights of each architecture that can be measured, for so many sequences
// (0: one), and has it checked under the bound of dense ones, mixtures too, which is stricter.
func everyArchitecture(t *testing.T, sequences int, test func(*testing.T, *archs.Model, *Native, protocol.LoadInfo)) {
	models := archs.Models(t)
	build, err := native.Build()
	if err != nil {
		t.Fatal(err)
	}
	accounts := archs.Told(t, ledger.RulesOf(build.LlamaSource))
	checked := 0
	for i := range models {
		m := &models[i]
		t.Run(m.Name(), func(t *testing.T) {
			if a := accounts[m.Name()]; a.Refused != "" {
				t.Skip(a.Refused)
			}
			j := &planned(t, m.Random(t)).Jobs[0]
			if j.Refused != nil {
				t.Skip(j.Refused)
			}
			j.Load.Sequences, j.Load.SelfCheck = sequences, &protocol.SelfCheckSpec{BudgetS: 60, Bound: protocol.SelfCheckBound}
			n := &Native{}
			defer n.Close()
			info, err := protocol.LoadChecked(n, j.Load, nil)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			test(t, m, n, info)
		})
	}
	if checked < 90 {
		t.Errorf("%d architectures checked", checked)
	}
}
