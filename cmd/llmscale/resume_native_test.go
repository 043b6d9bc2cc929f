//go:build native

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"llmscale/gguf/hf/hftest"
	"llmscale/gguf/synth"
	"llmscale/internal/paths"
	"llmscale/runner/modelfile"
	"llmscale/runner/record"
	"llmscale/runner/store"
)

// program starts the program as a process in a folder of its own choice.
func program(t *testing.T, dir, stdin string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), envMain+"=1")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}

// exitCode waits for the program.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// waitForRecords waits until a running program has put calls on record.
func waitForRecords(t *testing.T, dir string) {
	t.Helper()
	for range 3000 {
		if info, err := os.Stat(filepath.Join(dir, "runs.jsonl")); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s has no record", dir)
}

// movedWorld is a folder with models of all kinds that have a path, a config that
// names them by relative paths, through links and odd names, and folders to call from.
func movedWorld(t *testing.T) (root, config string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"first", "third place", "conf igs/ä", "runs [1]", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	shape, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a b/-m.gguf", "c/-m.gguf"} {
		path := filepath.Join(root, "own models", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), synth.Write(path, shape, synth.Options{Type: "f16", Seed: uint64(i)})); err != nil {
			t.Fatal(err)
		}
	}
	folder := hftest.New(hftest.Shape{}).Write(t, "folder")
	if err := os.CopyFS(filepath.Join(root, "hf -ü"), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../conf igs/ä", filepath.Join(root, "first/link")); err != nil {
		t.Fatal(err)
	}
	return root, `gen_tokens: 2
replicates: 1
repetitions: 60
warmup_repetitions: 0
probe: false
scenarios: [{name: s, prompt_tokens: 4}]
backends: [{name: f32, dtype: f32, threads: 1}, {name: own, threads: 1}]
models:
  - {name: made, source: "synth:tiny-gpt2"}
  - {name: one, source: "../../own models/a b/-m.gguf", backends: [own]}
  - {name: two, source: "../../own models/c/-m.gguf", backends: [own]}
  - {name: twin, source: "like:../../own models/c/-m.gguf", backends: [own]}
  - {name: hf, source: "hf:../../hf -ü"}
`
}

