package runner

import (
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// A model that cannot decode from a cache costs its own cells, with the reason, and no worker is started for it.
func TestRefusedModel(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, own, 2)
	embeds := gguftest.Alter(t, own, func(v map[string]any, _ []gguf.Spec) []gguf.Spec {
		v["gpt2.attention.causal"] = false
		return nil
	})
	p, models := ownPlan(t, embeds)
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	_, sum, records, q := execute(t, p, workertest.Command(t, ""))
	checkOnlyOwnFails(t, sum, records, false, embeds, "cannot be measured", "not causal")
	if sum.Failed() != 1 {
		t.Errorf("%d cells failed", sum.Failed())
	}
	if notes := strings.Join(q.notes, "\n"); !strings.Contains(notes, "not causal") {
		t.Errorf("notes: %s", notes)
	}
	for _, r := range records {
		if r.Status == record.StatusError && r.Architecture != "gpt2" {
			t.Errorf("the record of the refused model does not describe it: %+v", r.ModelFacts)
		}
	}
}
