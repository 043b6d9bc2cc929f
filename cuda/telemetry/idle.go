package telemetry

import (
	"context"
	"fmt"
	"time"
)

// Settle is how long to let a sampler run before the first window and after the last one, so that the
// energy counter ticks on both sides of it: two ticks of the slowest counters known, about 0.1 s each.
const Settle = 250 * time.Millisecond

// IdlePower samples dev for Settle, for length and for Settle again, in which time the caller runs nothing
// on it, and summarises the middle: what a measured power is to be compared with.
//
// Take it while the process's CUDA context is open: an open context alone keeps the card at higher clocks
// and draws more than an unused one. Let the card cool first, as leakage adds to what a hot one draws.
// That nothing runs is for the caller to know: see Processes and Foreign. It returns ctx's error where ctx
// ends first.
func IdlePower(ctx context.Context, dev Sensors, length, every time.Duration) (Window, error) {
	s := Start(dev, every)
	start := Now() + Settle.Nanoseconds()
	timer := time.NewTimer(length + 2*Settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		s.Stop()
		return Window{}, fmt.Errorf("telemetry: idle power: %w", ctx.Err())
	}
	series := s.Stop()
	if series.Ended != "" {
		return Window{}, fmt.Errorf("telemetry: idle power: %s", series.Ended)
	}
	return Summarise(series, start, start+length.Nanoseconds()), nil
}
