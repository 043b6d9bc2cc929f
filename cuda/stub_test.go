//go:build !cuda

package cuda

import (
	"errors"
	"testing"
)

func TestStub(t *testing.T) {
	if Built {
		t.Error("a binary without CUDA says that it has it")
	}
	if err := Available(); err != ErrNotBuilt {
		t.Errorf("Available: %v", err)
	}
	d, err := Open(0)
	if d != nil || !errors.Is(err, ErrNotBuilt) {
		t.Errorf("Open: %v, %v", d, err)
	}
}
