package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShardFlags: what is wrong with a shard is told in a line, before anything is written.
func TestShardFlags(t *testing.T) {
	good := writeFile(t, "good.yaml", strings.Replace(sweepOf("synth:tiny-gpt2"), "replicates: 1", "replicates: 3", 1))
	t.Setenv("SLURM_ARRAY_TASK_ID", "")
	t.Chdir(t.TempDir())
	for _, c := range []struct{ flags, want string }{
		{"--shard 4/3", "want I/N"}, {"--shard three", "want I/N"}, {"--shard slurm", "SLURM_ARRAY_TASK_ID is not set"}, {"--shard=", "want I/N"},
		{"--shard 1/4", "4 shards: the plan has 3 blocks to split; --split models makes up to 3"}, {"--shard 1/4 --split models", "3 models of blocks"},
		{"--shard 1/2 --split sizes", `no split "sizes"`}, {"--split models", "give both"},
	} {
		args := append([]string{"run", "--config", good, "--dry-run"}, strings.Fields(c.flags)...)
		if code, stdout, stderr := llmscale(args...); code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %q, %q; want %q", c.flags, code, stdout, stderr, c.want)
		}
	}
	code, stdout, stderr := llmscale("run", "--config", good, "--dry-run", "--shard", "2/3")
	if code != exitDone || !strings.Contains(stdout, "\n1 block, ") || !strings.Contains(stdout, ": 9 records\n") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	for _, c := range []struct{ args, want string }{
		{"merge -o run", "needs the folders of shards"}, {"merge absent", "needs -o RUN"}, {"merge absent -o run", "no shard: absent"}, {"run --resume d --shard 1/2", "--shard cannot be changed"},
	} {
		if code, _, stderr := llmscale(strings.Fields(c.args)...); code != exitUsage || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %q; want %q", c.args, code, stderr, c.want)
		}
	}
	if left, err := filepath.Glob("*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat("run"); err == nil {
		t.Error("a folder of a merge that was refused is left")
	}
}
