//go:build !cuda

package telemetry

// Available returns ErrNotBuilt.
func Available() error { return ErrNotBuilt }

// GPU is one card. This build has none.
type GPU struct{ Device }

// Open returns ErrNotBuilt.
func Open(string) (*GPU, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*GPU) Close() error { return nil }
