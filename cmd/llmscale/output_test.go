package main

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree lists what is in a folder, with the first bytes of files.
func tree(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		line := e.Type().String() + " " + e.Name()
		if e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			line += " " + string(data[:min(len(data), 8)])
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// TestSynthWhereItMayNot asks for a model where something is, or where nothing can be: one line says what is wrong,
// nothing changes and nothing is left.
func TestSynthWhereItMayNot(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"notes.txt": "kept", "ladder-llama-14m-q4_0-seed42.gguf": "mine"} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("notes.txt", "link"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo("pipe", 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := llmscale("synth", "tiny-gpt2", "-o", "source.gguf"); code != exitDone {
		t.Fatal(stderr)
	}
	before := tree(t, dir)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"a file", []string{"tiny-gpt2", "-o", "notes.txt"}, "notes.txt exists: name another file, or replace it with --force"},
		{"a folder", []string{"tiny-gpt2", "-o", "folder", "--force"}, "folder is a folder"},
		{"a pipe", []string{"tiny-gpt2", "-o", "pipe", "--force"}, "pipe is a pipe"},
		{"a link", []string{"tiny-gpt2", "-o", "link", "--force"}, "link is a symbolic link to notes.txt"},
		{"a device", []string{"tiny-gpt2", "-o", "/dev/full", "--force"}, "/dev/full is a device"},
		{"standard output", []string{"tiny-gpt2", "-o", "/dev/stdout", "--force"}, "/dev/stdout is a symbolic link"},
		{"no folder", []string{"tiny-gpt2", "-o", "missing/m.gguf", "--force"}, "there is no folder missing: make it first"},
		{"below a file", []string{"tiny-gpt2", "-o", "notes.txt/m.gguf"}, "notes.txt is not a directory"},
		{"its own source", []string{"like:source.gguf", "-o", "source.gguf"}, "is the original of this twin"},
		{"its own source, by force", []string{"like:source.gguf", "-o", "./folder/../source.gguf", "--force"}, "is the original of this twin"},
		// The ladder's third rung is there: not even the first is written.
		{"a folder that holds a rung", []string{"ladder:llama", "--type", "q4_0", "-o", "."}, "ladder-llama-14m-q4_0-seed42.gguf exists"},
		{"no folder for a ladder", []string{"ladder:llama", "--type", "q4_0", "-o", "missing"}, "there is no folder missing"},
	} {
		code, stdout, stderr := llmscale(append([]string{"synth"}, c.args...)...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %q, %q; want %q", c.name, code, stdout, stderr, c.want)
		}
		if after := tree(t, dir); after != before {
			t.Fatalf("%s: the folder holds\n%s\nbefore it held\n%s", c.name, after, before)
		}
	}
	if code, _, stderr := llmscale("synth", "tiny-gpt2", "-o", "notes.txt", "--force"); code != exitDone || !strings.Contains(tree(t, dir), "notes.txt GGUF") {
		t.Errorf("by force: exit code %d, %q:\n%s", code, stderr, tree(t, dir))
	}
}

// TestSynthInterrupted ends the program while it writes: no beginning of a model is left.
func TestSynthInterrupted(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			t.Logf("%v is ignored by this process, as under nohup, and so by those that it starts", sig)
			continue
		}
		dir := t.TempDir()
		stderr := &bytes.Buffer{}
		cmd := exec.Command(exe, "synth", "shape:llama3.2-1b", "--layers", "4", "--type", "f32", "-o", filepath.Join(dir, "m.gguf"))
		cmd.Env = append(os.Environ(), envMain+"=1")
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		begun := false
		for deadline := time.Now().Add(time.Minute); !begun && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			parts, err := filepath.Glob(filepath.Join(dir, ".*.part"))
			begun = err == nil && len(parts) > 0
		}
		if !begun {
			t.Error("it has not begun to write: the test is too weak")
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // its exit code is asked for below
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), "m.gguf was not written") {
			t.Errorf("%v: exit code %d: %s", sig, code, stderr)
		}
		if left := tree(t, dir); left != "" {
			t.Errorf("%v leaves\n%s", sig, left)
		}
	}
}
