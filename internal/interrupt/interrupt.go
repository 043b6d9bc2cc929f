// Package interrupt ends a wait for work that cannot be broken off.
// Package interrupt ends a wait for work that cannot be broken off.
package interrupt

import (
	"context"
	"errors"
)

// Err says that the caller's context ended before the work did.
var Err = errors.New("interrupted")

// Await does work that nothing can break off, and waits for its end or for that of ctx. Then the error is Err,
// and the work goes on until the process ends, which should be soon.
func Await(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return Err
	}
}
