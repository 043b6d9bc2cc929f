//go:build native

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/verify"
	"llmscale/runner"
	"llmscale/runner/merge"
	"llmscale/runner/record"
)

// A shard of it takes seconds, also on a fast machine: it is still measured when the test's scancel arrives.
const slurmSweepText = `run_name: cluster
gen_tokens: 32
replicates: 6
repetitions: 30
warmup_repetitions: 1
seed: 3
cell_timeout_s: 120
probe: false
scenarios: [{name: p256, prompt_tokens: 256}]
backends: [{name: cpu, dtype: f32, threads: 1}]
models:
  - {name: gpt2-1m, source: "synth:gpt2-1m"}
  - {name: gpt2-5m, source: "synth:gpt2-5m"}
`

// command runs a command of Slurm.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(100 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			logs, _ := exec.Command("sh", "-c", "squeue; sinfo; tail -n 5 slurm/*.log; tail -n 30 $(dirname $SLURM_CONF)/slurmctld.log").CombinedOutput()
			t.Fatalf("not within 100 s: %s\n%s", what, logs)
		}
	}
}

// jobs are those that Slurm has not ended, of these states; none: of any.
func jobs(t *testing.T, states ...string) []string {
	args := []string{"--noheader", "--array", "--format=%i"}
	if states != nil {
		args = append(args, "--states="+strings.Join(states, ","))
	}
	return strings.Fields(command(t, "squeue", args...))
}

