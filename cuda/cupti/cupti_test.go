//go:build cuda

package cupti

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const envTest = "LLMSCALE_CUPTI_TEST"

// answer is what one process says: CUPTI is loaded once per process, so each case is a process of its own.
type answer struct {
	Error  string
	First  *Records
	Second *Records
	Again  string // what a second Start said
	After  string // what a Flush after Stop said
}

func TestMain(m *testing.M) {
	if os.Getenv(envTest) == "" {
		os.Exit(m.Run())
	}
	a := answer{}
	if err := record(&a); err != nil {
		a.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(a)
}

func record(a *answer) error {
	t, err := Start()
	if err != nil {
		return err
	}
	if _, err := Start(); err != nil {
		a.Again = err.Error()
	}
	if a.First, err = t.Flush(); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond) // of recorded work; the faked clock runs at another rate meanwhile
	if a.Second, err = t.Stop(); err != nil {
		return err
	}
	if _, err := t.Flush(); err != nil {
		a.After = err.Error()
	}
	return nil
}

func run(t *testing.T, home string, env ...string) answer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envTest+"=1", "CUDA_HOME="+home, "CUDA_PATH=", "LD_LIBRARY_PATH=")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return a
}

// fakeToolkit builds the faked library into the folder where a toolkit has it, with the headers of this build.
func fakeToolkit(t *testing.T) string {
	t.Helper()
	if headers() == 0 {
		t.Skip("built without cupti.h, which the toolkit's CUPTI part has")
	}
	if _, err := os.Stat(filepath.Join("testdata", "fake_cupti.c")); err != nil {
		t.Skip("the sources are not here to build a library from")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to build a library with")
	}
	flags, err := exec.Command("go", "env", "CGO_CFLAGS").Output()
	if err != nil {
		t.Skipf("no go to ask for the headers' folder: %v", err)
	}
	home := t.TempDir()
	dir := filepath.Join(home, "extras", "CUPTI", "lib64")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	// The name says which headers; candidates knows what the program was built with.
	name := filepath.Base(candidates(headers())[0])
	args := append(strings.Fields(strings.ReplaceAll(string(flags), "'", "")), "-shared", "-fPIC", "-o", filepath.Join(dir, name), filepath.Join("testdata", "fake_cupti.c"))
	if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return home
}

func TestRecords(t *testing.T) {
	a := run(t, fakeToolkit(t))
	if a.Error != "" {
		t.Fatal(a.Error)
	}
	if a.First == nil || len(a.First.Activities) != 0 {
		t.Errorf("before any work: %+v", a.First)
	}
	r := a.Second
	if len(r.Activities) != 4 || r.Untimed != 1 || r.Dropped != 0 {
		t.Fatalf("%d activities, %d untimed, %d dropped; want 4, 1, 0", len(r.Activities), r.Untimed, r.Dropped)
	}
	started := r.Activities[3].Bytes // the faked memory set says when it began
	for i, want := range []struct{ from, to int64 }{{-12000, -11000}, {-8000, -4000}, {-3000, -1000}, {0, 1000}} {
		got := r.Activities[i]
		for _, d := range []int64{got.StartNS - started - want.from, got.EndNS - started - want.to} {
			if d < 0 {
				d = -d
			}
			if d > r.ClockErrorNS+16 { // and what is lost in rounding
				t.Errorf("activity %d is at %d to %d ns, want %d to %d, within %d", i, got.StartNS-started, got.EndNS-started, want.from, want.to, r.ClockErrorNS)
			}
		}
		got.StartNS, got.EndNS = 0, 0
		r.Activities[i] = got
	}
	gemm := Activity{Kind: Kernel, Name: "sm90_gemm_not_mangled", Stream: 7, Correlation: 42,
		Grid: [3]int{768, 2, 1}, Block: [3]int{32, 4, 1}, Registers: 40, SharedBytes: 1152}
	matvec := gemm
	matvec.Name, matvec.Graph, matvec.GraphNode = "mul_mat_vec_q<(ggml_type)2, 1>", 3, 0x300000001
	want := []Activity{gemm, matvec,
		{Kind: Memcpy, Copy: "device to host", Bytes: 200064, Stream: 7, Correlation: 43},
		{Kind: Memset, Bytes: started, Stream: 8, Correlation: 44}}
	for i := range want {
		if r.Activities[i] != want[i] {
			t.Errorf("activity %d:\n got %+v\nwant %+v", i, r.Activities[i], want[i])
		}
	}
	if a.Again == "" || a.After == "" {
		t.Errorf("a second Start said %q, a Flush after Stop %q; want errors", a.Again, a.After)
	}
}

