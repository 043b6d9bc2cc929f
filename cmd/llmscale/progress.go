package main

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
)

// progress shows a run: a bar on a terminal, a line per phase elsewhere. It draws
// only when told to, between timed calls: a bar that redraws itself would run
// beside the measurement.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	bar      *progressbar.ProgressBar // nil until something is drawn
	total    int64                    // the bar's scale
	phase    string                   // last one announced on plain output
	lastLine time.Time
	file     string // last one announced on plain output
	lastFile time.Time
}

var _ runner.Progress = (*progress)(nil)

func newProgress(out io.Writer) *progress {
	if w, ok := out.(*text.Writer); ok {
		out = w.Unwrap() // a bar is made of control characters; what it says is made safe here
	}
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// draw shows done of total. A bar's scale is fixed, so that another total means
// another bar.
func (p *progress) draw(what string, done, total int64) {
	if p.bar == nil || p.total != total {
		p.clear()
		p.total = total
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetWidth(24),
			progressbar.OptionSetPredictTime(false), // the run's own estimate knows the models' sizes
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetRenderBlankState(true),
		)
	}
	p.bar.Describe(what)
	// Never "finished", after which a bar draws no more. One that cannot be drawn
	// is no reason to stop.
	_ = p.bar.Set64(min(done, total-1))
}

// Update shows what comes next.
func (p *progress) Update(s runner.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Cell = text.Safe(s.Cell)
	what := string(s.Phase)
	switch {
	case s.Of > 0:
		what = fmt.Sprintf("%s %d/%d", s.Phase, s.Index, s.Of)
	case s.Share > 0:
		what = fmt.Sprintf("%s %.0f %%", s.Phase, 100*s.Share)
	}
	left := "time left unknown"
	if s.Remaining > 0 {
		left = s.Remaining.Round(time.Second).String() + " left"
	}
	if p.terminal {
		p.draw(fmt.Sprintf("%d/%d calls  %s  %s  %s", s.CallsDone, s.Calls, s.Cell, what, left), int64(s.CallsDone), int64(s.Calls))
		return
	}
	// In a log, a line for each phase of a cell, and one now and then in between.
	phase := s.Cell + " " + string(s.Phase)
	if phase != p.phase || time.Since(p.lastLine) > 30*time.Second {
		p.phase, p.lastLine = phase, time.Now()
		fmt.Fprintf(p.out, "%d/%d calls  %s  %s  %s\n", s.CallsDone, s.Calls, s.Cell, what, left)
	}
}

// Stored does nothing: the next Update shows the count.
func (p *progress) Stored(string, int, string) {}

// Note prints a line that stays.
func (p *progress) Note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, text.SafeLines(line))
}

// File shows that a model is being written or hashed; sizes in bytes.
func (p *progress) File(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what = text.Safe(what)
	if !p.terminal {
		// Hashing is quick; only writing is worth a line in a log.
		if what != p.file && strings.HasPrefix(what, "writing") {
			p.file = what
			fmt.Fprintf(p.out, "%s (%s)\n", what, text.Size(total))
		}
		return
	}
	if time.Since(p.lastFile) < 100*time.Millisecond && done < total {
		return
	}
	p.lastFile = time.Now()
	p.draw(what, done, max(total, 1))
}

// Probe shows how far a probe has come, outside a run.
func (p *progress) Probe(s runner.ProbeSpec, share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := "probing " + s.String()
	if p.terminal {
		p.draw(what, int64(1000*share), 1000)
	} else if what != p.phase {
		p.phase = what
		fmt.Fprintln(p.out, what)
	}
}

// Clear removes the bar from the screen until the next update.
func (p *progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// Close removes the bar.
func (p *progress) Close() { p.Clear() }
