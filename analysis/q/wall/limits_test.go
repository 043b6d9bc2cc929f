package wall

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/figure/figuretest"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// limitRun makes up three sizes that need 100, 200 and 400 MiB, 10 of them unmapped, under limits of 50 to 1000 MiB in
// three blocks. Decode takes slow times as long, and reads half of the weights in each pass, where the limit is below the need.
func limitRun(slow float64, change func(r *runs.Row)) *runs.Run {
	limits := map[string]int{"none": 0, "l1000": 1000, "l250": 250, "l150": 150, "l5": 5}
	plan := celltest.Plan{Models: 3, Reps: 3, Gen: 4, Backends: []string{"none", "l1000", "l250", "l150", "l5"}, Scenarios: []string{"a"}, PerToken: func(m int) float64 { return float64(int(1) << m) }}
	var rows []runs.Row
	for block := range 3 {
		for _, r := range plan.Rows(1) {
			r.Replicate = block
			need := 100 * float64(int(1)<<int(r.Model[2]-'0'))
			r.MemoryNeedMiB, r.MemoryMappedMiB, r.NUBatch, r.NCtx, r.KVBytesPerToken = new(need), new(need-10), 512, 256, 1<<20
			r.GenTokensRaw, r.PromptTokensRaw, r.DiskReadBytes = new(4), new(16), new(int64(0))
			limit := float64(limits[r.Backend])
			if limit > 0 {
				r.MemoryLimitMiB, r.DiskMBPerS = new(int(limit)), new(1000.0)
				r.GroupPeakMiB, r.GroupAnonMiB = new(min(need+1, limit)), new(11.0)
			}
			switch {
			case limit == 5:
				r.Status, r.Error, r.LatencyMS = record.StatusOOM, new("ended"), nil
			case limit > 0 && limit < need:
				*r.LatencyMS *= slow
				*r.DiskReadBytes = int64(5 * (need - 10) / 2 * (1 << 20)) // 4 steps and one micro-batch
			}
			if change != nil {
				change(&r)
			}
			rows = append(rows, r)
		}
	}
	return &runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}
}

func TestLimits(t *testing.T) {
	w := wallOf(t, limitRun(10, func(r *runs.Row) {
		if r.LatencyMS != nil { // blocks differ, so that there are intervals
			*r.LatencyMS *= 1 + 0.01*float64(r.Replicate)*float64(len(r.Backend))
		}
	}))
	if len(w.Cliffs) != 3 {
		t.Fatalf("%+v", w.Cliffs)
	}
	var got []string
	for _, l := range w.Cliffs {
		slow := 0.0
		if l.SlowMiB != nil {
			slow = *l.SlowMiB
		}
		got = append(got, fmt.Sprint(l.Model, " ", l.Verdict, " ", *l.HoldsMiB, " ", slow, " ", *l.DiesMiB, " ", *l.NeedMiB))
	}
	if s := strings.Join(got, "; "); s != "m00 not_reached 150 0 5 100; m01 found 250 150 5 200; m02 found 1000 250 5 400" {
		t.Error(s)
	}
	l := w.Cliffs[1]
	celltest.Near(t, "missing", l.Missing, 50.0/190, 1e-9)
	celltest.Near(t, "read again", l.Reread, 0.5, 1e-6)
	if *l.Times < 9 || *l.Times > 11 || *l.Low < 9 || *l.High > 11 || *l.PeakMiB != 201 || *l.LeastMiB != 10 || *l.UnmappedMiB != 11 {
		t.Errorf("%+v", l)
	}
	md := celltest.Markdown(t, (&Answer{Wall: w}).Sections()...)
	for _, want := range []string{
		"## 2 of 3 models meet the memory wall: decode takes 10.0 times as long behind it",
		"| model | needs, estimated (MiB) | took, whole (MiB) | holds its level at (MiB) | has left it at (MiB) | decode there, times whole | read again in each pass (%) | does not run at (MiB) | verdict |",
		"| m00 in f32 | 100 | 101 | 150 | – | – | – | 5.0 | not reached |",
		"| m01 in f32 | 200 | 201 | 250 | 150 | ", "] | 50.0 | 5.0 | found |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	figs := (&Answer{Wall: w}).Figures(new(intervals.Answer))
	if len(figs) != 2 || figs[0].Name != "memory_wall_cpu_f32" || figs[1].Name != limitsKind {
		t.Fatalf("%v", figuretest.Names(figs))
	}
	figuretest.Says(t, figs[0], "part of the weights", "all weights in memory", "250 MiB", "no limit")
	figuretest.Says(t, figs[1], "read again from the disk", "decode, times whole")
}

// TestLimitsCannotTell: without blocks there is no interval, where blocks scatter none on one side, and a slowdown below 1.5 is none.
func TestLimitsCannotTell(t *testing.T) {
	for name, c := range map[string]struct {
		run  *runs.Run
		want string
	}{
		"scatter": {limitRun(3, func(r *runs.Row) {
			if r.LatencyMS != nil && r.Backend != "none" {
				*r.LatencyMS *= math.Pow(4, float64(r.Replicate-1))
			}
		}), CannotTell},
		"little": {limitRun(1.1, nil), NotReached},
		"steep":  {limitRun(2, nil), Found},
	} {
		w := wallOf(t, c.run)
		l := w.Cliffs[1]
		if l.Verdict != c.want {
			t.Errorf("%s: %+v, want %s", name, l, c.want)
		}
	}
	run := limitRun(10, nil)
	for i := range run.Rows {
		run.Rows[i].MemoryLimitMiB, run.Rows[i].DiskReadBytes = nil, nil
	}
	if w := wallOf(t, run); w != nil && len(w.Cliffs) > 0 {
		t.Errorf("a run without limits: %+v", w.Cliffs)
	}
}

// TestFeasible: sizes lie on the line between two that need what is known, with the cache of the context.
func TestFeasible(t *testing.T) {
	w := wallOf(t, limitRun(10, nil))
	got := map[string]string{}
	for _, f := range w.Feasible {
		s := "none"
		if f.ParamsM != nil {
			s = fmt.Sprintf("%.3g %v", *f.ParamsM, f.Beyond)
		}
		got[fmt.Sprint(f.MemoryMiB, " ", f.Context)] = s
	}
	// 5, 10 and 20 million parameters need 100, 200 and 400 MiB; 3840 tokens more take 3840 MiB.
	for at, want := range map[string]string{"64 256": "none", "128 256": "6.4 false", "256 256": "12.8 false", "512 256": "20 true", "512 4096": "none"} {
		if got[at] != want {
			t.Errorf("%s: %s, want %s in %v", at, got[at], want, got)
		}
	}
}
