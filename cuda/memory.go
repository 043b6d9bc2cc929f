//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// Buffer is memory of a Device. Close it before the Device.
type Buffer struct {
	device *Device
	at     cu.DevicePtr
	bytes  int64
}

// Alloc takes bytes of the GPU's memory, aligned to at least 256 bytes. The contents
// are undefined.
func (d *Device) Alloc(bytes int64) (*Buffer, error) {
	if bytes < 1 {
		return nil, fmt.Errorf("cuda: a buffer of %d bytes", bytes)
	}
	b := &Buffer{device: d, bytes: bytes}
	err := d.do(func() (err error) {
		if b.at, err = cu.MemAlloc(bytes); err != nil {
			return toError(fmt.Sprintf("allocate %d bytes", bytes), err)
		}
		d.open[b] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Bytes is the buffer's size.
func (b *Buffer) Bytes() int64 { return b.bytes }

func (b *Buffer) address() uint64 { return uint64(b.at) }

// free runs on the device's thread.
func (b *Buffer) free() error {
	delete(b.device.open, b)
	at := b.at
	b.at = 0 // a kernel that is given it now is refused
	return toError(fmt.Sprintf("free %d bytes", b.bytes), cu.MemFree(at))
}

// Close gives the memory back. A second Close does nothing.
func (b *Buffer) Close() error {
	err := b.device.do(func() error {
		if !b.device.open[b] {
			return nil
		}
		return b.free()
	})
	if errors.Is(err, ErrClosed) {
		return nil // Device.Close freed and reported it
	}
	return err
}

// Upload copies data to the buffer's start and waits until it is there.
func (b *Buffer) Upload(data []byte) error {
	return b.copy("upload", data, func() error {
		if err := cu.MemcpyHtoD(b.at, unsafe.Pointer(&data[0]), int64(len(data))); err != nil {
			return err
		}
		// From pageable memory the call returns while the last piece is on its way.
		return cu.Synchronize()
	})
}

// Download copies the buffer's start into data.
func (b *Buffer) Download(data []byte) error {
	return b.copy("download", data, func() error {
		return cu.MemcpyDtoH(unsafe.Pointer(&data[0]), b.at, int64(len(data)))
	})
}

func (b *Buffer) copy(op string, data []byte, f func() error) error {
	if int64(len(data)) > b.bytes {
		return fmt.Errorf("cuda: %s: %d bytes and a buffer of %d", op, len(data), b.bytes)
	}
	if len(data) == 0 {
		return nil
	}
	return b.device.do(func() error {
		if !b.device.open[b] {
			return fmt.Errorf("cuda: %s: the buffer is closed", op)
		}
		return toError(fmt.Sprintf("%s %d bytes", op, len(data)), f())
	})
}

// Reservation is GPU memory that is held and not used, so that what runs beside it
// sees a smaller card.
type Reservation struct {
	chunks []*Buffer
	bytes  int64
}

// reservationChunk keeps a reservation possible where memory is in pieces.
const reservationChunk = 1 << 30

// Reserve takes bytes of the GPU's memory out of use until Close. All or nothing:
// where there is not as much, errors.Is(err, ErrNoMemory) and nothing is held.
func (d *Device) Reserve(bytes int64) (*Reservation, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cuda: a reservation of %d bytes", bytes)
	}
	// Asked first, so that a hopeless request does not push others to their limit.
	free, _, err := d.MemInfo()
	if err != nil {
		return nil, err
	}
	if bytes > free {
		return nil, &Error{
			Op: fmt.Sprintf("reserve %d bytes", bytes), Code: codeNoMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY",
			Message: fmt.Sprintf("%d bytes are free", free),
		}
	}
	r := &Reservation{bytes: bytes}
	for left := bytes; left > 0; left -= reservationChunk {
		b, err := d.Alloc(min(left, reservationChunk))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cuda: reserve %d bytes: %w", bytes, err), r.Close())
		}
		r.chunks = append(r.chunks, b)
	}
	return r, nil
}

// Bytes is how much is held.
func (r *Reservation) Bytes() int64 { return r.bytes }

// Close gives the memory back. A second Close does nothing.
func (r *Reservation) Close() error {
	var errs []error
	for _, b := range r.chunks {
		errs = append(errs, b.Close())
	}
	r.chunks, r.bytes = nil, 0
	return errors.Join(errs...)
}
