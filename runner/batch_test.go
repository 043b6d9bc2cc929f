package runner

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

const batchConfig = `run_name: test
gen_tokens: 3
replicates: 1
repetitions: 2
warmup_repetitions: 1
seed: 7
cell_timeout_s: 20
scenarios: [{name: s, prompt_tokens: 5, depth: [0, 300]}]
backends: [{name: cpu, dtype: f32, threads: 1, batch_size: [1, 4]}]
models: [{name: a, source: "synth:tiny-gpt2"}]
`

// The records of a batch say what all of it and what each sequence did, and those of a depth how deep it was.
func TestBatchesOnRecord(t *testing.T) {
	p := testPlan(t, batchConfig)
	_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	if sum.ByStatus[record.StatusOK] != 4 || len(records) != 4*3*3 {
		t.Fatalf("%+v, %d records", sum, len(records))
	}
	firsts := map[string][]int32{}
	for _, r := range records {
		batch, depth := 1, 0
		if strings.Contains(r.CellID, "cpu_bs4") {
			batch = 4
		}
		if strings.Contains(r.CellID, "s_d300") {
			depth = 300
		}
		tokens := map[string]int{record.ModePrefill: 5 * batch, record.ModeDecode: 3 * batch, record.ModeE2E: 8 * batch}[r.Mode]
		rate := float64(tokens) / (*r.LatencyMS / 1e3)
		if r.BatchSizeConfig != batch || *r.BatchSize != batch || r.Depth != depth || *r.SeqLen != 5 || *r.PromptTokensRaw != 5*batch || *r.GenTokensRaw != 3 || *r.GenTokens != 3 ||
			*r.TokensTotal != tokens || math.Abs(*r.TokensPerS/rate-1) > 1e-12 || math.Abs(*r.TokensPerSEach*float64(batch)/rate-1) > 1e-12 {
			t.Errorf("%s %s: batch %d of %d, depth %d, %d x %d tokens, %d steps, %d in all, %g and %g per second", r.CellID, r.Mode,
				*r.BatchSize, r.BatchSizeConfig, r.Depth, *r.PromptTokensRaw, *r.SeqLen, *r.GenTokensRaw, *r.TokensTotal, *r.TokensPerS, *r.TokensPerSEach)
		}
		// 308 tokens, in steps of 256 for each sequence.
		if r.NCtx != 512*batch || *r.ContextBytes != int64(r.NCtx)*r.KVBytesPerToken {
			t.Errorf("%s: %d tokens of context in %d bytes", r.CellID, r.NCtx, *r.ContextBytes)
		}
		if (batch > 1) != (r.BatchCheckRelL2 != nil) || batch > 1 && (*r.BatchCheckSequences != 4 || r.BatchFirstDifference != nil || r.Nulls["batch_first_difference"] == "") {
			t.Errorf("%s: %v, %v, %v", r.CellID, r.BatchCheckRelL2, r.BatchCheckSequences, r.Nulls)
		}
		if filled := fmt.Sprintf("300 tokens of seed %d", protocol.DepthSeed(7)); (depth > 0) != (r.OutputText != nil) || depth > 0 && *r.OutputText != filled {
			t.Errorf("%s: %v, want %s in each call", r.CellID, r.OutputText, filled)
		}
		// The first sequence has the prompt that it has alone, the others have their own.
		ids, call := r.PromptTokenIDs, fmt.Sprint(r.Scenario, r.CallIdx)
		if other, ok := firsts[call]; ok && !slices.Equal(other, ids[:5]) {
			t.Errorf("%s: %v and %v", r.CellID, other, ids[:5])
		}
		firsts[call] = ids[:5]
		if batch > 1 && slices.Equal(ids[:5], ids[5:10]) {
			t.Errorf("%s: two sequences have one prompt: %v", r.CellID, ids)
		}
	}
}

func TestBatchCheckVerdict(t *testing.T) {
	p := testPlan(t, batchConfig)
	_, _, records, progress := execute(t, p, workertest.Command(t, "mixed up"))
	for _, r := range records {
		wrong := r.BatchSizeConfig == 4
		if wrong != (r.Verdict != nil) || wrong && (record.ReasonOf(r.VerdictReasons[0]) != record.WrongResults || !strings.Contains(r.VerdictReasons[0], "1.4, above 0.1") || *r.BatchFirstDifference != 0) {
			t.Errorf("%s: %v %q", r.CellID, r.Verdict, r.VerdictReasons)
		}
	}
	if notes := progress.failures(); len(notes) != 1 || !strings.Contains(notes[0], "a/cpu_bs4: INVALID: self-check: a sequence in a batch") {
		t.Errorf("%q", notes)
	}
	_, _, records, _ = execute(t, p, workertest.Command(t, "slow"))
	for _, r := range records {
		if r.BatchSizeConfig == 4 && (r.Verdict != nil || r.BatchCheckRelL2 != nil || r.Nulls["batch_check_rel_l2"] != "no time for the batch") {
			t.Errorf("%s: %v, %v", r.CellID, r.Verdict, r.Nulls)
		}
	}
}

// What a plan asks for holds the sequences and their depth; it is refused where there is no room for them.
func TestPlanOfBatches(t *testing.T) {
	for _, c := range []struct {
		change        []string
		nCtx, nSeq    int
		refused, warn string
	}{
		{nil, 512, 4, "", ""},
		{[]string{"gen_tokens: 3", "gen_tokens: 600"}, 1024, 4, "", ""},
		{[]string{"[0, 300]", "[0, 1017]"}, 0, 0, "1024 positions: a depth of 1017 tokens, a prompt of 5 tokens and 3 decode steps", ""},
		{[]string{"synth:tiny-gpt2", "ladder:llama/5m", "[0, 300]", "[0, 10_000]"}, 10_240, 4, "", "10000 tokens of depth, 5 tokens of prompt and 3 generated are more than the 8192"},
	} {
		cfg, err := config.Parse("x.yaml", []byte(strings.NewReplacer(c.change...).Replace(batchConfig)))
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPlan(cfg, testModels(), &worker.Programs{})
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%v, want %q", err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		one, many := p.Jobs[0], p.Jobs[1]
		if one.Backend.BatchSize > 1 {
			one, many = many, one
		}
		if one.Load.Sequences != 0 || many.Load.Sequences != c.nSeq || one.Load.NCtx != c.nCtx || many.Load.NCtx != c.nCtx {
			t.Errorf("%+v and %+v", one.Load, many.Load)
		}
		if many.Memory.KV != 4*one.Memory.KV || many.Memory.Output != 4*one.Memory.Output || many.Memory.Resident <= one.Memory.Resident {
			t.Errorf("%+v and %+v", one.Memory, many.Memory)
		}
		if told := fmt.Sprint(p.WarningsOn(64, 64, 64)); !strings.Contains(told, c.warn) {
			t.Errorf("%s, want %q", told, c.warn)
		}
	}
}

// A run of batches that is interrupted goes on with what is left.
func TestInterruptedBatches(t *testing.T) {
	p := testPlan(t, batchConfig)
	ctx, stop := context.WithCancel(t.Context())
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Progress = &stopAfter{n: 5, stop: stop}
	if sum := finishUntil(t, ctx, r); !sum.Interrupted || sum.Records != 5*len(record.Modes) {
		t.Errorf("%+v, want 5 calls kept", sum)
	}
	if sum := finish(t, resumeRun(t, p, dir, workertest.Command(t, ""))); sum.Interrupted || sum.Failed() != 0 {
		t.Errorf("%+v", sum)
	}
	checkComplete(t, p, readRecords(t, dir))
}
