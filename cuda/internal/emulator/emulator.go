// Package emulator gives tests a GPU where there is none: it builds the emulated
// driver of cuda/kernels/emulate and runs the calling test binary again with it. What
// runs there computes the right answers and takes times that mean nothing.
package emulator

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Driver is an emulated driver, for the time of a test.
type Driver struct{ dir string }

// Build makes it. kernels is the way from the test's folder to cuda/kernels. Without
// the sources, g++ or the toolkit's headers t is skipped.
func Build(t *testing.T, kernels string) Driver {
	t.Helper()
	sources := []string{"driver.cpp", "emulate.cpp", "kernels.cpp"}
	for i, s := range sources {
		sources[i] = filepath.Join(kernels, "emulate", s)
		if _, err := os.Stat(sources[i]); err != nil {
			t.Skip("the kernels' sources are not here: this test runs in the source tree")
		}
	}
	compiler, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("no g++ to build the emulated driver with")
	}
	find := exec.Command(filepath.Join(kernels, "..", "..", "scripts", "cuda-toolkit"), "--find")
	toolkit, err := find.Output()
	if err != nil {
		t.Skip("no CUDA toolkit to take cuda.h from")
	}
	dir := t.TempDir()
	args := append([]string{"-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DLS_EMULATE",
		"-I" + filepath.Join(strings.TrimSpace(string(toolkit)), "include"), "-Wl,-soname,libcuda.so.1",
		"-o", filepath.Join(dir, "libcuda.so.1")}, sources...)
	if out, err := exec.Command(compiler, append(args, "-lpthread")...).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, out)
	}
	return Driver{dir}
}

// Run runs the named tests of this test binary with the emulated GPU and fails t
// where one of them fails or is skipped. env is added to the environment.
func (d Driver) Run(t *testing.T, env []string, tests ...string) {
	t.Helper()
	again := exec.Command(os.Args[0], "-test.v", "-test.count=1", "-test.run", "^("+strings.Join(tests, "|")+")$")
	again.Env = append(os.Environ(), "LD_LIBRARY_PATH="+d.dir, Variable+"=1")
	again.Env = append(again.Env, env...)
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("with the emulated GPU: %v\n%s", err, out)
	}
	for _, name := range tests {
		if !strings.Contains(string(out), "--- PASS: "+name+" ") {
			t.Errorf("with the emulated GPU: %s did not pass\n%s", name, out)
		}
	}
	t.Logf("%s", out)
}

// Variable is set in the environment of tests that run with the emulated GPU.
const Variable = "LLMSCALE_EMULATED_GPU"

// Fault is the variable that names a kernel which shall do nothing.
const Fault = "LLMSCALE_EMULATED_FAULT"

// Serial is the variable with which every launch is waited for before the next, as profilers do.
const Serial = "LLMSCALE_EMULATED_SERIAL"
