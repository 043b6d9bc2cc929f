//go:build cuda

package cuda

import (
	"os"
	"testing"

	"llmscale/cuda/internal/emulator"
)

// TestEmulatedGPU runs this package's GPU tests where there is no GPU: what they test
// is the host's half.
func TestEmulatedGPU(t *testing.T) {
	if os.Getenv(emulator.Variable) != "" {
		t.Skip("this is the emulated GPU")
	}
	driver := emulator.Build(t, "kernels")
	driver.Run(t, nil, "TestFacts", "TestReserve", "TestCopyAndRun", "TestTime", "TestClose")
	driver.Run(t, []string{emulator.Serial + "=1"}, "TestSerialLaunches")
	driver.Run(t, []string{emulator.Serial + "=1", "LLMSCALE_NEVER_HOLD=1"}, "TestSerialLaunches")
}
