// Package terminal shows people how far a run has come.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/protocol"
)

// Progress shows a run: a bar on a terminal, a line per phase elsewhere. It draws
// only when told to, between timed calls: a bar that redraws itself would run
// beside the measurement.
type Progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal *os.File                 // out, where that is a terminal; nil otherwise
	bar      *progressbar.ProgressBar // nil until something is drawn
	total    int64                    // the bar's scale
	phase    string                   // last one announced on plain output
	lastLine time.Time
	file     string // last one announced on plain output
	lastFile time.Time
}

var _ runner.Progress = (*Progress)(nil)

// New shows runs on out.
func New(out io.Writer) *Progress {
	if w, ok := out.(*text.Writer); ok {
		out = w.Unwrap() // a bar is made of control characters; what it says is made safe here
	}
	p := &Progress{out: out}
	// A dumb terminal knows no codes that clear a line: it gets lines.
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.terminal = f
	}
	return p
}

const (
	barWidth   = 24
	barAround  = 10 // what the library puts around bar and description: " 100% [] " and a blank
	minColumns = 16 // narrower terminals get no bar
)

// draw shows done of total beside what, a text in at most that many columns. The library makes the bar as narrow as
// the terminal, but never the text. A bar's scale is fixed, so that another total means another bar.
func (p *Progress) draw(what func(columns int) string, done, total int64) {
	columns, _, err := term.GetSize(int(p.terminal.Fd()))
	bar := columns / 10 // that much is left for it at least
	if err != nil || columns <= 0 {
		columns, bar = 80, barWidth // nor will the library know, which then makes its bar as wide as it was told
	}
	if columns < minColumns {
		p.clear()
		return
	}
	if total = max(total, 1); p.bar == nil || p.total != total {
		p.clear()
		p.total = total
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.terminal),
			progressbar.OptionSetWidth(barWidth),
			progressbar.OptionSetTheme(progressbar.ThemeASCII), // as wide in every locale
			// Otherwise a line is cleared by blanks, as many as it was long, which wrap where the terminal has become
			// narrower since.
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetPredictTime(false), // the run's own estimate knows the models' sizes
			progressbar.OptionSetElapsedTime(false),
		)
	}
	// Never "finished", after which a bar draws no more. One that cannot be drawn
	// is no reason to stop.
	room := columns - barAround - bar
	p.bar.Describe(text.Elide(what(room), room))
	_ = p.bar.Set64(min(done, total-1))
}

// statusLine says what comes next. Where it takes more than the columns, it loses first what the counts tell as well.
func statusLine(s runner.Status, columns int) string {
	cell := text.Safe(s.Cell)
	what := string(s.Phase)
	switch {
	case s.Of > 0:
		what = fmt.Sprintf("%s %d/%d", s.Phase, s.Index, s.Of)
	case s.Share > 0:
		what = fmt.Sprintf("%s %.0f %%", s.Phase, 100*s.Share)
	}
	counts := fmt.Sprintf("%d/%d", s.CallsDone, s.Calls)
	left, short := "time left unknown", what
	if s.Remaining > 0 {
		left = s.Remaining.Round(time.Second).String() + " left"
		short = left
	}
	const least = 12 // columns of a cell's name that still tell one from another
	for _, parts := range [][2]string{{counts + " calls  ", "  " + what + "  " + left}, {counts + "  ", "  " + what + "  " + left}, {counts + "  ", "  " + short}} {
		if room := columns - text.Width(parts[0]+parts[1]); room >= min(text.Width(cell), least) {
			return parts[0] + text.Elide(cell, room) + parts[1]
		}
	}
	return counts + "  " + text.Elide(cell, max(columns-len(counts)-2, 0))
}

// Update shows what comes next.
func (p *Progress) Update(s runner.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal != nil {
		p.draw(func(columns int) string { return statusLine(s, columns) }, int64(s.CallsDone), int64(s.Calls))
		return
	}
	// In a log, a line for each phase of a cell, and one now and then in between.
	phase := s.Cell + " " + string(s.Phase)
	if phase != p.phase || time.Since(p.lastLine) > 30*time.Second {
		p.phase, p.lastLine = phase, time.Now()
		fmt.Fprintln(p.out, statusLine(s, 1<<20))
	}
}

// Stored does nothing: the next Update shows the count.
func (p *Progress) Stored(string, int, int, string) {}

// Note prints a line that stays.
func (p *Progress) Note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, text.SafeLines(line))
}

// File shows that a model is being written or hashed, sizes in bytes, or without them what is waited for.
func (p *Progress) File(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what = text.Safe(what)
	if p.terminal == nil {
		// Hashing is quick, and not worth a line in a log.
		switch {
		case what == p.file || strings.HasPrefix(what, "hashing"):
			return
		case total > 0:
			fmt.Fprintf(p.out, "%s (%s)\n", what, text.Size(total))
		default:
			fmt.Fprintln(p.out, what)
		}
		p.file = what
		return
	}
	if time.Since(p.lastFile) < 100*time.Millisecond && done < total {
		return
	}
	p.lastFile = time.Now()
	p.draw(func(columns int) string { return text.Elide(what, columns) }, done, total)
}

// Probe shows how far a probe has come, outside a run.
func (p *Progress) Probe(s protocol.ProbeSpec, share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := "probing " + s.String()
	if p.terminal != nil {
		p.draw(func(columns int) string { return text.Elide(what, columns) }, int64(1000*share), 1000)
	} else if what != p.phase {
		p.phase = what
		fmt.Fprintln(p.out, what)
	}
}

// Clear removes the bar from the screen until the next update.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *Progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// Close removes the bar.
func (p *Progress) Close() { p.Clear() }
