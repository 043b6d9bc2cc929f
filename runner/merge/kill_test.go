package merge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/workertest"
)

const (
	envModels = "LLMSCALE_TEST_MODELS"
	envShard  = "LLMSCALE_TEST_SHARD"
)

// task begins the shard in a folder, or goes on with it, as a task of a job array does.
func task(dir string) error {
	index, err := strconv.Atoi(os.Getenv(envShard))
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	h := hostOf(exe, []string{workertest.EnvPart + "=worker"}, &quiet{})
	ctx := context.Background()
	var r *runner.Run
	if info, statErr := os.Stat(filepath.Join(dir, store.RunsFile)); statErr == nil && info.Size() > 0 {
		r, err = runner.Resume(ctx, dir, h)
	} else {
		var cfg *config.Config
		if cfg, err = config.Parse(filepath.Join(filepath.Dir(dir), "sweep.yaml"), []byte(sweep)); err == nil {
			r, err = runner.Start(ctx, runner.Sweep{Config: cfg, ID: "shard", Dir: dir, ModelsDir: os.Getenv(envModels), Shard: plan.Shard{Index: index, Of: 4, Split: plan.SplitBlocks}}, h)
		}
	}
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Execute(ctx)
	return err
}

// TestKilledShards kills the tasks of shards at random moments, again and again, and runs them anew: the merged run has each
// planned call once.
func TestKilledShards(t *testing.T) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, 0))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kills, least := 6, 4 // of each shard at most, and in all at least
	if testing.Short() {
		kills, least = 1, 1
	}
	root := t.TempDir()
	var dirs []string
	killed := 0
	for i := 1; i <= 4; i++ {
		dir := filepath.Join(root, fmt.Sprint("shard-", i))
		dirs = append(dirs, dir)
		took := 400 * time.Millisecond // of a whole task, until one has shown it
		for try := 0; ; try++ {
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), workertest.EnvPart+"=task", workertest.EnvRun+"="+dir, envModels+"="+modelsDir, fmt.Sprint(envShard, "=", i))
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			blow := time.Hour
			if try < kills {
				blow = time.Duration(random.Int64N(int64(took)))
			}
			select {
			case err = <-ended:
				took = time.Since(started)
			case <-time.After(blow):
				cmd.Process.Kill()
				if err = <-ended; err != nil {
					killed++
					continue
				}
			}
			var exit *exec.ExitError
			if errors.As(err, &exit) && !strings.Contains(stderr.String(), "was ended by") {
				t.Fatalf("shard %d: %v: %s", i, err, &stderr)
			}
			if err == nil {
				break
			}
		}
	}
	t.Logf("seed %d: %d kills", seed, killed)
	if killed < least {
		t.Errorf("%d kills: the test is too weak", killed)
	}
	out := filepath.Join(root, "merged")
	result, err := Merge(dirs, out)
	if err != nil || !result.Complete() {
		t.Fatalf("%+v, %v", result, err)
	}
	seen := map[string]int{}
	for _, r := range records(t, out) {
		if !r.IsWarmup && r.Status == record.StatusOK {
			seen[work(&r)]++
		}
	}
	for w, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d times", w, n)
		}
	}
	if want := 8 * 4 * 2 * len(record.Modes); len(seen) != want {
		t.Errorf("%d records of repetitions, want %d", len(seen), want)
	}
	check(t, out)
}
