package slurm

import (
	"strings"
	"testing"

	"llmscale/runner/plan"
)

func TestParseShard(t *testing.T) {
	array := func(id, count, least, most string) map[string]string {
		return map[string]string{"SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_COUNT": count, "SLURM_ARRAY_TASK_MIN": least, "SLURM_ARRAY_TASK_MAX": most}
	}
	for _, c := range []struct {
		which string
		env   map[string]string
		want  plan.Shard
		wrong string
	}{
		{"1/1", nil, plan.Shard{Index: 1, Of: 1}, ""},
		{"3/6", nil, plan.Shard{Index: 3, Of: 6}, ""},
		{"slurm", array("0", "6", "0", "5"), plan.Shard{Index: 1, Of: 6}, ""},
		{"slurm", array("6", "6", "1", "6"), plan.Shard{Index: 6, Of: 6}, ""},
		{"slurm", array("7", "3", "5", "7"), plan.Shard{Index: 3, Of: 3}, ""},
		{"slurm", array("5", "2", "2", "5"), plan.Shard{}, "with gaps"},
		{"slurm", array("9", "3", "5", "7"), plan.Shard{}, "with gaps"},
		{"slurm", array("x", "3", "5", "7"), plan.Shard{}, "no number"},
		{"slurm", nil, plan.Shard{}, "SLURM_ARRAY_TASK_ID is not set"},
		{"", nil, plan.Shard{}, "want I/N"}, {"3", nil, plan.Shard{}, "want I/N"}, {"0/3", nil, plan.Shard{}, "want I/N"}, {"4/3", nil, plan.Shard{}, "want I/N"},
		{"a/b", nil, plan.Shard{}, "want I/N"}, {"1/2/3", nil, plan.Shard{}, "want I/N"}, {"1/99999999999999999999", nil, plan.Shard{}, "want I/N"}, {"-1/3", nil, plan.Shard{}, "want I/N"},
	} {
		got, err := ParseShard(c.which, plan.SplitModels, func(name string) string { return c.env[name] })
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q %v: %+v, %v, want %q", c.which, c.env, got, err, c.wrong)
			}
			continue
		}
		if c.want.Split = plan.SplitModels; err != nil || got != c.want {
			t.Errorf("%q %v: %+v, %v", c.which, c.env, got, err)
		}
	}
}
func TestArray(t *testing.T) {
	for want, list := range map[string][]int{"1": {1}, "1-3": {1, 2, 3}, "1,3-4,9": {1, 3, 4, 9}, "2,4": {2, 4}} {
		if got := array(list); got != want {
			t.Errorf("%v: %s", list, got)
		}
	}
}
