package plan

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"testing"

	"llmscale/gguf/ledger"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

func TestCallSecondsOfBatches(t *testing.T) {
	j := &Job{Backend: config.Backend{UBatchTokens: 100, BatchSize: 10}, KVBytes: 1000}
	j.Model.Desc = ledger.Description{BytesReadPerToken: 1e9 - smallModelFloor, ParamsActive: 5e8, ParamsTotal: 5e8}
	r := Rates{ReadBytesPerS: 1e10, FlopPerS: 3e12} // a step reads for 0.1 s and computes for 0.01
	prefill, decode := j.callSeconds(config.Scenario{PromptTokens: 20, Depth: 1000}, 2, r)
	if !near(prefill, 0.2) || !near(decode, 2*(0.1+10*1e3*(1000+20+1)/1e10)) {
		t.Errorf("%g and %g s", prefill, decode)
	}
	if fill := j.fillSeconds(config.Scenario{Depth: 1000}, r); !near(fill, 10) {
		t.Errorf("filling takes %g s", fill)
	}
	if _, decode := j.callSeconds(config.Scenario{PromptTokens: 20}, 1, Rates{ReadBytesPerS: 1e10, FlopPerS: 3e10}); !near(decode, 1) {
		t.Errorf("a step that computes longer than it reads takes %g s", decode)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

func TestCallSeconds(t *testing.T) {
	j := &Job{Backend: config.Backend{UBatchTokens: 100}, KVBytes: 1000}
	j.Model.Desc = ledger.Description{BytesReadPerToken: 1e9 - smallModelFloor, ParamsActive: 5e8}
	r := Rates{ReadBytesPerS: 1e10, FlopPerS: 3e11} // a read of the weights: 0.1 s; 1e11 operations of a prompt per second
	for _, c := range []struct {
		prompt, gen     int
		prefill, decode float64
	}{
		{1, 1, 0.1, 0.1 + 1.5e3/1e10},       // as long as one read
		{10, 0, 0.1, 0},                     // 1e10 operations take as long
		{20, 0, 0.2, 0},                     // computing takes longer
		{100, 10, 1, 1 + 10*1.05e5/1e10},    // one ubatch
		{1000, 10, 10, 1 + 10*1.005e6/1e10}, // the cache is read too
	} {
		prefill, decode := j.callSeconds(config.Scenario{PromptTokens: c.prompt}, c.gen, r)
		if !near(prefill, c.prefill) || !near(decode, c.decode) {
			t.Errorf("prompt %d, gen %d: %g and %g s, want %g and %g", c.prompt, c.gen, prefill, decode, c.prefill, c.decode)
		}
	}
	fast := Rates{ReadBytesPerS: 1e10, FlopPerS: 1e18}
	if prefill, _ := j.callSeconds(config.Scenario{PromptTokens: 250}, 1, fast); !near(prefill, 0.3) {
		t.Errorf("three ubatches read the weights three times: %g s", prefill)
	}
}

// What comes before a call costs as much as the pause, or as the untimed work: at least its time, at most HotMost.
func TestPaceSeconds(t *testing.T) {
	for _, c := range []struct {
		load          protocol.LoadSpec
		prefill, want float64
	}{
		{protocol.LoadSpec{}, 1, 0},
		{protocol.LoadSpec{IdleMS: 50}, 1, 0.05},
		{protocol.LoadSpec{HotMS: 20}, 0.001, 0.02},
		{protocol.LoadSpec{HotMS: 20}, 0.1, 0.1},
		{protocol.LoadSpec{HotMS: 20}, 10, 0.2},
	} {
		if got := (&Job{Load: c.load}).paceSeconds(c.prefill); !near(got, c.want) {
			t.Errorf("%+v: %g s", c, got)
		}
	}
}

func TestAbout(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 0.04: "0s", 1.26: "1.3s", 12.4: "12s", 60: "1m", 119.7: "2m", 725: "12m", 3600: "1h", 5400: "1h30m", 86400: "24h"} {
		if got := About(s); got != want {
			t.Errorf("%g s: %s, want %s", s, got, want)
		}
	}
}

// TestEstimateOfAMeasuredRun holds the guess against a run in results/, from whose machine it has the rates: over all
// cells together it is of the right size, and so are its parts.
func TestEstimateOfAMeasuredRun(t *testing.T) {
	const dir = "../../results/2026-11-23-ollama-check-xeon-2-cores/"
	f, err := ceilings.Load(dir + ceilings.FileName)
	if err != nil {
		t.Fatal(err)
	}
	rates := map[int]Rates{}
	for _, d := range f.Devices {
		all := ceilings.ReadRates(d)
		rates[d.Threads] = Rates{all[len(all)-1].BytesPerS, d.Compute[0].FlopPerS}
	}
	in, err := os.Open(dir + "runs.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	unzipped, err := gzip.NewReader(bufio.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	var guess, took [2]float64 // prefill, decode
	calls := 0
	for dec := json.NewDecoder(unzipped); ; {
		var r record.Record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if r.BackendKind != config.KindNative || r.Mode != record.ModePrefill || r.Status != record.StatusOK {
			continue
		}
		j := &Job{Backend: config.Backend{UBatchTokens: r.NUBatch}, KVBytes: r.KVBytesPerToken}
		j.Model.Desc = ledger.Description{BytesReadPerToken: r.BytesPerToken, ParamsActive: r.ParamsActive}
		prefill, decode := j.callSeconds(config.Scenario{PromptTokens: *r.PromptTokensRaw}, r.GenTokensTarget, rates[*r.NThreads])
		guess[0], guess[1] = guess[0]+prefill, guess[1]+decode
		took[0], took[1] = took[0]+*r.PrefillMS/1e3, took[1]+*r.KVDecodeMS/1e3
		calls++
	}
	for i, what := range []string{"prefill", "decode"} {
		said := fmt.Sprintf("%s of %d calls: guessed %.0f s, took %.0f s", what, calls, guess[i], took[i])
		t.Log(said)
		if ratio := guess[i] / took[i]; calls < 100 || !(ratio > 0.5 && ratio < 2) {
			t.Error(said)
		}
	}
}
