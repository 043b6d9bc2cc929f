//go:build !cuda

package cupti

// Tracer records the GPU's work. This program has none.
type Tracer struct{}

// Start returns ErrNotBuilt.
func Start() (*Tracer, error) { return nil, ErrNotBuilt }

// Flush returns ErrNotBuilt.
func (*Tracer) Flush() (*Records, error) { return nil, ErrNotBuilt }

// Stop returns ErrNotBuilt.
func (*Tracer) Stop() (*Records, error) { return nil, ErrNotBuilt }
