package slurm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/merge"
	"llmscale/runner/plan"
	"llmscale/runner/store"
)

// Sweep is a plan that a job array measures, a shard in each task.
type Sweep struct {
	Program string   // path of llmscale, on every node
	Config  string   // of the sweep
	Dir     string   // of the shards, the merged run and the logs
	WorkDir string   // in which the jobs start
	Flags   []string // of `llmscale run`, beside those that the script gives
	Of      int
	Split   string

	Share      bool // the nodes with other jobs
	BeforeEndS int  // seconds before the time limit at which a task is to end

	Only []int // shards that lack calls; see Left

	array, merge []string // options of sbatch for each of the jobs
}

// The names in Dir.
const (
	merged  = "run"
	jobFile = "slurm-job" // the id of the array that was submitted last
)

func (s *Sweep) shardDir(n int) string { return filepath.Join(s.Dir, fmt.Sprintf("shard-%d", n)) }

// Left finds the shards that lack calls. It refuses a folder that holds something else.
func (s *Sweep) Left(p *plan.Plan) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := p.CheckSplit(plan.Shard{Index: 1, Of: s.Of, Split: s.Split}); err != nil {
		return err
	}
	s.Only = nil
	for n := 1; n <= s.Of; n++ {
		dir := s.shardDir(n)
		m, err := runner.ReadManifest(dir)
		if errors.Is(err, fs.ErrNotExist) {
			s.Only = append(s.Only, n)
			continue
		}
		if err != nil {
			return err
		}
		if is := m.Shard; is == nil || is.PlanSHA256 != p.SharedSHA256() || is.Shard != (plan.Shard{Index: n, Of: s.Of, Split: s.Split}) {
			return fmt.Errorf("%s is not shard %d/%d of this plan: choose another folder with --out", dir, n, s.Of)
		}
		lacking, err := merge.Lacking(dir)
		if err != nil {
			return err
		}
		if lacking > 0 {
			s.Only = append(s.Only, n)
		}
	}
	if beyond := s.shardDir(s.Of + 1); exists(beyond) {
		return fmt.Errorf("%s has more shards than %d, of another split: choose another folder with --out", s.Dir, s.Of)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// array lists shards as sbatch reads them: 1-3,7.
func array(shards []int) string {
	var out []string
	for i := 0; i < len(shards); {
		k := i
		for k+1 < len(shards) && shards[k+1] == shards[k]+1 {
			k++
		}
		if k > i {
			out = append(out, fmt.Sprintf("%d-%d", shards[i], shards[k]))
		} else {
			out = append(out, strconv.Itoa(shards[i]))
		}
		i = k + 1
	}
	return strings.Join(out, ",")
}

// measureScript is the job array.
func (s *Sweep) measureScript() string {
	options := []string{"--job-name=llmscale", "--array=" + array(s.Only), "--output=" + filepath.Join(s.Dir, "slurm-%A_%a.log"), "--open-mode=append", "--chdir=" + s.WorkDir,
		"--nodes=1", "--ntasks=1", "--requeue", fmt.Sprintf("--signal=B:USR1@%d", s.BeforeEndS)}
	if !s.Share {
		options = append(options, "--exclusive")
		// That is all processors and GPUs of the node, but of its memory only what a job asks for; 0 asks for all of it
		// (sbatch(1), --exclusive).
		if !slices.ContainsFunc(s.array, func(o string) bool { return strings.HasPrefix(o, "--mem=") }) {
			options = append(options, "--mem=0")
		}
	}
	run := []string{text.Arg(s.Program), "run", "--config", text.Arg(s.Config), "--shard", fmt.Sprintf("$SLURM_ARRAY_TASK_ID/%d", s.Of), "--split", s.Split, "--out", `"$shard"`}
	for _, f := range s.Flags {
		run = append(run, text.Arg(f))
	}
	return head(append(options, s.array...)) + fmt.Sprintf(`shard=%s/shard-$SLURM_ARRAY_TASK_ID
if [ -s "$shard/%s" ]; then # of an earlier attempt
    %s run --resume "$shard" &
else
    %s &
fi
run=$!
again=
trap 'again=1; kill -TERM "$run"' USR1 # the time is nearly over: end in order, and go on in the queue
trap 'kill -TERM "$run"' TERM          # cancelled, or preempted: then Slurm decides
while kill -0 "$run" 2>/dev/null; do wait "$run"; done
wait "$run"
status=$?
if [ -n "$again" ] && [ "$status" = 130 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
`, text.Arg(s.Dir), store.RunsFile, text.Arg(s.Program), strings.Join(run, " "))
}

// mergeScript is the job that comes after the array.
func (s *Sweep) mergeScript() string {
	options := []string{"--job-name=llmscale-merge", "--output=" + filepath.Join(s.Dir, "slurm-%j.log"), "--chdir=" + s.WorkDir, "--nodes=1", "--ntasks=1"}
	program, dir := text.Arg(s.Program), text.Arg(s.Dir)
	return head(append(options, s.merge...)) + fmt.Sprintf(`shards=() # a task that was lost at its beginning has left a folder without a manifest
for manifest in %[2]s/shard-*/%[4]s; do [ -s "$manifest" ] && shards+=("${manifest%%/*}"); done
%[1]s merge "${shards[@]}" -o %[2]s/%[3]s || [ $? = 3 ] || exit # 3: of what is there
%[1]s report --run-dir %[2]s/%[3]s
`, program, dir, merged, store.ManifestFile)
}

// head is a script's beginning. sbatch reads options up to the first command.
func head(options []string) string {
	out := "#!/bin/bash\n"
	for _, o := range options {
		out += "#SBATCH " + option(o) + "\n"
	}
	return out
}

// option is one of sbatch as it stands in a script, which knows quotes but no backslashes.
func option(o string) string {
	if strings.ContainsAny(o, " \t#'") {
		return `"` + o + `"`
	}
	return o
}

// Script is a shell script that submits both jobs.
func (s *Sweep) Script() string {
	return fmt.Sprintf(`#!/bin/bash
# Measures %d of %s, split by %s, and merges and reports them. Submit with: bash THIS_FILE
set -euo pipefail
mkdir -p %s
array=$(sbatch --parsable <<'JOB'
%sJOB
)
merge=$(sbatch --parsable --dependency="afterany:${array%%%%;*}" <<'JOB'
%sJOB
)
echo "$array $merge"
`, len(s.Only), text.Counted(s.Of, "shard", "shards"), s.Split, text.Arg(s.Dir), s.measureScript(), s.mergeScript())
}

// check refuses what a script cannot hold.
func (s *Sweep) check() error {
	for _, o := range slices.Concat(s.array, s.merge, s.Flags, []string{s.Dir, s.Config, s.Program, s.WorkDir}) {
		if strings.ContainsAny(o, "\n\r\"\\%") {
			return fmt.Errorf("%q: a line end, a quote, a backslash or a %% sign cannot stand in a script of sbatch", o)
		}
	}
	return nil
}
