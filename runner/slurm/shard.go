// Package slurm hands a sweep to Slurm: which shard a task of a job array is, the scripts of the jobs, and what is left to submit.
package slurm

import (
	"fmt"
	"strconv"
	"strings"

	"llmscale/runner/plan"
)

// Array stands for the shard that the environment of a job array tells.
const Array = "slurm"

// ParseShard reads which shard is meant: I/N, or Array.
func ParseShard(which, split string, env func(string) string) (plan.Shard, error) {
	s := plan.Shard{Split: split}
	var err error
	if which == Array {
		s.Index, s.Of, err = ofTask(env)
		return s, err
	}
	i, n, ok := strings.Cut(which, "/")
	if ok {
		if s.Index, err = strconv.Atoi(i); err == nil {
			s.Of, err = strconv.Atoi(n)
		}
	}
	if !ok || err != nil || s.Of < 1 || s.Index < 1 || s.Index > s.Of {
		return s, fmt.Errorf("shard %q: want I/N, one of 1/N to N/N, or %s in a job array of Slurm", which, Array)
	}
	return s, nil
}

// ofTask is the place of this task in its array.
func ofTask(env func(string) string) (index, of int, err error) {
	var n [4]int // id, count, min, max
	for i, name := range []string{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX"} {
		value := env(name)
		if value == "" {
			return 0, 0, fmt.Errorf("shard %s: %s is not set: this is no task of a job array (sbatch --array)", Array, name)
		}
		if n[i], err = strconv.Atoi(value); err != nil {
			return 0, 0, fmt.Errorf("shard %s: %s is %q, which is no number", Array, name, value)
		}
	}
	id, count, least, most := n[0], n[1], n[2], n[3]
	if most-least+1 != count || id < least || id > most {
		return 0, 0, fmt.Errorf("shard %s: the array has %d tasks from %d to %d, with gaps: which shards are they of? Write --shard $SLURM_ARRAY_TASK_ID/N", Array, count, least, most)
	}
	return id - least + 1, count, nil
}
