package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"llmscale/runner/terminal/terminaltest"
)

// TestProgramOnATerminal runs the program as a user does, on narrow terminals.
func TestProgramOnATerminal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "a folder with blanks and a name that is longer than any line of the terminal", "模型")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, columns := range []int{80, 40} {
		far, end := terminaltest.Open(t, uint16(columns))
		path := filepath.Join(folder, "m.gguf")
		cmd := exec.Command(exe, "synth", "gpt2-5m", "--force", "-o", path)
		cmd.Env = append(os.Environ(), envMain+"=1", "TERM=xterm")
		cmd.Stderr = end
		stdout := &bytes.Buffer{}
		cmd.Stdout = stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end.Close()
		drawn, err := io.ReadAll(far)
		if err != nil && !errors.Is(err, syscall.EIO) { // what Linux says when the last writer has gone
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, drawn)
		}
		s := &terminaltest.Screen{Columns: columns}
		s.Write(t, bufio.NewReader(bytes.NewReader(drawn)))
		if len(s.Wrapped) > 0 || s.Line != "" {
			t.Errorf("%d columns: wrapped %q, left %q", columns, s.Wrapped, s.Line)
		}
		if all := strings.Join(s.Drawn, "\n"); !strings.Contains(all, "writing ") || !strings.Contains(all, "m.gguf") {
			t.Errorf("%d columns: drawn:\n%s", columns, all)
		}
		if strings.TrimSpace(stdout.String()) != path {
			t.Errorf("stdout: %q", stdout)
		}
	}
}
