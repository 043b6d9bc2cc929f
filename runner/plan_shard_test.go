package runner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/plan"
)

// TestShardsMakeThePlan: however a plan is split, each of its turns is in one shard, blocks keep their numbers, and their
// visits the order of the plan.
func TestShardsMakeThePlan(t *testing.T) {
	text := strings.Replace(testConfig, "replicates: 1", "replicates: 5", 1) + `  - {name: c, source: "synth:gpt2-5m"}` + "\n"
	whole := testPlan(t, text)
	for _, split := range plan.Splits {
		most := map[string]int{plan.SplitBlocks: 5, plan.SplitModels: 15}[split]
		for _, of := range []int{1, 2, most - 1, most} {
			turns := map[plan.Turn]int{}
			for i := 1; i <= of; i++ {
				p := testPlan(t, text)
				if err := p.Cut(plan.Shard{Index: i, Of: of, Split: split}); err != nil {
					t.Fatal(err)
				}
				if p.SHA256() != whole.SHA256() || p.SharedSHA256() != whole.SharedSHA256() || len(p.Blocks) != len(whole.Blocks) {
					t.Fatalf("shard %d/%d by %s is of another plan", i, of, split)
				}
				n, cells := 0, 0
				for b, block := range p.Blocks {
					at := -1
					for _, v := range block {
						k := slices.IndexFunc(whole.Blocks[b], func(w plan.Visit) bool { return w.Job.Pair() == v.Job.Pair() })
						if k <= at || v.Replicate != b || fmt.Sprint(v.Cells) != fmt.Sprint(whole.Blocks[b][k].Cells) {
							t.Fatalf("shard %d/%d by %s: %s of block %d is not where the plan has it", i, of, split, v.Job.Pair(), b)
						}
						at = k
						for _, c := range v.Cells {
							turns[v.Turn(c)]++
							n++
						}
					}
				}
				for _, part := range p.Whole.Parts {
					cells += part.Cells
				}
				if n == 0 || n != p.Turns() || n != cells {
					t.Errorf("shard %d/%d by %s has %d turns; it says %d, its parts %d", i, of, split, n, p.Turns(), cells)
				}
			}
			if len(turns) != whole.Turns() {
				t.Errorf("%d shards by %s have %d turns, the plan %d", of, split, len(turns), whole.Turns())
			}
			for turn, n := range turns {
				if n != 1 {
					t.Errorf("%d shards by %s have %+v %d times", of, split, turn, n)
				}
			}
		}
		if err := whole.Cut(plan.Shard{Index: 1, Of: most + 1, Split: split}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d shards: the plan has %d", most+1, most)) {
			t.Errorf("%d shards by %s: %v", most+1, split, err)
		}
	}
	for _, bad := range []plan.Shard{{Index: 0, Of: 3, Split: plan.SplitBlocks}, {Index: 4, Of: 3, Split: plan.SplitBlocks}, {Index: 1, Of: 0, Split: plan.SplitBlocks}, {Index: 1, Of: 1, Split: "sizes"}} {
		if err := whole.Cut(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := testPlan(t, "target_ci: 0.1\ntime_budget_min: 1\n"+text).Cut(plan.Shard{Index: 1, Of: 2, Split: plan.SplitBlocks}); err == nil || !strings.Contains(err.Error(), "target_ci") {
		t.Errorf("target_ci: %v", err)
	}
}

// TestShardsOfDifferentMachines: the plan is the same on machines with other numbers of cores, and another with other threads.
func TestShardsOfDifferentMachines(t *testing.T) {
	with := func(threads string) string {
		return testPlan(t, strings.ReplaceAll(testConfig, "threads: 1", "threads: "+threads)).SharedSHA256()
	}
	if with("0") == with("2") || with("1") == with("2") { // of two cores, so that 0 comes to 2
		t.Error("plans with other threads have one hash")
	}
	big := testPlan(t, strings.ReplaceAll(testConfig, "threads: 1", "threads: 0"))
	for i := range big.Jobs {
		big.Jobs[i].Load.Threads, big.Jobs[i].Load.ThreadsBatch, big.Jobs[i].Load.CPUAffinity = 64, 64, []int{0}
	}
	if big.SharedSHA256() != with("0") || big.SHA256() == testPlan(t, strings.ReplaceAll(testConfig, "threads: 1", "threads: 0")).SHA256() {
		t.Error("what threads: 0 comes to makes another plan")
	}
}
