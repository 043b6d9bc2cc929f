package terminal

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"llmscale/runner"
	"llmscale/runner/protocol"
	"llmscale/runner/terminal/terminaltest"
)

// TestProgressNeverWraps draws everything that is drawn, with names of every length, on terminals that become
// narrower and wider.
func TestProgressNeverWraps(t *testing.T) {
	t.Setenv("TERM", "xterm")
	far, end := terminaltest.Open(t, 80)
	p := New(end)
	if p.terminal == nil {
		t.Fatal("a pseudo-terminal is not taken for a terminal")
	}
	cells := []string{"m/b/s", "gpt2-25m/native_cpu_f16/micro", strings.Repeat("long-name.", 6) + "/" + strings.Repeat("backend", 9) + "/" + strings.Repeat("s", 64)}
	for _, columns := range []uint16{80, 40, 20, 16, 15, 3, 40, 33, 120, 80, 0} {
		terminaltest.Resize(t, far, columns)
		s := &terminaltest.Screen{Columns: int(columns)}
		if columns == 0 {
			s.Columns = 80 // a terminal that does not know its size
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
		s.Write(t, terminaltest.Read(t, far, end))
		if len(s.Wrapped) > 0 {
			t.Errorf("%d columns: wrapped: %q", columns, s.Wrapped[0])
		}
		if s.Line != "" {
			t.Errorf("%d columns: %q is left on the screen", columns, s.Line)
		}
		all := strings.Join(s.Drawn, "\n")
		if columns < minColumns && columns > 0 {
			if all != "" {
				t.Errorf("%d columns: drawn: %q", columns, all)
			}
			continue
		}
		if s.Columns >= 40 {
			for _, want := range []string{"425/432", "gpt2-25m", "1m30s left", "writing mod", "probing cpu, 2"} {
				if !strings.Contains(all, want) {
					t.Errorf("%d columns: no %q in\n%s", columns, want, all)
				}
			}
		}
		if s.Columns == 40 && !strings.Contains(all, "0/1  m/b/s  load 50 %") {
			t.Errorf("what is known is left out for what is not:\n%s", all)
		}
		if s.Columns >= 80 {
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
	far, end := terminaltest.Open(t, 40)
	var out bytes.Buffer
	for _, w := range []io.Writer{end, &out} {
		p := New(w)
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
	dumb, err := io.ReadAll(terminaltest.Read(t, far, end))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(string(dumb), "\r\n", "\n"); got != want {
		t.Errorf("on a dumb terminal %q, want %q", got, want)
	}
}
