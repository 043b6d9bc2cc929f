package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSlurmScript: the script is one that bash reads, submits both jobs, and names what the nodes need by absolute paths; what a script of
// sbatch cannot hold is refused. It runs in TestSlurm.
func TestSlurmScript(t *testing.T) {
	good := writeFile(t, "good.yaml", strings.Replace(sweepOf("synth:tiny-gpt2"), "replicates: 1", "replicates: 3", 1))
	dir := t.TempDir()
	t.Chdir(dir)
	code, script, stderr := llmscale("slurm", "--config", good, "--out", "my sweep", "--shards", "3", "--partition", "big", "--time", "1:00:00", "--gpus", "a100:2", "--seed", "5", "--models", "m", "--discard-models")
	if code != exitDone {
		t.Fatal(stderr)
	}
	for _, want := range []string{
		"#SBATCH --array=1-3\n", "#SBATCH --partition=big\n#SBATCH --time=1:00:00\n#SBATCH --gpus=a100:2\n", "#SBATCH --exclusive\n#SBATCH --mem=0\n", "#SBATCH --requeue\n", "--ntasks=1\n#SBATCH --partition=big\n#SBATCH --time=1:00:00\nshards=", "#SBATCH --signal=B:USR1@120\n",
		"#SBATCH --chdir=" + dir + "\n", `"--output=` + filepath.Join(dir, "my sweep", "slurm-%A_%a.log") + `"`, " --config " + good + " ", "--shard $SLURM_ARRAY_TASK_ID/3 --split blocks ",
		"--seed 5", "--models m", "--discard-models=true", "--dependency=\"afterany:", "llmscale-merge\n", "in '" + filepath.Join(dir, "my sweep") + "'/shard-*/manifest.json", "merge \"${shards[@]}\" -o",
	} {
		if !strings.Contains(script, want) {
			t.Errorf("no %q in\n%s", want, script)
		}
	}
	if _, script, _ := llmscale("slurm", "--config", good, "--out", "d", "--shards", "3", "--mem", "8G"); strings.Count(script, "--mem=8G\n") != 2 || strings.Contains(script, "--mem=0") {
		t.Errorf("--mem is of both jobs:\n%s", script)
	}
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for _, c := range [][]string{
		{"--out d --shards 3", "slurm needs --config"}, {"--config C --shards 3", "slurm needs --config"}, {"--config C --out d", "--shards N"}, {"--config - --out d --shards 3", "slurm needs --config"},
		{"--config C --out d --shards 4", "4 shards: the plan has 3 blocks"}, {"--config C --out d%j --shards 3", "cannot stand in a script"}, {"--config C --out d --shards 2 --split sizes", `no split "sizes"`},
		{"--config C --out d --shards 3 --end-before -1", "--end-before -1"}, {"--config C --out d --shards 3 --mem 1\"G", "cannot stand"},
	} {
		args := append([]string{"slurm"}, strings.Fields(strings.ReplaceAll(c[0], "C", good))...)
		if code, stdout, stderr := llmscale(args...); code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c[1]) {
			t.Errorf("%s: exit code %d, %q, %q; want %q", c[0], code, stdout, stderr, c[1])
		}
	}
	t.Setenv("PATH", dir)
	if code, _, stderr := llmscale("slurm", "--config", good, "--out", "d", "--shards", "3", "--submit"); code != exitFailed || !strings.Contains(stderr, "there is no sbatch on this machine") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	// A shard of another plan is not taken for one of this.
	if err := os.MkdirAll("d/shard-2", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("d/shard-2/manifest.json", []byte(`{"shard": {"shard": 2, "of": 3, "split": "blocks", "whole_plan_sha256": "x"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := llmscale("slurm", "--config", good, "--out", "d", "--shards", "3"); code != exitUsage || !strings.Contains(stderr, "is not shard 2/3 of this plan") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}
