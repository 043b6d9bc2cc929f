package interrupt

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how long after the first signal others are of the same event: a scheduler sends one to each process of a job,
// and the job's script passes its own on.
const sameSignal = 500 * time.Millisecond

// Signals returns a context that ends with the first Ctrl-C, SIGTERM, or SIGHUP of a terminal that was closed, unless
// that is ignored (nohup). A later one ends the process at once, as if there were no handler.
func Signals(parent context.Context) (ctx context.Context, release func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, release = signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, func() {
		time.Sleep(sameSignal)
		release()
	})
	return ctx, release
}
