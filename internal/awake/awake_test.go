package awake

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A busy machine makes timers late, never early: what is bounded from above has seconds to spare.

func TestTimer(t *testing.T) {
	start := time.Now()
	over := make(chan struct{})
	AfterFunc(60*time.Millisecond, func() { close(over) })
	<-over
	if took := time.Since(start); took < 60*time.Millisecond || took > 10*time.Second {
		t.Errorf("60 ms took %v", took)
	}

	fired := make(chan struct{}, 10)
	timer := AfterFunc(time.Second, func() { fired <- struct{}{} })
	for range 60 { // put off again and again
		time.Sleep(20 * time.Millisecond)
		timer.Reset(time.Second)
	}
	timer.Reset(40 * time.Millisecond) // another limit
	<-fired
	timer.Reset(time.Millisecond) // once more
	<-fired
	timer.Reset(time.Hour)
	timer.Stop()
	timer.Stop()
	AfterFunc(20*time.Millisecond, func() { fired <- struct{}{} }).Stop()
	time.Sleep(50 * time.Millisecond)
	if len(fired) != 0 {
		t.Error("a timer fired that was stopped")
	}
}

// TestPause plays a pause by turning back the time at which the current step began.
func TestPause(t *testing.T) {
	start := time.Now()
	fired := make(chan struct{})
	timer := AfterFunc(300*time.Millisecond, func() { close(fired) })
	timer.mu.Lock()
	timer.last = timer.last.Add(-time.Hour)
	timer.mu.Unlock()
	<-fired
	if took := time.Since(start); took < 250*time.Millisecond {
		t.Errorf("after a pause of an hour it fired at %v", took)
	}
}

func TestWithTimeout(t *testing.T) {
	ctx, cancel := WithTimeout(context.Background(), 20*time.Millisecond)
	inner, stop := context.WithCancel(ctx)
	defer stop()
	<-inner.Done()
	if !errors.Is(context.Cause(inner), context.DeadlineExceeded) {
		t.Error(context.Cause(inner))
	}
	cancel()

	ctx, cancel = WithTimeout(context.Background(), time.Hour)
	cancel()
	if <-ctx.Done(); context.Cause(ctx) != context.Canceled {
		t.Error(context.Cause(ctx))
	}
	parent, end := context.WithCancelCause(context.Background())
	ctx, cancel = WithTimeout(parent, time.Hour)
	defer cancel()
	end(errors.ErrUnsupported)
	if <-ctx.Done(); context.Cause(ctx) != errors.ErrUnsupported {
		t.Error(context.Cause(ctx))
	}
}
