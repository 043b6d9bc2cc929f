package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"llmscale/runner/record"
)

// TestPathsThatAreNotUTF8: what a run would have to write into JSON is refused before anything is made; what needs no
// JSON works.
func TestPathsThatAreNotUTF8(t *testing.T) {
	model := hostileFile(t, "m\xfcll.gguf")
	folder := filepath.Join(t.TempDir(), "l\xe9s")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, "c.yaml", sweepOf("synth:tiny-gpt2"))
	byName := writeFile(t, "m.yaml", sweepOf("gguf:$LLMSCALE_TEST_MODEL"))
	t.Setenv("LLMSCALE_TEST_MODEL", model)
	like := writeFile(t, "l.yaml", sweepOf("like:$LLMSCALE_TEST_MODEL"))
	inside := filepath.Join(folder, "c.yaml")
	if err := os.WriteFile(inside, []byte(sweepOf("synth:tiny-gpt2")), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"out", []string{"run", "--config", config, "--out", filepath.Join(folder, "run")}, `the run's folder is at`},
		{"models", []string{"run", "--config", config, "--models-dir", folder, "--out", out}, `l\xe9s`},
		{"config", []string{"run", "--config", inside, "--out", out}, `the config is at`},
		{"model", []string{"run", "--config", byName, "--out", out}, `model m is at`},
		{"twin", []string{"sweep", "--config", like, "--out", out}, `model m is at`},
		{"plan", []string{"run", "--dry-run", "--config", byName, "--out", out}, `m\xfcll.gguf, a path that is not UTF-8`},
		{"profile", []string{"profile", model}, `the model is at`},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := llmscale(c.args...)
			if code != exitUsage || !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "is not UTF-8") {
				t.Errorf("exit code %d, want %q:\n%s%s", code, c.want, stdout, stderr)
			}
			harmless(t, "stderr", stderr)
			for _, made := range []string{out, filepath.Join(folder, "run")} {
				if _, err := os.Stat(made); err == nil {
					t.Errorf("%q was made", made)
				}
			}
		})
	}
	// From within such a folder everything relative lies in it.
	t.Chdir(folder)
	if code, _, stderr := llmscale("run", "--config", config); code != exitUsage || !strings.Contains(stderr, "is not UTF-8") {
		t.Errorf("in the folder: exit code %d:\n%s", code, stderr)
	}
	for _, args := range [][]string{{"inspect", model}, {"synth", "like:" + model, "-o", "twin\xff.gguf"}} {
		if code, stdout, stderr := llmscale(args...); code != exitDone {
			t.Errorf("%q: exit code %d:\n%s%s", args, code, stdout, stderr)
		}
	}
	if _, err := os.Stat("twin\xff.gguf"); err != nil {
		t.Error(err)
	}
}

// TestPlanSaysItsDoubts: a plan that would crowd the processors, or leave the context that a model was made for, says so
// before anything is measured.
func TestPlanSaysItsDoubts(t *testing.T) {
	cfg := strings.NewReplacer("threads: 1", "threads: 512, dtype: q8_0", "prompt: Hello", "prompt_tokens: 8189").Replace(sweepOf("ladder:llama/5m"))
	code, _, stderr := llmscale("run", "--dry-run", "--config", writeFile(t, "c.yaml", cfg))
	if code != exitDone || !strings.Contains(stderr, "warning: cpu: decode has 512 threads") || !strings.Contains(stderr, "warning: m/micro: 8189 tokens of prompt and 4 generated are more than the 8192") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
}

