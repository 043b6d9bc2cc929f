package text

import (
	"fmt"
	"io"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer passes text on to a terminal or a log as SafeLines makes it, whoever wrote it.
type Writer struct {
	out io.Writer
	mu  sync.Mutex
	cut []byte // the beginning of a character whose end has not been written yet
}

// NewWriter returns a Writer to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Unwrap is where the text goes, for what has control characters to say to it.
func (w *Writer) Unwrap() io.Writer { return w.out }

func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := append(w.cut, p...)
	w.cut = nil
	// At most three bytes begin a character without ending it.
	for i := len(all) - 1; i >= 0 && i >= len(all)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(all[i]) {
			if !utf8.FullRune(all[i:]) {
				w.cut, all = append(w.cut, all[i:]...), all[:i]
			}
			break
		}
	}
	if _, err := io.WriteString(w.out, SafeLines(string(all))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was held back, which is no whole character.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.out, SafeLines(string(w.cut)))
	w.cut = nil
	return err
}

// JSON returns a JSON text with the characters that Safe escapes written as JSON's escapes, which read back as they
// were.
func JSON(data []byte) []byte {
	var out []byte // nil: nothing has been escaped yet
	done := 0
	for i := 0; i < len(data); {
		r, size := rune(data[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(data[i:])
		}
		if r > ' ' && acts(r) { // blanks and line ends are the layout: inside a string JSON escapes them itself
			out = append(out, data[done:i]...)
			if r > 0xffff {
				high, low := utf16.EncodeRune(r)
				out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			done = i + size
		}
		i += size
	}
	if out == nil {
		return data
	}
	return append(out, data[done:]...)
}
