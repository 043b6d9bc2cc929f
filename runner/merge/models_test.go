package merge

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/store"
)

// mounted is a file system of its own, which takes so much.
func mounted(t *testing.T, size string) (dir string, again func(flags uintptr, size string)) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("mounting a tmpfs needs root: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir, func(flags uintptr, size string) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size="+size); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSharedModels: a folder of models that is full or read-only is told in a line, before a shard's folder is made, and
// harms no other; one that is read-only and has them is used.
func TestSharedModels(t *testing.T) {
	models, again := mounted(t, "16k")
	root := t.TempDir()
	cfg, err := config.Parse(filepath.Join(root, "sweep.yaml"), []byte(sweep))
	if err != nil {
		t.Fatal(err)
	}
	start := func(i int) (*runner.Run, string, error) {
		dir := filepath.Join(root, string(rune('0'+i)))
		r, err := runner.Start(t.Context(), runner.Sweep{Config: cfg, ID: "x", Dir: dir, ModelsDir: models, Shard: plan.Shard{Index: i, Of: 4, Split: plan.SplitBlocks}}, host(t, "", &quiet{}))
		return r, dir, err
	}
	refused := func(what string, i int, wants ...string) {
		t.Helper()
		r, dir, err := start(i)
		if err == nil {
			r.Close()
			t.Fatalf("%s: the shard begins", what)
		}
		for _, want := range append(wants, models) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than a line: %v", what, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder is left", what)
		}
	}
	measured := func(i int) string {
		t.Helper()
		r, dir, err := start(i)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.Execute(t.Context()); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	refused("full", 1, "the models to be written take", "has 16 KiB free")
	again(syscall.MS_RDONLY, "64m")
	refused("read-only", 1, "read-only file system")
	again(0, "64m")
	one := measured(1)
	before, err := os.ReadFile(filepath.Join(one, store.RunsFile))
	if err != nil {
		t.Fatal(err)
	}
	again(syscall.MS_RDONLY, "64m")
	two := measured(2)
	again(0, "64m")
	made, err := filepath.Glob(filepath.Join(models, "*.gguf"))
	if err != nil || len(made) == 0 {
		t.Fatal(made, err)
	}
	if err := os.Remove(made[0]); err != nil {
		t.Fatal(err)
	}
	again(syscall.MS_RDONLY, "64m")
	refused("read-only, without one of the models", 3, "read-only file system")
	if after, err := os.ReadFile(filepath.Join(one, store.RunsFile)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the records of another shard have changed: %v", err)
	}
	if result, err := Merge([]string{one, two}, filepath.Join(root, "merged")); err != nil || len(result.Missing) != 2 {
		t.Errorf("%+v, %v", result, err)
	}
}
