package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

// againConfig has two models under two backends: four visits a block.
const againConfig = `gen_tokens: 4
replicates: 3
repetitions: 2
warmup_repetitions: 1
seed: 7
cell_timeout_s: 20
probe: false
scenarios: [{name: one, prompt: "one"}, {name: drawn, prompt_tokens: 5}]
backends: [{name: f32, device: cpu, dtype: f32, threads: 1}, {name: f16, device: cpu, dtype: f16, threads: 1}]
models: [{name: a, source: "synth:tiny-gpt2"}, {name: b, source: "synth:tiny-gpt2"}]
`

// inStates are workers of which the k-th is in another state of the machine where the k-th letter is an x.
func inStates(t *testing.T, states string) worker.Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "states")
	if err := os.WriteFile(path, []byte(states), 0o666); err != nil {
		t.Fatal(err)
	}
	c := workertest.Command(t, "")
	c.Env = append(c.Env, workertest.EnvStates+"="+path)
	return c
}

// disturbing are the states in which the processes of a plan find the machine if it disturbs a pair's in these blocks.
func disturbing(p *plan.Plan, pair string, blocks ...int) string {
	var out []byte
	for i, b := range p.Blocks {
		for _, v := range b {
			out = append(out, map[bool]byte{false: '.', true: 'x'}[v.Job.Pair() == pair && slices.Contains(blocks, i)])
		}
	}
	return string(out)
}

