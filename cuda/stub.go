//go:build !cuda

package cuda

// Built says whether this binary holds CUDA code.
const Built = false

// Available returns ErrNotBuilt.
func Available() error { return ErrNotBuilt }

// Device is a GPU. This build has none.
type Device struct{}

// Buffer is memory of a GPU. This build has none.
type Buffer struct{}

// Kernel is a function of a GPU. This build has none.
type Kernel struct{}

// Reservation is memory taken out of use. This build has none.
type Reservation struct{}

// Open returns ErrNotBuilt.
func Open(int) (*Device, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*Device) Close() error { return nil }

// Facts returns the zero value.
func (*Device) Facts() Facts { return Facts{} }

// MemInfo returns ErrNotBuilt.
func (*Device) MemInfo() (free, total int64, err error) { return 0, 0, ErrNotBuilt }

// Reserve returns ErrNotBuilt.
func (*Device) Reserve(int64) (*Reservation, error) { return nil, ErrNotBuilt }

// Bytes returns 0.
func (*Reservation) Bytes() int64 { return 0 }

// Close does nothing.
func (*Reservation) Close() error { return nil }

// Alloc returns ErrNotBuilt.
func (*Device) Alloc(int64) (*Buffer, error) { return nil, ErrNotBuilt }

// Bytes returns 0.
func (*Buffer) Bytes() int64 { return 0 }

func (*Buffer) address() uint64 { return 0 }

// Upload returns ErrNotBuilt.
func (*Buffer) Upload([]byte) error { return ErrNotBuilt }

// Download returns ErrNotBuilt.
func (*Buffer) Download([]byte) error { return ErrNotBuilt }

// Close does nothing.
func (*Buffer) Close() error { return nil }

// Kernel returns ErrNotBuilt.
func (*Device) Kernel(string) (*Kernel, error) { return nil, ErrNotBuilt }

// Name returns "".
func (*Kernel) Name() string { return "" }

// BlocksPerSM returns ErrNotBuilt.
func (*Kernel) BlocksPerSM(int) (int, error) { return 0, ErrNotBuilt }

// Run returns ErrNotBuilt.
func (*Device) Run(Work) error { return ErrNotBuilt }

// Time returns ErrNotBuilt.
func (*Device) Time(Timing) (Times, error) { return Times{}, ErrNotBuilt }

// TimeIsolated returns ErrNotBuilt.
func (*Device) TimeIsolated(Work, int) ([]float64, error) { return nil, ErrNotBuilt }
