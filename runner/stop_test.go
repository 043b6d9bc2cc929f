package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// TestStoppedCoordinator: a coordinator that was stopped for longer than cell_timeout_s less what it had waited does not
// blame the worker, which answers within the limit of the time in which somebody listened.
func TestStoppedCoordinator(t *testing.T) {
	const config = `gen_tokens: 4
replicates: 1
repetitions: 1
warmup_repetitions: 0
cell_timeout_s: 2
probe: false
scenarios: [{name: one, prompt: "one"}]
backends: [{name: cpu, device: cpu, dtype: f32, threads: 1}]
models: [{name: a, source: "synth:tiny-gpt2"}]
`
	for _, stopped := range []bool{true, false} {
		root := t.TempDir()
		dir := filepath.Join(root, "run")
		if err := os.WriteFile(filepath.Join(root, "test.yaml"), []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(workertest.Program())
		cmd.Env = append(os.Environ(), workertest.EnvPart+"=coordinator", workertest.EnvRun+"="+dir, workertest.EnvFault+"=nap@one")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if stopped {
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(dir + ".napping"); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("no worker was asked for anything")
				}
			}
			signalProcess(t, cmd.Process.Pid, syscall.SIGSTOP)
			time.Sleep(workertest.Nap - time.Second)
			signalProcess(t, cmd.Process.Pid, syscall.SIGCONT)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: record.StatusOK, false: record.StatusTimeout}[stopped]
		for _, r := range readRecords(t, dir) {
			if r.Status != want {
				t.Errorf("stopped %v: %s, want %s (%v)", stopped, r.Status, want, r.Error)
			}
		}
	}
}

func signalProcess(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}
