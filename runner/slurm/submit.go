package slurm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"llmscale/internal/durable"
	"llmscale/internal/text"
)

// Submit hands both jobs to sbatch and returns their ids. The folder remembers the array, so that a second one is not begun
// beside it.
func (s *Sweep) Submit(ctx context.Context) (array, merge string, err error) {
	if _, err := exec.LookPath("sbatch"); err != nil {
		return "", "", errors.New("there is no sbatch on this machine: submit from a login node, or leave --submit out and take the script there")
	}
	if err := os.MkdirAll(s.Dir, 0o777); err != nil {
		return "", "", fmt.Errorf("the folder of the shards: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.Dir, jobFile+".lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return "", "", fmt.Errorf("the folder of the shards: %w", err)
	}
	defer lock.Close()
	if err := durable.System.Lock(lock); err != nil && !durable.Unsupported(err) {
		return "", "", fmt.Errorf("another llmscale submits into %s just now", s.Dir)
	}
	if id, err := s.busy(ctx); err != nil {
		return "", "", err
	} else if id != "" {
		return "", "", fmt.Errorf("job %s measures into %s already: wait for it, or end it with `scancel %s`", id, s.Dir, id)
	}
	if array, err = sbatch(ctx, s.measureScript()); err != nil {
		return "", "", err
	}
	if err := durable.System.WriteFile(filepath.Join(s.Dir, jobFile), []byte(array+"\n")); err != nil {
		return array, "", fmt.Errorf("job %s is submitted, but %w", array, err)
	}
	if merge, err = sbatch(ctx, s.mergeScript(), "--dependency=afterany:"+array); err != nil {
		return array, "", fmt.Errorf("job %s is submitted, but not the one that merges: %w; once it has ended: llmscale merge %[3]s/shard-* -o %[3]s/run", array, err, text.Arg(s.Dir))
	}
	return array, merge, nil
}

// busy is the array that measures into the folder now, or waits to.
func (s *Sweep) busy(ctx context.Context) (string, error) {
	data, err := os.ReadFile(filepath.Join(s.Dir, jobFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(data))
	out, err := exec.CommandContext(ctx, "squeue", "--noheader", "--jobs="+id, "--format=%i").Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && bytes.Contains(exit.Stderr, []byte("Invalid job id")): // which Slurm has forgotten
		return "", nil
	case errors.As(err, &exit):
		return "", fmt.Errorf("whether job %s still measures into %s cannot be told: squeue: %s", id, s.Dir, text.OneLine(string(exit.Stderr)))
	case err != nil:
		return "", err
	case len(bytes.TrimSpace(out)) == 0:
		return "", nil
	}
	return id, nil
}

// sbatch submits a script and returns the job's id.
func sbatch(ctx context.Context, script string, options ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "sbatch", append([]string{"--parsable"}, options...)...)
	cmd.Stdin = strings.NewReader(script)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		why, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(said.String()), "sbatch: error: "), "\n") // what follows says that it failed
		return "", fmt.Errorf("sbatch refuses the job: %s", text.OneLine(cmp.Or(why, err.Error())))
	}
	id, _, _ := strings.Cut(strings.TrimSpace(out.String()), ";") // a cluster's name may follow
	return id, nil
}
