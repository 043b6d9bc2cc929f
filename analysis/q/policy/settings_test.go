package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

func ask(t *testing.T, rows []runs.Row) *Answer { return Ask(celltest.Set(t, rows)) }

// TestOneTokenPrompt: a prompt of one token is computed by decode's threads, which is
// no mixture; other threads of prompts of one length are.
func TestOneTokenPrompt(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		rows := celltest.LengthRun(1, []int{10, 1}, 4, celltest.Affine(0, 1), nil)
		for i := range rows {
			rows[i].NThreads, rows[i].NThreadsBatch = new(2), new(3)
			if rows[i].GenTokensTarget == 1 {
				rows[i].PromptTokensRaw, rows[i].SeqLen = new(1), new(1)
			}
			if *rows[i].PromptEach() == 1 || mixed && *rows[i].Rep >= 2 {
				rows[i].NThreadsBatch = new(2)
			}
		}
		if got := slices.Contains(celltest.Codes(ask(t, rows).Warnings()), "mixed_settings"); got != mixed {
			t.Errorf("mixed %t: warned %t", mixed, got)
		}
	}
}

// TestMixedSettings: a cell that another build went on with is named.
func TestMixedSettings(t *testing.T) {
	rows := celltest.LengthRun(1, []int{10}, 4, celltest.Affine(0, 1), nil)
	if r := ask(t, rows); slices.Contains(celltest.Codes(r.Warnings()), "mixed_settings") {
		t.Fatal("warned of one build")
	}
	for i := range rows {
		if *rows[i].Rep >= 2 {
			rows[i].Session, rows[i].LlamaCommit = 1, "def"
		}
	}
	for _, w := range ask(t, rows).Warnings() {
		if w.Code == "mixed_settings" {
			if !strings.Contains(w.Text, cells.SettingProgram) || w.Where != "cpu" {
				t.Errorf("%+v", w)
			}
			return
		}
	}
	t.Error("no warning")
}

// TestBatches: a step of eight sequences takes twice as long as one of a single one.
func TestBatches(t *testing.T) {
	var rows []runs.Row
	for _, b := range []int{1, 8} {
		for _, r := range celltest.LengthRun(2, []int{10}, 4, func(_, gen, _ int) float64 { return float64(gen) * map[int]float64{1: 4, 8: 8}[b] }, nil) {
			r.Backend, r.BatchSize, r.BatchSizeConfig, r.NCtx, r.Line = fmt.Sprintf("cpu_b%d", b), new(b), b, 256*b, len(rows)+1
			r.PromptTokenIDs, r.OutputTokenIDs = make([]int32, *r.SeqLen*b), make([]int32, *r.GenTokensRaw*b)
			if b == 8 && r.CallIdx == 2 {
				r.OutputTokenIDs[3] = 1 // the first sequence's fourth token
			} else if b == 8 && r.CallIdx == 1 {
				r.OutputTokenIDs[*r.GenTokensRaw] = 1 // another sequence's
			}
			rows = append(rows, r)
		}
	}
	res := ask(t, rows)
	if len(res.Batches) != 4 {
		t.Fatalf("%+v", res.Batches)
	}
	for _, b := range res.Batches {
		if b.BatchSize == 1 {
			if b.StepMS != 4 || b.TokensPerS != 250 || b.EachPerS != 250 || b.Base != "" || b.StepRatio != nil {
				t.Errorf("%+v", b)
			}
			continue
		}
		if b.StepMS != 8 || b.TokensPerS != 1000 || b.EachPerS != 125 || b.Base != "cpu_b1" || *b.PrefillMS != 5 {
			t.Errorf("%+v", b)
		}
		if b.Compared != b.N || b.Same != b.N-1 || b.FirstDifference == nil || *b.FirstDifference != 3 {
			t.Errorf("%d of %d answers compared, %d the same, another from %v on", b.Compared, b.N, b.Same, b.FirstDifference)
		}
		celltest.Near(t, "step", b.StepRatio, 2, 1e-9)
		celltest.Near(t, "all", b.AllRatio, 4, 1e-9)
		if b.AllCI == nil || b.AllCI.Low > 4 || b.AllCI.High < 4 || b.StepCI.Low > 2 || b.StepCI.High < 2 {
			t.Errorf("%+v", b)
		}
	}
	if r := ask(t, rows[:len(rows)/2]); len(r.Batches) > 0 {
		t.Errorf("one batch size: %+v", r.Batches)
	}
}
