//go:build cuda

package telemetry

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// The mocks stand above go-nvml; this goes through it and the dynamic loader to a C library, so that layouts,
// the union of a field's value and the absence of functions are as they are with a driver.
func TestThroughTheLoader(t *testing.T) {
	if Available() == nil {
		t.Skip("the real NVML is loaded here, and its functions would answer instead of the stub's")
	}
	if _, err := os.Stat("testdata/nvml_stub.c"); err != nil {
		t.Skip("the sources are not here to build a library from")
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml").Output()
	if err != nil {
		t.Fatal(err)
	}
	so := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	cc := exec.Command("cc", "-shared", "-fPIC", "-Wall", "-Wno-deprecated-declarations", "-DNVML_NO_UNVERSIONED_FUNC_DEFS",
		"-I", filepath.Join(strings.TrimSpace(string(dir)), "pkg", "nvml"), "-o", so, "testdata/nvml_stub.c")
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for range 2 { // closing and opening again must leave no function bound to a library that is gone
		g, err := openWith(nvml.New(nvml.WithLibraryPath(so)), "0", noEnv)
		if err != nil {
			t.Fatal(err)
		}
		got := newReader(g, frozen).take()
		if e := got.EnergyMJ.Value; e < 7_000_000 || e > 7_000_010 {
			t.Errorf("energy %d", e)
		}
		got.EnergyMJ = Maybe[uint64]{}
		want := Sample{
			AtNS: 5, PowerInstantW: known(123.456), SMClockMHz: known(1500.0), MemoryClockMHz: known(9500.0), TemperatureC: known(44.0),
			ClockEvents: known[uint64](4), MemoryUsedBytes: known[uint64](300),
		}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if m, err := g.Memory(); err != nil || m != (Memory{Total: 1000, Used: 300, Reserved: 10, HasReserved: true}) {
			t.Errorf("%+v, %v", m, err)
		}
		_, average, err := g.PowerFields()
		if err != nil || average.Err == nil || !strings.HasSuffix(average.Err.Error(), "Not Supported") {
			t.Errorf("%v, %v", average, err)
		}
		l, err := Processes(g)
		if err != nil {
			t.Fatal(err)
		}
		people := []Process{{PID: 11, Kinds: []string{"compute"}, Name: "stranger", UsedBytes: mibs(64)}, {PID: 12, Kinds: []string{"compute"}}}
		if !reflect.DeepEqual(l.Processes, people) || !l.Complete() {
			t.Errorf("%+v", l)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if average.Err.Error() == "" {
			t.Error("the words of an error went away with the library")
		}
	}
}