// TestMovedRun starts a run in one folder, interrupts it, moves the run's folder and
// goes on from a third: the same models, the same config, the same run.
func TestMovedRun(t *testing.T) {
	for what, c := range map[string]struct {
		config  string // "-": the text comes through standard input
		args    []string
		discard bool
	}{
		"a config through a link":  {"link/-c.yaml", []string{"--models-dir", "mo dels"}, false},
		"a config up from a link":  {"link/../ä/-c.yaml", []string{"--models-dir", "link/../mo dels"}, false},
		"models in the run folder": {"link/-c.yaml", []string{"--models-dir", "../runs [1]/-r ü/models"}, false},
		"a config through a pipe":  {"-", []string{"--models-dir", "mo dels"}, false},
		"/dev/stdin":               {"/dev/stdin", []string{"--models-dir", "mo dels", "--discard-models"}, true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel() // its models run on one thread
			root, text := movedWorld(t)
			stdin := ""
			if c.config == "-" || c.config == "/dev/stdin" {
				text = strings.ReplaceAll(text, "../../", "../") // from the folder of the call
				stdin = text
			} else if err := os.WriteFile(filepath.Join(root, "conf igs/ä/-c.yaml"), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(root, "runs [1]/-r ü")
			args := append([]string{"run", "--config", c.config, "--out", "../runs [1]/-r ü"}, c.args...)
			cmd, _, stderr := program(t, filepath.Join(root, "first"), stdin, args...)
			waitForRecords(t, dir)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd); code != exitInterrupted {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			before := readRuns(t, dir)
			moved := filepath.Join(root, "elsewhere/moved")
			if err := os.Rename(dir, moved); err != nil {
				t.Fatal(err)
			}

			cmd, _, stderr = program(t, filepath.Join(root, "third place"), "", "run", "--resume", "../elsewhere/moved")
			if code := exitCode(t, cmd); code != exitDone {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			kept, err := os.ReadFile(filepath.Join(moved, "config.yaml"))
			if err != nil || string(kept) != text {
				t.Errorf("the config that was kept is not what was read (%v):\n%s", err, kept)
			}
			files, reps := map[string]string{}, map[string]int{}
			for i, r := range readRuns(t, moved) {
				if r.Status != record.StatusOK || r.RunID != "-r ü" || i < len(before) && r.Session != 0 || i >= len(before) && r.Session != 1 {
					t.Fatalf("record %d: %s %s, run %q, session %d", i, r.CellID, r.Status, r.RunID, r.Session)
				}
				if was := files[r.CellID]; was != "" && was != r.ModelFile+*r.ModelSHA256 {
					t.Errorf("%s is of %s, then of %s", r.CellID, was, r.ModelFile)
				}
				files[r.CellID] = r.ModelFile + *r.ModelSHA256
				if r.Mode == record.ModeE2E {
					reps[r.CellID]++
				}
			}
			for cell, n := range reps {
				if n != 60 {
					t.Errorf("%s has %d repetitions", cell, n)
				}
			}
			if len(reps) != 5 || !strings.HasPrefix(files["one/own/s"], "a b/-m.gguf") || !strings.HasPrefix(files["two/own/s"], "c/-m.gguf") {
				t.Errorf("%v", files)
			}
			if left, _ := os.ReadDir(filepath.Join(root, "third place")); len(left) != 0 {
				t.Errorf("the resumed run has put %v into the folder that it was called from", left)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the run's old folder is there again")
			}
			models, err := paths.Absolute(filepath.Join(root, "first") + "/" + c.args[1])
			if err != nil {
				t.Fatal(err)
			}
			if made := modelFiles(t, models); c.discard != (len(made) == 0) && what != "models in the run folder" {
				t.Errorf("%d files in %s", len(made), models)
			}
		})
	}
}

// TestDiscardAfterKill: what a session that was killed has written, the next one
// removes; a model that was there before the run stays.
func TestDiscardAfterKill(t *testing.T) {
	root := t.TempDir()
	cfg := writeFile(t, "c.yaml", strings.Replace(smallSweep, "repetitions: 3", "repetitions: 40", 1))
	models, dir := filepath.Join(root, "models"), filepath.Join(root, "run")
	before := filepath.Join(models, "tiny-gpt2-f16-seed42.gguf")
	if err := os.Mkdir(models, 0o777); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := llmscale("synth", "tiny-gpt2", "--type", "f16", "-o", before); code != exitDone {
		t.Fatal(stderr)
	}
	inFolder := func() (files []string) {
		found, err := filepath.Glob(filepath.Join(models, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	args, left := []string{"run", "--config", cfg, "--models-dir", models, "--out", dir, "--discard-models"}, 0
	for range 3 {
		cmd, _, _ := program(t, root, "", args...)
		for range 60_000 { // a minute: beside other programs a start takes seconds
			if len(inFolder()) > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(30 * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		exitCode(t, cmd)
		left += len(inFolder())
		args = []string{"run", "--resume", dir}
	}
	if left == 0 {
		t.Error("the killed sessions have left nothing: the test is too weak")
	}
	cmd, _, stderr := program(t, t.TempDir(), "", args...)
	if code := exitCode(t, cmd); code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if files := modelFiles(t, models); !slices.Equal(files, []string{filepath.Base(before)}) {
		t.Errorf("in the models' folder are %v, want what was there before the run", files)
	}
}

// modelFiles lists what is in a folder of models beside the hashes that are kept between runs; nothing where there is none.
func modelFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".hashes.json" {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestSecondAttemptWithTheSameFolder fails a first attempt in each way that comes
// before the first record, then begins the same run with the same --out.
func TestSecondAttemptWithTheSameFolder(t *testing.T) {
	writeSmallModels(t)
	good := writeFile(t, "good.yaml", strings.ReplaceAll(smallSweep, "repetitions: 3", "repetitions: 1"))
	for what, first := range map[string]func(t *testing.T, dir, models string){
		"a bad model": func(t *testing.T, dir, models string) {
			bad := writeFile(t, "bad.yaml", sweepOf(truncated(t)))
			if code, _, stderr := llmscale("run", "--config", bad, "--models-dir", models, "--out", dir); code != exitUsage {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		},
		"no room for the models": func(t *testing.T, dir, models string) {
			large := writeFile(t, "large.yaml", strings.Replace(sweepOf("synth:gpt2-5m"), "dtype: f32", "dtype: f16", 1))
			code, stderr := limited(t, 1<<20, "run", "--config", large, "--models-dir", models, "--out", dir)
			if code != exitFailed || !strings.Contains(stderr, "file too large") {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		},
		"no room for the manifest": func(t *testing.T, dir, models string) {
			code, stderr := limited(t, 2<<10, "run", "--config", good, "--models-dir", sharedModels, "--out", dir)
			if code != exitFailed || !strings.Contains(stderr, "manifest.json") || strings.Contains(stderr, "resume") {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		},
		"killed while preparing": func(t *testing.T, dir, models string) {
			large := writeFile(t, "large.yaml", sweepOf("synth:gpt2-100m"))
			cmd, _, _ := program(t, t.TempDir(), "", "run", "--config", large, "--models-dir", models, "--out", dir)
			waitForPart(models)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			exitCode(t, cmd)
			if _, err := os.Stat(filepath.Join(dir, "run.lock")); err != nil {
				t.Errorf("the test is too weak: %v", err)
			}
		},
		"interrupted while preparing": func(t *testing.T, dir, models string) {
			large := writeFile(t, "large.yaml", sweepOf("synth:gpt2-100m"))
			cmd, _, stderr := program(t, t.TempDir(), "", "run", "--config", large, "--models-dir", models, "--out", dir)
			waitForPart(models)
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd); code != exitInterrupted {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		},
	} {
		for _, inside := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", models in the folder ", inside), func(t *testing.T) {
				dir, models := filepath.Join(t.TempDir(), "run"), t.TempDir()
				if inside {
					models = filepath.Join(dir, "models")
				}
				first(t, dir, models)
				code, _, stderr := llmscale("run", "--config", good, "--models-dir", models, "--out", dir)
				if code != exitDone {
					t.Fatalf("the second attempt: exit code %d: %s", code, stderr)
				}
				if n := len(readRuns(t, dir)); n != smallSweepCells*2*3 {
					t.Errorf("%d records", n)
				}
			})
		}
	}
}

// waitForPart waits until a model is being written.
func waitForPart(models string) {
	for range 5000 {
		if parts, _ := filepath.Glob(filepath.Join(models, ".*.part")); len(parts) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// writeSmallModels makes smallSweep's models, so that a run of it writes none.
func writeSmallModels(t *testing.T) {
	t.Helper()
	for _, shape := range []string{"tiny-gpt2", "gpt2-1m"} {
		for _, typ := range []string{"f32", "f16"} {
			path := filepath.Join(sharedModels, fmt.Sprintf("%s-%s-seed%d.gguf", shape, typ, modelfile.WeightSeed))
			if _, err := os.Stat(path); err == nil {
				continue
			}
			if code, _, stderr := llmscale("synth", shape, "--type", typ, "-o", path); code != exitDone {
				t.Fatal(stderr)
			}
		}
	}
}

// limited runs the program under a limit on the size of files, through a shell.
func limited(t *testing.T, bytes int, args ...string) (code int, stderr string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", append([]string{"-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, bytes>>10), exe}, args...)...)
	cmd.Env = append(os.Environ(), envMain+"=1")
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return exitCode(t, cmd), out.String()
}

// TestFullDiskInTheProgram: the program says what was full and how to go on, and goes on.
func TestFullDiskInTheProgram(t *testing.T) {
	writeSmallModels(t)
	cfg := writeFile(t, "small.yaml", smallSweep)
	dir := filepath.Join(t.TempDir(), "run")
	code, stderr := limited(t, 100<<10, "sweep", "--config", cfg, "--models-dir", sharedModels, "--out", dir)
	if code != exitFailed || !strings.Contains(stderr, "writing runs.jsonl: ") || !strings.Contains(stderr, "file too large") || !strings.Contains(stderr, "go on with `llmscale sweep --resume "+dir+"`") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	before, err := os.ReadFile(filepath.Join(dir, store.RunsFile))
	if err != nil || len(before) == 0 {
		t.Fatal(err)
	}
	if code, _, stderr := llmscale("run", "--resume", dir); code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	after, err := os.ReadFile(filepath.Join(dir, store.RunsFile))
	if err != nil {
		t.Fatal(err)
	}
	whole := before[:bytes.LastIndexByte(before, '\n')+1]
	lines := bytes.SplitAfter(whole, []byte("\n"))
	kept := bytes.Join(lines[:(len(lines)-1)/3*3], nil) // whole calls
	if len(kept) == 0 || !bytes.HasPrefix(after, kept) {
		t.Errorf("of %d bytes in whole calls not all were kept", len(kept))
	}
	seen := map[string]int{}
	for _, r := range readRuns(t, dir) {
		if r.Rep != nil {
			seen[fmt.Sprint(r.CellID, *r.Rep, r.Mode)]++
		}
	}
	if len(seen) != smallSweepCells*smallSweepReps*3 {
		t.Errorf("%d measured rows", len(seen))
	}
}

// TestRefusedResumeTouchesNothing: a run that cannot go on stays as it is.
func TestRefusedResumeTouchesNothing(t *testing.T) {
	cfg := writeFile(t, "c.yaml", strings.Replace(smallSweep, "repetitions: 3", "repetitions: 1", 1))
	dir := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := llmscale("run", "--config", cfg, "--models-dir", sharedModels, "--out", dir); code != exitDone {
		t.Fatal(stderr)
	}
	path := filepath.Join(dir, "manifest.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(data, []byte(`"build_tags": "`), []byte(`"build_tags": "other `), 1)
	if bytes.Equal(other, data) {
		t.Fatal("the manifest does not say with which tags it was built")
	}
	if err := errors.Join(os.WriteFile(path, other, 0o666), os.Remove(filepath.Join(dir, "run.lock"))); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		var out strings.Builder
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&out, e.Name(), info.Size(), info.ModTime())
		}
		return out.String()
	}
	before := state()
	code, _, stderr := llmscale("run", "--resume", dir)
	if code != exitUsage || !strings.Contains(stderr, "another build") || state() != before {
		t.Errorf("exit code %d: %s\n%s\nbefore:\n%s", code, stderr, state(), before)
	}
}