// TestNothingToAnalyze: a folder without a record that can be read is told as that, with what to do, and gets no report.
func TestNothingToAnalyze(t *testing.T) {
	const manifest = `{"schema_version": 1, "run_id": "r", "plan_sha256": "0"}`
	for _, c := range []struct{ name, manifest, runs, want string }{
		{"begun", manifest, "", "nothing was measured yet; finish it with `llmscale run --resume "},
		{"no manifest", "", "\n\n", "nothing was measured yet; start a new run"},
		{"torn", manifest, `{"schema_version": 1, "backend": "cp`, "has no usable record: 1 lines, none of which can be read (runs.jsonl:1: "},
		{"something else", manifest, "a,b\n1,2\n", "2 lines, none of which can be read"},
	} {
		dir := t.TempDir()
		files := map[string]string{"runs.jsonl": c.runs, "manifest.json": c.manifest}
		for name, content := range files {
			if name == "manifest.json" && content == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for _, command := range []string{"analyze", "report"} {
			code, stdout, stderr := llmscale(command, "--run-dir", dir)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("%s, %s: exit code %d, want %q:\n%s%s", c.name, command, code, c.want, stdout, stderr)
			}
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 2 {
			t.Errorf("%s: the folder has %v (%v)", c.name, entries, err)
		}
	}
}

// TestNothingMeasured: records of failures alone make a report that says why, and no success. Out of memory is a result.
func TestNothingMeasured(t *testing.T) {
	for status, code := range map[string]int{record.StatusCrashed: exitFailed, record.StatusWaived: exitFailed, record.StatusError: exitFailed, record.StatusOOM: exitDone} {
		dir := t.TempDir()
		reason, prompt := "because", "Hello"
		var lines bytes.Buffer
		for _, mode := range record.Modes {
			line, err := json.Marshal(record.Record{
				Origin: record.Origin{SchemaVersion: record.SchemaVersion, RunID: "r", CellID: "m/b/s"},
				Subject: record.Subject{Model: "m", Backend: "b", BackendKind: "native",
					Scenario: "s", Prompt: &prompt},
				Outcome: record.Outcome{Mode: mode, Status: status, Error: &reason, Attempted: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			lines.Write(append(line, '\n'))
		}
		if err := os.WriteFile(filepath.Join(dir, "runs.jsonl"), lines.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"analyze", "report"} {
			got, stdout, stderr := llmscale(command, "--run-dir", dir)
			if got != code || !strings.HasPrefix(stdout, dir) || strings.Contains(stderr, "no record is usable, so there are no figures (records: 3 "+status+")") != (code == exitFailed) {
				t.Errorf("%s of %s: exit code %d: %s%s", command, status, got, stdout, stderr)
			}
		}
		if data, err := os.ReadFile(filepath.Join(dir, "report.md")); err != nil || !strings.Contains(string(data), reason) {
			t.Errorf("%s: %v, the report does not say why:\n%s", status, err, data)
		}
	}
}

// TestWhatIsWrongWithAPath: each command that reads a file or a folder says what is wrong with the one that it got.
func TestWhatIsWrongWithAPath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, err := range []error{os.Mkdir("folder", 0o777), os.WriteFile("empty", nil, 0o666), os.WriteFile("text", []byte("hello, world"), 0o666), os.Symlink("nowhere", "link")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	commands := map[string][]string{
		"inspect": {"inspect"}, "profile": {"profile"}, "twin": {"synth", "-o", "out.gguf", "like:"}, "convert": {"convert", "-o", "out.gguf", "--hf"},
		"config": {"run", "--config"}, "resume": {"run", "--resume"}, "analyze": {"analyze", "--run-dir"}, "report": {"report", "--run-dir"},
		"compare": {"compare"},
	}
	const none, noFolder, isFolder = "there is no ", "is a file, and no folder", "is a folder"
	wants := map[string]map[string]string{
		"absent":   {"": none, "profile": "is no source"},
		"link":     {"": "is a link to nowhere, which is not there", "profile": "is no source", "resume": "not a run folder"},
		"text/x":   {"": noFolder},
		"text":     {"": "this is no GGUF file", "convert": "it is no folder; want the folder", "config": "text:1:1: ", "resume": noFolder, "analyze": noFolder, "report": noFolder, "compare": noFolder},
		"empty":    {"": "is empty", "convert": "it is no folder; want the folder", "config": "the file is empty", "resume": noFolder, "analyze": noFolder, "report": noFolder, "compare": noFolder},
		"folder":   {"": isFolder, "convert": "there is no folder/config.json", "resume": "folder is not a run folder: there is no folder/manifest.json", "analyze": "no runs.jsonl", "report": "no runs.jsonl", "compare": "no runs.jsonl"},
		"no/where": {"": none},
	}
	for path, want := range wants {
		for name, command := range commands {
			args := append([]string{}, command...)
			if name == "twin" {
				args[3] += path
			} else {
				args = append(args, path)
			}
			code, stdout, stderr := llmscale(args...)
			wanted := want[name]
			if wanted == "" {
				wanted = want[""]
			}
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, wanted) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%q: exit code %d, want %q: %s%s", args, code, wanted, stdout, stderr)
			}
		}
	}
	if _, err := os.Stat("out.gguf"); err == nil {
		t.Error("something was written")
	}
}

// unread runs the program with nobody reading what it prints; stderr too where that is nil.
func unread(t *testing.T, stderr *bytes.Buffer, args ...string) *os.ProcessState {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stdout, cmd.Stderr = w, w
	if stderr != nil {
		cmd.Stderr = stderr
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState
}

// TestNobodyReads: a command that only prints ends like any other of a pipeline, without a word.
func TestNobodyReads(t *testing.T) {
	file := hostileFile(t, "m.gguf")
	for _, args := range [][]string{{"inspect", file}, {"inspect", "--json", file}, {"synth", "--list"}, {"schema"}} {
		var stderr bytes.Buffer
		state := unread(t, &stderr, args...)
		if ws := state.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGPIPE || stderr.Len() > 0 {
			t.Errorf("%q: %v, %s", args, state, stderr.String())
		}
	}
}