// TestSlurm measures a sweep in six shards on a real Slurm (make test-slurm): one task is cancelled in the middle, one is requeued, one is told that its time is over,
// the node is drained meanwhile; what is missing is submitted again. The merged run has each planned call once, and the
// analysis of one run on this machine but for the times.
func TestSlurm(t *testing.T) {
	if os.Getenv("LLMSCALE_TEST_SLURM") == "" {
		t.Skip("needs a Slurm: make test-slurm")
	}
	root := t.TempDir()
	t.Chdir(root)
	if err := os.WriteFile("sweep.yaml", []byte(slurmSweepText), 0o666); err != nil {
		t.Fatal(err)
	}
	submit := func(more ...string) (code int, ids []string, stderr string) {
		args := []string{"slurm", "--config", "sweep.yaml", "--out", "slurm", "--models-dir", sharedModels, "--submit", "--share-nodes", "--cpus-per-task", "1", "--shards"}
		code, stdout, stderr := llmscale(append(args, more...)...)
		return code, strings.Fields(stdout), stderr
	}
	for _, c := range []struct{ more, want string }{
		{"6 --partition nowhere", "sbatch refuses the job: invalid partition"}, {"7", "7 shards: the plan has 6 blocks to split"},
		{"6 --split sizes", `no split "sizes"`}, {"0", "slurm needs --shards N"}, {"6 --seed x", "seed"}, {"6 --out /proc/slurm", "/proc/slurm"},
	} {
		if code, ids, stderr := submit(strings.Fields(c.more)...); code == exitDone || len(ids) > 0 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("--shards %s: exit code %d, %v, %q; want %q", c.more, code, ids, stderr, c.want)
		}
	}
	path := os.Getenv("PATH")
	os.Setenv("PATH", root)
	if code, _, stderr := submit("6"); code == exitDone || !strings.Contains(stderr, "there is no sbatch on this machine") {
		t.Errorf("without sbatch: exit code %d, %q", code, stderr)
	}
	os.Setenv("PATH", path)

	code, ids, stderr := submit("6")
	if code != exitDone || len(ids) != 2 {
		t.Fatalf("exit code %d, %v, %s", code, ids, stderr)
	}
	array := ids[0]
	if code, _, stderr := submit("6"); code == exitDone || !strings.Contains(stderr, "job "+array+" measures into") {
		t.Errorf("a second array into one folder: exit code %d, %q", code, stderr)
	}
	measured := func(shard int) int {
		data, _ := os.ReadFile(fmt.Sprintf("slurm/shard-%d/runs.jsonl", shard))
		return bytes.Count(data, []byte("\n"))
	}
	waitFor(t, "shard 1 measures", func() bool { return measured(1) >= 9 })
	command(t, "scancel", array+"_1")
	waitFor(t, "shard 2 measures", func() bool { return measured(2) >= 9 })
	command(t, "scontrol", "requeue", array+"_2")
	waitFor(t, "shard 3 measures", func() bool { return measured(3) >= 9 })
	// As Slurm does before the time limit. It has been seen to deliver the signal and to say that it could not; scancel then
	// tries again until the task has another turn. The shard's sessions tell.
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	_ = exec.CommandContext(soon, "scancel", "--batch", "--signal=USR1", array+"_3").Run()
	cancel()
	node := command(t, "sinfo", "--noheader", "--Node", "--format=%N")
	command(t, "scontrol", "update", "NodeName="+node, "State=DRAIN", "Reason=test")
	waitFor(t, "the drained node is empty", func() bool { return len(jobs(t, "RUNNING", "COMPLETING")) == 0 })
	if len(jobs(t)) == 0 {
		t.Error("nothing was left to do when the node was drained: the test is too weak")
	}
	command(t, "scontrol", "update", "NodeName="+node, "State=RESUME")
	waitFor(t, "all jobs have ended", func() bool { return len(jobs(t)) == 0 })

	for _, shard := range []string{"2", "3"} { // requeued, by hand and by its script
		if m, err := runner.ReadManifest("slurm/shard-" + shard); err != nil || len(m.Sessions) < 2 || m.RunState != runner.StateCompleted {
			t.Errorf("shard %s: %+v, %v", shard, m, err)
		}
	}
	if m, err := runner.ReadManifest("slurm/shard-1"); err != nil || m.RunState != runner.StateInterrupted {
		t.Errorf("the cancelled shard did not end in order: %+v, %v", m, err)
	}
	if n, err := merge.Lacking("slurm/shard-1"); n == 0 || err != nil {
		t.Errorf("the cancelled shard lacks %d calls, %v: the test is too weak", n, err)
	}
	if m, err := runner.ReadManifest("slurm/run"); err != nil || m.RunState != runner.StateIncomplete {
		t.Fatalf("%+v, %v", m, err)
	}
	code, ids, stderr = submit("6")
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if again := jobs(t); !slices.ContainsFunc(again, func(id string) bool { return id == ids[0]+"_1" }) || len(again) != 2 {
		t.Errorf("the second submission runs %v, want task 1 and the merge", again)
	}
	waitFor(t, "the second array and its merge", func() bool { return len(jobs(t)) == 0 })
	if code, ids, stderr := submit("6"); code != exitDone || len(ids) > 0 || !strings.Contains(stderr, "no shard in") {
		t.Errorf("with nothing left: exit code %d, %v, %q", code, ids, stderr)
	}

	if code, _, stderr := llmscale("run", "--config", "sweep.yaml", "--out", "whole", "--models-dir", sharedModels); code != exitDone {
		t.Fatal(stderr)
	}
	merged, whole := analysedCells(t, "slurm/run"), analysedCells(t, "whole")
	if !slices.Equal(merged, whole) {
		t.Errorf("the merged run's analysis is not that of one run but for the times: %d and %d entries, the last %s and %s", len(merged), len(whole), merged[len(merged)-1], whole[len(whole)-1])
	}
	run, err := runs.Load("slurm/run")
	if err != nil || run.Counts.ByStatus[record.StatusOK] != len(run.Rows) { // a worker that was ended with its coordinator is no crash
		t.Errorf("%+v, %v", run.Counts, err)
	}
	if v, err := verify.Folder("slurm/run", verify.Options{}); err != nil || !v.Matches || !slices.Contains(v.Recomputed, "report.html") {
		t.Errorf("%v, %+v", err, v)
	}
}

// analysedCells are the calls that count of a run and the cells of its analysis, without times: nor which calls were disturbed.
func analysedCells(t *testing.T, dir string) (out []string) {
	t.Helper()
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range run.Rows {
		if r := &run.Rows[i]; !r.IsWarmup {
			out = append(out, fmt.Sprint(r.CellID, r.Replicate, *r.Rep, r.Mode, r.Status))
		}
	}
	slices.Sort(out)
	a, err := analysis.Analyze(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range a.Cells {
		out = append(out, fmt.Sprint(c.Backend, c.Model, c.Scenario, c.Mode, c.Replicates))
	}
	return append(out, fmt.Sprintf("%+v", *run.Counts.Repetitions))
}
