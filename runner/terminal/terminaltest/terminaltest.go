// Package terminaltest opens terminals for tests and reads what programs draw on them.
package terminaltest

import (
	"bufio"
	"bytes"
	"os"
	"testing"

	"github.com/creack/pty"

	"llmscale/internal/text"
)

// Screen is a terminal's last line as programs of this century see it: a character beyond the last column wraps.
type Screen struct {
	Columns int
	Line    string // as far as the cursor
	Drawn   []string
	Wrapped []string
}

// Write takes what a program wrote. It fails on codes that it does not know.
func (s *Screen) Write(t testing.TB, r *bufio.Reader) {
	t.Helper()
	for {
		c, _, err := r.ReadRune()
		if err != nil {
			return
		}
		switch c {
		case '\r', '\n':
			if s.Line != "" {
				s.Drawn = append(s.Drawn, s.Line)
			}
			s.Line = ""
		case '\x1b':
			code, err := r.ReadString('K')
			if err != nil || code != "[2K" && code != "[0K" {
				t.Fatalf("unknown code %q (%v)", code, err)
			}
		default:
			s.Line += string(c)
			if text.Width(s.Line) > s.Columns {
				s.Wrapped = append(s.Wrapped, s.Line)
			}
		}
	}
}

// Open returns both ends of a pseudo-terminal: what a program writes on end can be read from far.
func Open(t testing.TB, columns uint16) (far, end *os.File) {
	t.Helper()
	far, end, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminal here: " + err.Error())
	}
	t.Cleanup(func() { far.Close(); end.Close() })
	Resize(t, far, columns)
	return far, end
}

// Resize gives a terminal another width.
func Resize(t testing.TB, far *os.File, columns uint16) {
	t.Helper()
	if err := pty.Setsize(far, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
}

// Read returns what was written so far: the mark that is written behind it ends it.
func Read(t testing.TB, far, end *os.File) *bufio.Reader {
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
