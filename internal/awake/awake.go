// Package awake has time limits that count only the time in which this process ran. A process that was stopped
// (SIGSTOP, a frozen control group, a suspended machine) finds all of its timers expired when it goes on, and would
// blame others for a silence of its own.
package awake

import (
	"context"
	"sync"
	"time"
)

// A limit is counted in steps, and a step that took much longer than it should was not all spent running: it counts as
// one step. So what was slept is counted as one step at most.
const (
	steps    = 20 // of a limit
	shortest = 10 * time.Millisecond
	tardy    = 2 // steps that a step on a busy machine may take
)

// Timer calls a function once its process has run for a time.
type Timer struct {
	mu   sync.Mutex
	f    func()
	all  time.Duration // as Reset was told
	left time.Duration
	step time.Duration
	last time.Time   // since when left is counted down
	wake *time.Timer // nil while the timer is stopped or has fired
}

// AfterFunc calls f, in a goroutine of its own, once the process has run for d.
func AfterFunc(d time.Duration, f func()) *Timer {
	t := &Timer{f: f}
	t.Reset(d)
	return t
}

// Reset begins anew with d, also if the timer has fired or was stopped.
func (t *Timer) Reset(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wake != nil && t.all == d {
		t.left = d + time.Since(t.last) // cheap: what is reset with each token must not cost one
		return
	}
	t.halt()
	t.all, t.left, t.step = d, d, max(d/steps, min(shortest, d))
	t.arm()
}

// Stop keeps the timer from firing. f may be running already.
func (t *Timer) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.halt()
}

func (t *Timer) halt() {
	if t.wake != nil {
		t.wake.Stop()
		t.wake = nil
	}
}

// arm waits for the next step.
func (t *Timer) arm() {
	t.last = time.Now()
	var w *time.Timer
	w = time.AfterFunc(min(t.step, max(t.left, 0)), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.wake == w { // otherwise it was stopped while it fired
			t.tick()
		}
	})
	t.wake = w
}

func (t *Timer) tick() {
	ran := time.Since(t.last)
	late := ran > max(tardy*t.step, t.step+shortest)
	if late {
		ran = t.step
	}
	t.left -= ran
	if t.left <= 0 && !late {
		t.wake = nil
		go t.f()
		return
	}
	if late {
		t.left = max(t.left, t.step) // for what came in during the pause to be seen
	}
	t.arm()
}

// WithTimeout is context.WithTimeout by such a timer. The cause, and not the error, of the context that it ends is
// context.DeadlineExceeded; nobody is told the deadline, since there is none on any clock.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		t.Stop()
		cancel(context.Canceled)
	}
}
