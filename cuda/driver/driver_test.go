//go:build cuda

package driver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The libraries are looked for once per process, so each case is a process: this
// test binary again, with nothing to do but print what it finds.
func TestMain(m *testing.M) {
	if os.Getenv("LLMSCALE_DRIVER_TEST") != "" {
		for _, err := range []error{Status(), CuBLAS()} {
			if err == nil {
				println("ok")
			} else {
				println(err.Error())
			}
		}
		if v, err := Version(); err == nil {
			println(v)
		} else {
			println(err.Error())
		}
		return
	}
	os.Exit(m.Run())
}

// build compiles C into dir/name and skips the test where there is no compiler.
func build(t *testing.T, dir, name, source string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to build a library with")
	}
	cmd := exec.Command(gcc, "-shared", "-fPIC", "-x", "c", "-", "-o", filepath.Join(dir, name))
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func statuses(t *testing.T, dir string, env ...string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LLMSCALE_DRIVER_TEST=1", "LD_LIBRARY_PATH="+dir, "CUDA_HOME=", "CUDA_PATH=")
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("want three lines, have %q", lines)
	}
	return lines
}

// A test's libcuda has one of cuInit's possible answers and devices many devices.
const testDriver = `
	int cuInit(unsigned f) { return INIT; }
	int cuDeviceGetCount(int * n) { *n = DEVICES; return 0; }
	int cuDriverGetVersion(int * v) { *v = 4711; return 0; }
	int cuGetErrorString(int e, const char ** s) { *s = "the reason"; return e == 999; }
`

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name, source     string
		want             string // in the sentence about the driver
		forwardedVersion string
	}{
		{"a driver with a GPU", testDriver, "ok", "4711"},
		{"a driver without a GPU", strings.ReplaceAll(testDriver, "DEVICES", "0"), "the reason (CUDA error 100)", "4711"},
		{"a driver that does not start", strings.ReplaceAll(testDriver, "INIT", "803"), "does not start: the reason (CUDA error 803)", "4711"},
		{"a driver without words", strings.ReplaceAll(testDriver, "INIT", "999"), "no further word from it (CUDA error 999)", "4711"},
		{"not a driver", "int nothing;", "is not a CUDA driver", "cuDriverGetVersion: CUDA error 801"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			build(t, dir, "libcuda.so.1", strings.NewReplacer("INIT", "0", "DEVICES", "1").Replace(c.source))
			lines := statuses(t, dir)
			if !strings.Contains(lines[0], c.want) {
				t.Errorf("%q, want %q in it", lines[0], c.want)
			}
			if lines[2] != c.forwardedVersion {
				t.Errorf("cuDriverGetVersion through the jump: %s, want %s", lines[2], c.forwardedVersion)
			}
		})
	}
}

func TestNoDriver(t *testing.T) {
	if _, err := exec.Command("sh", "-c", "ldconfig -p | grep -q libcuda.so.1").Output(); err == nil {
		t.Skip("this machine has a driver")
	}
	lines := statuses(t, t.TempDir())
	if want := "no NVIDIA driver: libcuda.so.1 is not on this machine"; lines[0] != want {
		t.Errorf("%q, want %q", lines[0], want)
	}
	// What is called all the same answers with an error, and does not crash.
	if lines[2] != "cuDriverGetVersion: CUDA error 801" {
		t.Errorf("cuDriverGetVersion without a driver: %s", lines[2])
	}
}

// TestLibraries: a library is found in each folder of a toolkit's layouts, and of NVIDIA's pip packages, with CUDA_HOME or
// without: a copy on the loader's path.
func TestLibraries(t *testing.T) {
	for _, folder := range []string{"lib64", "lib", "targets/x86_64-linux/lib"} {
		root := t.TempDir()
		dir := filepath.Join(root, folder)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		build(t, dir, fmt.Sprintf("libcublas.so.%d", major), `
			#include <stdio.h>
			#include <stdlib.h>
			__attribute__((constructor)) static void loaded(void) { fclose(fopen(getenv("LOADED"), "w")); }
			int cublasCreate_v2(void ** h) { return 0; }
		`)
		for how, env := range map[string]string{"CUDA_HOME": "CUDA_HOME=" + root, "CUDA_PATH": "CUDA_PATH=" + root, "the loader": "LD_LIBRARY_PATH=" + dir} {
			note := filepath.Join(t.TempDir(), "loaded")
			lines := statuses(t, t.TempDir(), env, "LOADED="+note)
			if _, err := os.Stat(note); err != nil || lines[1] != "ok" {
				t.Errorf("in %s, by %s: %s, %v", folder, how, lines[1], err)
			}
		}
	}
	t.Setenv("CUDA_HOME", "/opt/toolkit")
	got := LibraryPaths("libcupti.so.13")
	if got[0] != "/opt/toolkit/lib64/libcupti.so.13" || !slices.Contains(got, "/opt/toolkit/extras/CUPTI/lib64/libcupti.so.13") || !slices.Contains(got, "/usr/local/cuda/extras/CUPTI/lib64/libcupti.so.13") {
		t.Errorf("%q", got)
	}
	if loader, usual := slices.Index(got, "libcupti.so.13"), slices.Index(got, "/usr/local/cuda/lib64/libcupti.so.13"); loader < 0 || usual < loader {
		t.Errorf("the loader's own path comes at %d, the usual toolkit at %d", loader, usual)
	}
}