// TestFailures: what goes wrong is one sentence that says what to do, or a count.
func TestFailures(t *testing.T) {
	home := fakeToolkit(t)
	if a := run(t, home, "FAKE_DROPPED=5"); a.Error != "" || a.Second.Dropped != 5 {
		t.Errorf("5 dropped records: %q, %+v", a.Error, a.Second)
	}
	if a := run(t, home, "FAKE_END=21"); a.Error != "" || a.Second.Dropped != 1 || len(a.Second.Activities) != 4 { // CUPTI_ERROR_INVALID_KIND
		t.Errorf("a record that is not whole: %q, %+v", a.Error, a.Second)
	}
	other := 12
	version := "28"
	if headers() == 12 {
		other, version = 13, "130001"
	}
	for name, c := range map[string]struct {
		home string
		env  string
		want []string
	}{
		"another CUDA":    {home, "FAKE_VERSION=" + version, []string{fmt.Sprintf("of CUDA %d", other), "set CUDA_HOME"}},
		"older than both": {home, "FAKE_VERSION=18", []string{"of CUDA 11"}},
		"no driver":       {home, "FAKE_ENABLE_RESULT=15", []string{"cuptiActivityEnable(MEMCPY)", "CUPTI_ERROR_NOT_INITIALIZED", "driver"}},
		"not allowed":     {home, "FAKE_ENABLE_RESULT=35", []string{"NVreg_RestrictProfilingToAdminUsers"}},
		"a broken buffer": {home, "FAKE_END=999", []string{"cuptiActivityGetNextRecord"}},
		"not a library":   {notALibrary(t), "", []string{"libcupti.so"}},
		"another library": {anotherLibrary(t), "", []string{"lacks cuptiGetVersion"}},
	} {
		a := run(t, c.home, c.env)
		for _, w := range c.want {
			if !strings.Contains(a.Error, w) {
				t.Errorf("%s: %q does not hold %q", name, a.Error, w)
			}
		}
		if strings.Contains(a.Error, "\n") || !strings.HasPrefix(a.Error, "cupti: ") {
			t.Errorf("%s: %q", name, a.Error)
		}
	}
}

func notALibrary(t *testing.T) string {
	home := t.TempDir()
	path := filepath.Join(home, "lib64", filepath.Base(candidates(headers())[0]))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("no ELF"), 0o666); err != nil {
		t.Fatal(err)
	}
	return home
}

func anotherLibrary(t *testing.T) string {
	home := notALibrary(t)
	path := filepath.Join(home, "lib64", filepath.Base(candidates(headers())[0]))
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path)
	cmd.Stdin = strings.NewReader("int nothing;\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return home
}

// TestCandidates: every place of the program's own CUDA comes before any of another.
func TestCandidates(t *testing.T) {
	t.Setenv("CUDA_HOME", "/opt/toolkit")
	t.Setenv("CUDA_PATH", "")
	got := candidates(12)
	first := slices.IndexFunc(got, func(p string) bool { return filepath.Base(p) != "libcupti.so.12" })
	if first < 0 || slices.ContainsFunc(got[first:], func(p string) bool { return filepath.Base(p) != "libcupti.so.13" }) {
		t.Errorf("%q", got)
	}
	for _, want := range []string{"/opt/toolkit/extras/CUPTI/lib64/libcupti.so.12", "libcupti.so.12", "/usr/local/cuda/lib/libcupti.so.12"} {
		if i := slices.Index(got, want); i < 0 || i >= first {
			t.Errorf("%s is at %d of %d", want, i, first)
		}
	}
}
