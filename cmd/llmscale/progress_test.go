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
	"time"

	"github.com/creack/pty"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/protocol"
)

// screen is a terminal's last line as programs of this century see it: a character beyond the last column wraps.
type screen struct {
	columns int
	line    string // as far as the cursor
	drawn   []string
	wrapped []string
}

// write takes what a program wrote. It fails on codes that it does not know.
func (s *screen) write(t *testing.T, r *bufio.Reader) {
	t.Helper()
	for {
		c, _, err := r.ReadRune()
		if err != nil {
			return
		}
		switch c {
		case '\r', '\n':
			if s.line != "" {
				s.drawn = append(s.drawn, s.line)
			}
			s.line = ""
		case '\x1b':
			code, err := r.ReadString('K')
			if err != nil || code != "[2K" && code != "[0K" {
				t.Fatalf("unknown code %q (%v)", code, err)
			}
		default:
			s.line += string(c)
			if text.Width(s.line) > s.columns {
				s.wrapped = append(s.wrapped, s.line)
			}
		}
	}
}

// openTerminal returns both ends of a pseudo-terminal: what a program writes on end can be read from far.
func openTerminal(t *testing.T, columns uint16) (far, end *os.File) {
	t.Helper()
	far, end, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminal here: " + err.Error())
	}
	t.Cleanup(func() { far.Close(); end.Close() })
	resize(t, far, columns)
	return far, end
}

func resize(t *testing.T, far *os.File, columns uint16) {
	t.Helper()
	if err := pty.Setsize(far, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
}

// read returns what was written so far: the mark that is written behind it ends it.
func read(t *testing.T, far, end *os.File) *bufio.Reader {
	t.Helper()
	const mark = "\x00"
	if _, err := end.WriteString(mark); err != nil {
		t.Fatal(err)
	}
	var all []byte
	buf := make([]byte, 4096)
	for !bytes.HasSuffix(all, []byte(mark)) {
		n, err := far.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, buf[:n]...)
	}
	return bufio.NewReader(bytes.NewReader(bytes.TrimSuffix(all, []byte(mark))))
}

// TestProgressNeverWraps draws everything that is drawn, with names of every length, on terminals that become
// narrower and wider.
func TestProgressNeverWraps(t *testing.T) {
	t.Setenv("TERM", "xterm")
	far, end := openTerminal(t, 80)
	p := newProgress(end)
	if p.terminal == nil {
		t.Fatal("a pseudo-terminal is not taken for a terminal")
	}
	cells := []string{"m/b/s", "gpt2-25m/native_cpu_f16/micro", strings.Repeat("long-name.", 6) + "/" + strings.Repeat("backend", 9) + "/" + strings.Repeat("s", 64)}
	for _, columns := range []uint16{80, 40, 20, 16, 15, 3, 40, 33, 120, 80, 0} {
		resize(t, far, columns)
		s := &screen{columns: int(columns)}
		if columns == 0 {
			s.columns = 80 // a terminal that does not know its size
		}
		for i, cell := range cells {
			for _, st := range []runner.Status{
				{Cell: cell, Phase: runner.PhaseMeasure, Index: 1, Of: 7, CallsDone: 425 + i, Calls: 432, Remaining: 90 * time.Second},
				{Cell: cell, Phase: runner.PhaseWarmup, Index: 1000000, Of: 1000000, CallsDone: 123456789, Calls: 987654321, Remaining: 99 * time.Hour},
				{Cell: cell, Phase: runner.PhaseLoad, Share: 0.5, Calls: 1},
				{Cell: cell, Phase: runner.PhaseWrite},
			} {
				p.Update(st)
			}
			p.lastFile = time.Time{}
			p.File("writing models/模型/"+cell+"\n\x1b[31m.gguf", int64(i), 3)
			p.Probe(protocol.ProbeSpec{Device: "cpu", Threads: 2}, 0.3)
		}
		p.Clear()
		s.write(t, read(t, far, end))
		if len(s.wrapped) > 0 {
			t.Errorf("%d columns: wrapped: %q", columns, s.wrapped[0])
		}
		if s.line != "" {
			t.Errorf("%d columns: %q is left on the screen", columns, s.line)
		}
		all := strings.Join(s.drawn, "\n")
		if columns < minColumns && columns > 0 {
			if all != "" {
				t.Errorf("%d columns: drawn: %q", columns, all)
			}
			continue
		}
		if s.columns >= 40 {
			for _, want := range []string{"425/432", "gpt2-25m", "1m30s left", "writing mod", "probing cpu, 2"} {
				if !strings.Contains(all, want) {
					t.Errorf("%d columns: no %q in\n%s", columns, want, all)
				}
			}
		}
		if s.columns == 40 && !strings.Contains(all, "0/1  m/b/s  load 50 %") {
			t.Errorf("what is known is left out for what is not:\n%s", all)
		}
		if s.columns >= 80 {
			for _, want := range []string{"425/432 calls  m/b/s  measure 1/7  1m30s left", "..", "ssss  measure 1/7", "load 50 %  time left unknown"} {
				if !strings.Contains(all, want) {
					t.Errorf("%d columns: no %q in\n%s", columns, want, all)
				}
			}
		}
	}
}

// TestProgressElsewhere: a file, a pipe and a dumb terminal get lines without codes.
func TestProgressElsewhere(t *testing.T) {
	t.Setenv("TERM", "dumb")
	far, end := openTerminal(t, 40)
	var out bytes.Buffer
	for _, w := range []io.Writer{end, &out} {
		p := newProgress(w)
		for i := range 3 {
			p.Update(runner.Status{Cell: "gpt2-25m/native_cpu_f16/micro", Phase: runner.PhaseMeasure, Index: i + 1, Of: 3, CallsDone: i, Calls: 9})
		}
		p.File("writing a\x1b[2Jb.gguf", 0, 1<<20)
		p.File("writing a\x1b[2Jb.gguf", 5, 1<<20)
		p.File("hashing b.gguf", 5, 1<<20)
		p.File("waiting for another program", 0, 0)
		p.Note("a note")
		p.Close()
	}
	const want = "0/9 calls  gpt2-25m/native_cpu_f16/micro  measure 1/3  time left unknown\nwriting a\\x1b[2Jb.gguf (1 MiB)\nwaiting for another program\na note\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	dumb, err := io.ReadAll(read(t, far, end))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(string(dumb), "\r\n", "\n"); got != want {
		t.Errorf("on a dumb terminal %q, want %q", got, want)
	}
}

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
		far, end := openTerminal(t, uint16(columns))
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
		s := &screen{columns: columns}
		s.write(t, bufio.NewReader(bytes.NewReader(drawn)))
		if len(s.wrapped) > 0 || s.line != "" {
			t.Errorf("%d columns: wrapped %q, left %q", columns, s.wrapped, s.line)
		}
		if all := strings.Join(s.drawn, "\n"); !strings.Contains(all, "writing ") || !strings.Contains(all, "m.gguf") {
			t.Errorf("%d columns: drawn:\n%s", columns, all)
		}
		if strings.TrimSpace(stdout.String()) != path {
			t.Errorf("stdout: %q", stdout)
		}
	}
}
