package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"llmscale/analysis/answer"
	"llmscale/analysis/predict"
	"llmscale/internal/text"
	"llmscale/runner/terminal/terminaltest"
)

// TestAnswer: text, JSON and Markdown of a committed run, packed as it is, and of one of
// the Python harness.
func TestAnswer(t *testing.T) {
	for _, dir := range []string{committedLadder, "../../analysis/testdata/tr121"} {
		code, stdout, stderr := llmscale("answer", "--run-dir", dir)
		if code != exitDone || stderr != "" || !strings.Contains(stdout, "\nThe answer\n") || !strings.Contains(stdout, "\nWhat was measured\n") {
			t.Errorf("exit code %d, %s%s", code, stdout, stderr)
		}
		lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
		for _, l := range lines {
			if text.Width(l) > answer.Columns || strings.ContainsRune(l, '\x1b') {
				t.Errorf("%q", l)
			}
		}
		if len(lines) > answer.Lines {
			t.Errorf("%d lines", len(lines))
		}
		if has := strings.HasSuffix(stdout, "The page: "+filepath.Join(dir, "report.html")+"\n"); has != (dir == committedLadder) {
			t.Errorf("the page's path: %v", has)
		}
		var a answer.Answer
		if code, stdout, stderr = llmscale("answer", "--json", "--run-dir", dir); code != exitDone || json.Unmarshal([]byte(stdout), &a) != nil || len(a.Verdict) == 0 || a.Goal.ObjectiveMS != 50 {
			t.Errorf("exit code %d, %s%s", code, stdout, stderr)
		}
		if code, stdout, _ = llmscale("answer", "--markdown", "--run-dir", dir); code != exitDone || !strings.HasPrefix(stdout, "# llmscale") || !strings.Contains(stdout, "\n| model |") {
			t.Errorf("exit code %d, %s", code, stdout)
		}
	}
}

// TestAnswerIsPredicted: the largest model within the objective is the one of `llmscale
// predict --slo`.
func TestAnswerIsPredicted(t *testing.T) {
	var a answer.Answer
	_, stdout, _ := llmscale("answer", "--json", "--run-dir", committedLadder)
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatal(err)
	}
	var s predict.Served
	_, stdout, _ = llmscale("predict", "--run-dir", committedLadder, "--slo", "50ms/token", "--json")
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatal(err)
	}
	if a.Goal.SurelyM == nil || *a.Goal.SurelyM != float64(s.Surely.Params)/1e6 || *a.Goal.GuessedM != float64(s.Guessed.Params)/1e6 || a.Goal.Basis != s.Surely.Decode.Basis {
		t.Errorf("%+v, predicted %+v, %+v", a.Goal, s.Surely, s.Guessed)
	}
}

func TestAnswerWrong(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "runs.jsonl"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "answer needs --run-dir DIR"},
		{[]string{"--run-dir", "absent"}, exitUsage, "no run folder"},
		{[]string{"--run-dir", t.TempDir()}, exitUsage, "no runs.jsonl"},
		{[]string{"--run-dir", empty}, exitFailed, "no usable record"},
		{[]string{"--run-dir", committedLadder, "--json", "--markdown"}, exitUsage, "not both"},
		{[]string{committedLadder}, exitUsage, "did you mean --run-dir"},
	} {
		code, stdout, stderr := llmscale(append([]string{"answer"}, c.args...)...)
		if code != c.code || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %q, %q; want %q", c.args, code, stdout, stderr, c.want)
		}
	}
}

// TestAnswerOnATerminal: headings are bold there, unless the user wants no colours.
func TestAnswerOnATerminal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  string
		bold bool
	}{{"TERM=xterm", true}, {"TERM=dumb", false}, {"NO_COLOR=1", false}} {
		far, end := terminaltest.Open(t, 120)
		cmd := exec.Command(exe, "answer", "--run-dir", "../../analysis/testdata/tr121")
		cmd.Env = append(os.Environ(), envMain+"=1", "TERM=xterm", c.env)
		cmd.Stdout = end
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end.Close()
		got, err := io.ReadAll(far)
		if err != nil && !errors.Is(err, syscall.EIO) { // what Linux says when the last writer has gone
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if bold := strings.Contains(string(got), "\x1b[1mThe answer\x1b[0m"); bold != c.bold {
			t.Errorf("%s: bold %v\n%s", c.env, bold, got)
		}
	}
}
