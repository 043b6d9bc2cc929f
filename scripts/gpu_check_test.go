package scripts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A program that behaves as FAKE asks, in place of llmscale, its tests and python3, and notes how it was called.
const fakeProgram = `#!/usr/bin/env bash
echo "$(basename "$0") $* LD=$LD_LIBRARY_PATH HOLD=$LLMSCALE_NEVER_HOLD" >>"$CALLS"
case "$FAKE $1" in
nogo*doctor) exit 1 ;;
nogo*run) exit 3 ;;
esac
if [ "$1" = run ]; then
    while [ $# -gt 0 ]; do if [ "$1" = --out ]; then dir=$2; fi; shift; done
    mkdir -p "$dir"
    echo '{"status":"ok","cuda_event_ms":1.5}' >"$dir/runs.jsonl"
    case "$FAKE $dir" in
    hang*/8b) sleep 60 ;;
    large*/8b) mkdir -p "$dir/../profile"; head -c 300000 /dev/urandom >"$dir/../profile/trace.json" ;;
    esac
fi
exit 0
`

// gpuCheck is the check with fake programs in an empty folder.
type gpuCheck struct {
	t              *testing.T
	dir, out, home string
}

func newGPUCheck(t *testing.T) gpuCheck {
	t.Helper()
	g := gpuCheck{t: t, dir: t.TempDir()}
	g.out, g.home = filepath.Join(g.dir, "out"), filepath.Join(g.dir, "toolkit")
	put := func(name, text string) {
		path := filepath.Join(g.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	put("gpu-check", read(t, "gpu-check"))
	for _, name := range []string{"bin/llmscale", "bin/llama-bench", "path/python3", "path/ncu", "path/compute-sanitizer"} {
		put(name, fakeProgram)
	}
	for _, name := range []string{"native", "kernels", "cuda", "telemetry", "cupti", "driver", "probe"} {
		put("bin/tests/"+name+".test", fakeProgram)
	}
	put("toolkit/lib/libcublas.so.13", "")
	put("toolkit/extras/CUPTI/lib64/libcupti.so.13", "")
	return g
}

// run runs the check and returns what it printed and its exit code.
func (g gpuCheck) run(env []string, args ...string) (string, int) {
	g.t.Helper()
	cmd := exec.Command(filepath.Join(g.dir, "gpu-check"), append([]string{g.out}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(g.dir, "path")+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(g.dir, "calls"), "CUDA_HOME="+g.home,
		"MODELS_DIR="+filepath.Join(g.dir, "models"), "GPU_CHECK_REPORTS=0", "LD_LIBRARY_PATH=")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		g.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (g gpuCheck) file(name string) string { return read(g.t, filepath.Join(g.dir, name)) }

// archived lists what came back.
func (g gpuCheck) archived() []string {
	g.t.Helper()
	out, err := exec.Command("tar", "-tzf", g.out+".tar.gz").Output()
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// TestGPUCheckOrder: every step runs, the smoke test and the 8B cell first, and all that was measured is in one file.
func TestGPUCheckOrder(t *testing.T) {
	g := newGPUCheck(t)
	out, code := g.run(nil)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	done := strings.Fields(g.file("out/done.txt"))
	lists := regexp.MustCompile(`(?m)^[ab]=\((.*)\)$`).FindAllStringSubmatch(read(t, "gpu-check"), -1)
	if want := strings.Fields(lists[0][1] + " " + lists[1][1]); !slices.Equal(done, want) || done[0] != "smoke" || done[1] != "8b" {
		t.Errorf("steps %q, want %q", done, want)
	}
	if got := g.archived(); !slices.Contains(got, "out/8b/runs.jsonl") || !slices.Contains(got, "out/steps.tsv") {
		t.Errorf("the archive holds %q", got)
	}
	calls := g.file("calls")
	for line := range strings.Lines(calls) {
		program, rest, _ := strings.Cut(line, " ")
		ld := regexp.MustCompile(`LD=(\S*)`).FindStringSubmatch(line)[1]
		found := strings.Contains(ld, g.home+"/lib:") && strings.Contains(ld, g.home+"/extras/CUPTI/lib64")
		if python := program == "python3"; found == python && !regexp.MustCompile(`^(synth|analyze)`).MatchString(rest) {
			t.Errorf("with libraries in %q: %s", ld, line)
		}
		// What waits for every launch must not meet a stream that is held back.
		if regexp.MustCompile(`^(ncu|compute-sanitizer).*probe\.test`).MatchString(line) && !strings.Contains(line, "HOLD=1") {
			t.Errorf("the blocking kernel would run: %s", line)
		}
	}
	// The profile is of the file that the 8B cell has loaded.
	if !regexp.MustCompile(`profile --model shape:llama3.1-8b --dtype q4_0 .*--models-dir \S+/models`).MatchString(calls) {
		t.Error("no profile of the 8B file")
	}
	if out, code := g.run(nil, "ladder"); code != 2 || !strings.Contains(out, "has the step ladder already") {
		t.Errorf("a second time: exit code %d, %s", code, out)
	}
	if out, code := g.run(nil, "ladders"); code != 2 || !strings.Contains(out, "no step ladders") {
		t.Errorf("an unknown step: exit code %d, %s", code, out)
	}
}

// TestGPUCheckNoGo: where no model runs on the GPU the check stops, and the reason is in the archive.
func TestGPUCheckNoGo(t *testing.T) {
	g := newGPUCheck(t)
	out, code := g.run([]string{"FAKE=nogo"})
	if code != 1 || !strings.Contains(out, "no model ran on the GPU") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if calls := g.file("calls"); strings.Contains(calls, "gpu-8b.yaml") {
		t.Errorf("it went on:\n%s", calls)
	}
	if got := g.archived(); !slices.Contains(got, "out/smoke-doctor.log") || !slices.Contains(got, "out/doctor.log") {
		t.Errorf("the archive holds %q", got)
	}
	// To see that the steps run, it is walked through all the same.
	g = newGPUCheck(t)
	if _, code := g.run([]string{"FAKE=nogo", "GPU_CHECK_WALK=1"}, "8b"); code != 1 || !strings.Contains(g.file("calls"), "gpu-8b.yaml") {
		t.Errorf("a walk: exit code %d", code)
	}
}

// TestGPUCheckTime: a step is ended at its time, those that no time is left for say so, and what was measured is kept.
func TestGPUCheckTime(t *testing.T) {
	g := newGPUCheck(t)
	started := time.Now()
	_, code := g.run([]string{"FAKE=hang", "GPU_CHECK_SECONDS=23"}, "8b", "gpt2") // 15 of them are kept for the report
	if took := time.Since(started); code != 1 || took > 25*time.Second {
		t.Errorf("exit code %d after %v", code, took)
	}
	steps := g.file("out/steps.tsv")
	if !regexp.MustCompile(`(?m)^8b\t124\t`).MatchString(steps) || !regexp.MustCompile(`(?m)^gpt2\t124\t0$`).MatchString(steps) {
		t.Errorf("steps:\n%s", steps)
	}
	if got := g.archived(); !slices.Contains(got, "out/8b/runs.jsonl") {
		t.Errorf("the archive holds %q", got)
	}
}

// TestGPUCheckArchive: what is too large to come back leaves the rest whole.
func TestGPUCheckArchive(t *testing.T) {
	g := newGPUCheck(t)
	out, _ := g.run([]string{"FAKE=large", "GPU_CHECK_MOST_BYTES=100000"}, "8b")
	if !strings.Contains(out, "the archive is without --exclude=trace.json") {
		t.Errorf("it does not say what is left out:\n%s", out)
	}
	if got := g.archived(); !slices.Contains(got, "out/8b/runs.jsonl") || slices.Contains(got, "out/profile/trace.json") {
		t.Errorf("the archive holds %q", got)
	}
}

// TestGPUVisitCommands: both commands are ones for bash, short enough, and name steps that there are.
func TestGPUVisitCommands(t *testing.T) {
	out, err := exec.Command("./gpu-visit", "print").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "GPU_CHECK_SECONDS=") {
			continue
		}
		n++
		if check, err := exec.Command("bash", "-n", "-c", line).CombinedOutput(); err != nil || len(line) > 2000 {
			t.Errorf("%d characters, %v %s:\n%s", len(line), err, check, line)
		}
	}
	if n != 2 {
		t.Errorf("%d commands:\n%s", n, out)
	}
}
