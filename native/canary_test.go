//go:build native

package native

import (
	"slices"
	"testing"
	"time"
)

// The canary leaves the answer alone, is timed, and comes before what the pace asks for.
func TestCanary(t *testing.T) {
	for name, path := range batchModels(t) {
		t.Run(name, func(t *testing.T) {
			m := load(t, path)
			c := newContext(t, m, ContextParams{NCtx: 128, Threads: 2, Sequences: 2})
			call := Call{Prompts: prompts(1, 2, 12, m.vocabSize()), Gen: 6}
			plain, err := c.MeasureCall(call)
			if err != nil {
				t.Fatal(err)
			}
			if plain.CanaryReadNS != 0 || plain.CanaryComputeNS != 0 {
				t.Errorf("a canary of %d and %d ns where none was asked for", plain.CanaryReadNS, plain.CanaryComputeNS)
			}
			call.Canary, call.Hot, call.HotMost = true, time.Millisecond, time.Minute
			got, err := c.MeasureCall(call)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.OutputIDs, plain.OutputIDs) {
				t.Error("another answer")
			}
			if got.CanaryReadNS <= 0 || got.CanaryComputeNS <= 0 {
				t.Errorf("a canary of %d and %d ns", got.CanaryReadNS, got.CanaryComputeNS)
			}
			if got.PrefillColdNS <= 0 {
				t.Error("no untimed prefill after the canary")
			}
		})
	}
}

// A planted slow-down makes each step as much longer as it says, and nothing else.
func TestSlowdown(t *testing.T) {
	for _, path := range batchModels(t) {
		m := load(t, path)
		c := newContext(t, m, ContextParams{NCtx: 128, Threads: 2})
		call := Call{Prompts: prompts(1, 1, 12, m.vocabSize()), Gen: 6}
		plain, err := c.MeasureCall(call)
		if err != nil {
			t.Fatal(err)
		}
		call.Slowdown = 9
		slow, err := c.MeasureCall(call)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(plain.OutputIDs, slow.OutputIDs) {
			t.Error("another answer")
		}
		// Ten times as long, whatever the machine does meanwhile: a step that was disturbed is longer still.
		if slow.PrefillNS < 3*plain.PrefillNS || slow.KVDecodeNS < 3*plain.KVDecodeNS {
			t.Errorf("prefill %d and %d ns, decode %d and %d ns", plain.PrefillNS, slow.PrefillNS, plain.KVDecodeNS, slow.KVDecodeNS)
		}
	}
	t.Setenv(EnvSlowdown, "3%")
	if _, err := Slowdown(); err == nil {
		t.Error("3% was taken for a share")
	}
	t.Setenv(EnvSlowdown, "0.03")
	if b, err := Build(); err != nil || len(b.Warnings) == 0 {
		t.Errorf("the build says nothing of it: %v, %v", b.Warnings, err)
	}
}
