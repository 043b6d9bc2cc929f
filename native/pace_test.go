//go:build native

package native

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What comes before a call leaves its answers alone, takes the time that it should, and is in none of the call's times.
func TestPace(t *testing.T) {
	for name, path := range batchModels(t) {
		t.Run(name, func(t *testing.T) {
			m := load(t, path)
			c := newContext(t, m, ContextParams{NCtx: 128, Threads: 2, Sequences: 2})
			vocab := m.vocabSize()
			for _, depth := range []int{0, 20} {
				call := Call{Prompts: prompts(1, 2, 12, vocab), Past: prompts(2, 2, depth, vocab), Gen: 6}
				if depth == 0 {
					call.Past = nil
				}
				plain, err := c.MeasureCall(call)
				if err != nil {
					t.Fatal(err)
				}
				if plain.PrefillColdNS != 0 {
					t.Errorf("depth %d: a cold prefill of %d ns where none was asked for", depth, plain.PrefillColdNS)
				}
				for _, p := range []struct {
					what               string
					hot, hotMost, idle time.Duration
					least              time.Duration // that the call takes in all, at least
					cold               bool          // its first untimed prefill is known
				}{
					{"hot", 20 * time.Millisecond, time.Minute, 0, 20 * time.Millisecond, true},
					{"broken off", 20 * time.Millisecond, time.Nanosecond, 0, 0, false},
					{"cold", 0, 0, 20 * time.Millisecond, 20 * time.Millisecond, false},
				} {
					paced := call
					paced.Hot, paced.HotMost, paced.Idle = p.hot, p.hotMost, p.idle
					said := logs.capture()
					start := time.Now()
					got, err := c.MeasureCall(paced)
					if err != nil {
						t.Fatalf("%s at depth %d: %v", p.what, depth, err)
					}
					took := time.Since(start)
					if lines, _ := said.end(); len(lines) > 0 {
						t.Errorf("%s at depth %d: llama.cpp logs %q", p.what, depth, lines)
					}
					if !slices.Equal(got.OutputIDs, plain.OutputIDs) {
						t.Errorf("%s at depth %d: another answer", p.what, depth)
					}
					if (got.PrefillColdNS > 0) != p.cold {
						t.Errorf("%s at depth %d: a cold prefill of %d ns", p.what, depth, got.PrefillColdNS)
					}
					if timed := time.Duration(got.E2ENS); took-timed < p.least {
						t.Errorf("%s at depth %d: %v, of which %v are timed: the rest is less than %v", p.what, depth, took, timed, p.least)
					}
				}
				if depth > 0 { // filled anew, which the limit of untimed work is not for
					call.Past, call.Hot, call.HotMost = prompts(3, 2, depth, vocab), 20*time.Millisecond, time.Minute
					got, err := c.MeasureCall(call)
					if err != nil {
						t.Fatal(err)
					}
					if got.PrefillColdNS != 0 {
						t.Errorf("right after the cache was filled: a cold prefill of %d ns", got.PrefillColdNS)
					}
				}
			}
		})
	}
}

// An untimed prefill that fails is an error like any other.
func TestPaceOfACallThatDoesNotFit(t *testing.T) {
	c := newContext(t, load(t, writeModel(t, smallModel, "f32")), ContextParams{NCtx: 256})
	_, err := c.MeasureCall(Call{Prompts: [][]int32{make([]int32, 300)}, Gen: 1, Hot: time.Millisecond, HotMost: time.Second})
	if !errors.Is(err, ErrKVFull) {
		t.Error(err)
	}
}

// The only thread of a team is bound without OpenMP, which starts none. TestSweepBound in cmd/llmscale has the others.
func TestBoundThread(t *testing.T) {
	all := cpus(t)
	last := all[len(all)-1]
	c := newContext(t, load(t, writeModel(t, smallModel, "f32")), ContextParams{NCtx: 256, CPUs: []int{last}})
	team, err := c.Team(false)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(team.Affinity, []string{strconv.Itoa(last)}) || team.CPUs != 1 {
		t.Errorf("%+v, want processor %d", team, last)
	}
	if now := cpus(t); !slices.Equal(now, all) {
		t.Errorf("the process may run on %v and could on %v", now, all)
	}
}

// Without OpenMP the pools of prefill and decode would put two threads on one processor where they differ in size.
func TestBoundThreadsWithoutOpenMP(t *testing.T) {
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	all := cpus(t)
	if len(all) < 2 {
		t.Skip("one processor")
	}
	openMP := strings.Contains(build.SystemInfo, "OPENMP = 1")
	m := load(t, writeModel(t, smallModel, "f32"))
	for _, c := range []struct {
		decode, prefill int
		cpus            []int
		refused         bool
	}{{1, 2, all[:2], !openMP}, {2, 1, all[:2], !openMP}, {2, 2, all[:2], false}, {2, 1, nil, false}} {
		ctx, err := m.NewContext(ContextParams{NCtx: 64, Threads: c.decode, ThreadsBatch: c.prefill, CPUs: c.cpus})
		if err == nil {
			ctx.Close()
		}
		if refused := err != nil && strings.Contains(err.Error(), "give threads_batch the number of threads"); refused != c.refused || !refused && err != nil {
			t.Errorf("%+v with OpenMP %v: %v", c, openMP, err)
		}
	}
}