// visited lists the pairs that the records of a block are of, in order.
func visited(records []record.Record, block int) (pairs []string) {
	for _, r := range records {
		if pair := r.Model + "/" + r.Backend; r.Replicate == block && !slices.Contains(pairs, pair) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// TestDisturbedProcessesAreMeasuredAgain: a model whose processes the machine disturbed is visited again under all of its
// backends, until each cell has as many others as there are replicates, or remeasure_blocks are added.
func TestDisturbedProcessesAreMeasuredAgain(t *testing.T) {
	for _, c := range []struct {
		name, text string
		disturbed  []int // blocks in which a/f16 is
		then       string
		blocks     int // that are added
		left       int // cells
	}{
		{"undisturbed", "", nil, "", 0, 0},
		{"one process", "", []int{1}, "", 1, 0},
		{"again in the added block", "", []int{1}, "xx", 2, 0},
		{"the most blocks", "remeasure_blocks: 1\n", []int{0, 2}, "", 1, 2},
		{"none are added", "remeasure_blocks: 0\n", []int{1}, "", 0, 2},
		{"one process each", "replicates: 1\n", []int{0}, "", 0, 0},
	} {
		text := againConfig
		if key, _, ok := strings.Cut(c.text, ":"); ok && strings.Contains(text, key) {
			text = strings.Replace(text, "replicates: 3\n", c.text, 1)
		} else {
			text += c.text
		}
		p := testPlan(t, text)
		planned := len(p.Blocks)
		dir, sum, records, q := execute(t, p, inStates(t, disturbing(p, "a/f16", c.disturbed...)+c.then))
		m, err := ReadManifest(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Remeasured) != c.blocks || m.Replicates != planned+c.blocks || sum.Remeasured != 2*c.blocks {
			t.Errorf("%s: %+v in the manifest of %d blocks, %d processes in the summary; want %d blocks", c.name, m.Remeasured, m.Replicates, sum.Remeasured, c.blocks)
		}
		for _, again := range m.Remeasured {
			got := visited(records, again.Replicate)
			slices.Sort(got)
			if !slices.Equal(got, []string{"a/f16", "a/f32"}) || again.Cells != 4 {
				t.Errorf("%s: block %d visited %v, %+v", c.name, again.Replicate, got, again)
			}
		}
		if sum.Disturbed != c.left || m.DisturbedCells != c.left {
			t.Errorf("%s: %d cells lack processes, %d by the manifest, want %d", c.name, sum.Disturbed, m.DisturbedCells, c.left)
		}
		if len(records) != m.RecordsExpected || sum.Kept != sum.Calls || sum.Calls*len(record.Modes) != len(records) || m.RunState != StateCompleted || sum.ByStatus[record.StatusOK] != p.Cells {
			t.Errorf("%s: %d records, the manifest expects %d, it is %s; %+v", c.name, len(records), m.RecordsExpected, m.RunState, sum)
		}
		if last := q.statuses[len(q.statuses)-1]; last.Calls != sum.Calls || last.CallsDone != sum.Calls-1 {
			t.Errorf("%s: at last %d of %d calls are shown, of %d", c.name, last.CallsDone, last.Calls, sum.Calls)
		}
		told := strings.Join(q.notes, "\n")
		if want := fmt.Sprintf("%d cells still with fewer than 3", c.left); (c.blocks+c.left > 0) != strings.Contains(told, want) {
			t.Errorf("%s: want %q in %q", c.name, want, told)
		}
		checkComplete(t, p, records)

		// A session that has nothing to do adds none either, but where more blocks are allowed by now.
		again := testPlan(t, text)
		if sum := finish(t, resumeRun(t, again, dir, inStates(t, ""))); sum.Records != 0 || sum.Calls != len(records)/len(record.Modes) || sum.Disturbed != c.left {
			t.Errorf("%s: the next session measured %+v", c.name, sum)
		}
	}
}

// stopAt interrupts a run after a number of calls.
type stopAt struct {
	quiet
	left int
	stop context.CancelFunc
}

func (s *stopAt) Stored(cell string, replicate, call int, status string) {
	if s.left--; s.left == 0 {
		s.stop()
	}
}

// TestInterruptedWhileMeasuringAgain: a run that ends within an added block, or before its first call, goes on with the
// same block: what is measured again is not drawn anew, and the processes of the block before are not looked at again.
func TestInterruptedWhileMeasuringAgain(t *testing.T) {
	whole := testPlan(t, againConfig)
	states := disturbing(whole, "b/f32", 0)
	dir, _, want, _ := execute(t, whole, inStates(t, states))
	first := 0
	for want[first].Replicate < 3 {
		first++
	}
	calls := first / len(record.Modes)
	for _, after := range []int{calls, calls + 1, calls + 7} {
		p := testPlan(t, againConfig)
		var r *Run
		r, dir = newRun(t, p, inStates(t, states))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		r.Progress = &stopAt{left: after, stop: stop}
		if sum := finishUntil(t, ctx, r); !sum.Interrupted || sum.Kept != after {
			t.Fatalf("after %d calls: %+v", after, sum)
		}
		p = testPlan(t, againConfig)
		sum := finish(t, resumeRun(t, p, dir, inStates(t, "")))
		records := readRecords(t, dir)
		if got := visited(records, 3); !slices.Equal(got, visited(want, 3)) {
			t.Errorf("after %d calls: the added block visited %v, want %v", after, got, visited(want, 3))
		}
		if sum.Interrupted || sum.Disturbed != 0 || sum.Remeasured != 2 || sum.ByStatus[record.StatusOK] != p.Cells {
			t.Errorf("after %d calls: %+v", after, sum)
		}
		checkComplete(t, p, records)
	}

	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		again Again
		want  string
	}{
		{Again{3, []string{"b"}, 4}, ""},
		{Again{2, []string{"b"}, 4}, "remeasured[0] is block 2; want one of 3 to 3"},
		{Again{4, []string{"b"}, 4}, "remeasured[0] is block 4; want one of 3 to 3"},
		{Again{3, []string{"c"}, 4}, "names the model c, which its config has not"},
		{Again{3, nil, 0}, "names no models"},
	} {
		m.Remeasured = []Again{c.again}
		if err := m.checkAgain(testPlan(t, againConfig)); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.again, err, c.want)
		}
	}
}
