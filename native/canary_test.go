//go:build native

package native

import (
	"math"
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
			if plain.CanaryReadNS != 0 || plain.CanaryComputeNS != 0 || plain.CanarySyncNS != 0 {
				t.Errorf("a canary of %d, %d and %v ns where none was asked for", plain.CanaryReadNS, plain.CanaryComputeNS, plain.CanarySyncNS)
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
			if got.CanarySyncNS < 5 || got.CanarySyncNS > 1e9 { // beside other programs a meeting takes a time slice
				t.Errorf("two threads meet in %v ns", got.CanarySyncNS)
			}
			if got.PrefillColdNS <= 0 {
				t.Error("no untimed prefill after the canary")
			}
			one, err := newContext(t, m, ContextParams{NCtx: 128, Threads: 1, Sequences: 2}).MeasureCall(call)
			if err != nil {
				t.Fatal(err)
			}
			if one.CanarySyncNS != 0 || one.CanaryComputeNS <= 0 {
				t.Errorf("one thread meets itself in %v ns and computes in %d", one.CanarySyncNS, one.CanaryComputeNS)
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
		// The fastest of several: a busy machine makes some calls longer, and none shorter.
		fastest := func() (prefill, step int64, ids []int32) {
			prefill, step = math.MaxInt64, math.MaxInt64
			for range 5 {
				m, err := c.MeasureCall(call)
				if err != nil {
					t.Fatal(err)
				}
				prefill, step, ids = min(prefill, m.PrefillNS), min(step, slices.Min(m.TokenNS)), m.OutputIDs
			}
			return prefill, step, ids
		}
		prefill, step, ids := fastest()
		call.Slowdown = 9
		slowPrefill, slowStep, slowIDs := fastest()
		if !slices.Equal(ids, slowIDs) {
			t.Error("another answer")
		}
		if slowPrefill < 2*prefill || slowStep < 2*step { // ten times, but for the machine
			t.Errorf("prefill %d and %d ns, steps %d and %d ns", prefill, slowPrefill, step, slowStep)
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
