//go:build native

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"llmscale/runner/record"
)

// TestLastLineOfAnInterruptedRun does what the line says: it counts the calls that are on the disk, and its command,
// given to a shell as it stands, goes on to the end.
func TestLastLineOfAnInterruptedRun(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(exe, filepath.Join(bin, "llmscale")); err != nil {
		t.Fatal(err)
	}
	cfg := writeFile(t, "small.yaml", smallSweep)
	if code, _, stderr := llmscale("run", "--config", cfg, "--models-dir", sharedModels, "--out", filepath.Join(t.TempDir(), "first")); code != exitDone {
		t.Fatal(stderr) // the models are there now
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel() // its models run on one thread
			dir := filepath.Join(t.TempDir(), "my runs", "it's "+sig.String())
			stderr := &bytes.Buffer{}
			cmd := exec.Command(exe, "run", "--config", cfg, "--models-dir", sharedModels, "--out", dir)
			cmd.Env = append(os.Environ(), envMain+"=1")
			cmd.Stderr = stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
				if info, err := os.Stat(filepath.Join(dir, "runs.jsonl")); err == nil && info.Size() > 0 || time.Now().After(deadline) {
					break
				}
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			cmd.Wait() // its exit code is asked for below
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Fatalf("%v: exit code %d: %s", sig, code, stderr)
			}
			kept := map[string]bool{}
			for _, r := range readRuns(t, dir) {
				if r.Status == record.StatusOK {
					kept[fmt.Sprintf("%s %d", r.CellID, r.CallIdx)] = true
				}
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			last := lines[len(lines)-1]
			m := regexp.MustCompile("^llmscale: interrupted: ([0-9]+) of 32 calls are measured and kept in .*/runs.jsonl; `(llmscale run --resume .*)` goes on$").FindStringSubmatch(last)
			if m == nil || m[1] != fmt.Sprint(len(kept)) || len(kept) == 0 || len(kept) == 32 {
				t.Fatalf("%v: %d calls are on the disk; the last line is %q", sig, len(kept), last)
			}
			resume := exec.Command("sh", "-c", m[2])
			resume.Env = append(os.Environ(), envMain+"=1", "PATH="+bin+":"+os.Getenv("PATH"))
			if out, err := resume.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", m[2], err, out)
			}
		})
	}
}

// TestProbeThatIsStopped: the worker that probes takes nobody along when it dies, and ends with the program.
func TestProbeThatIsStopped(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signal syscall.Signal
		worker bool // gets the signal
		code   int
		want   string
	}{
		"a worker that dies": {syscall.SIGKILL, true, exitFailed, "ended by SIGKILL"},
		"an interrupt":       {syscall.SIGINT, false, exitInterrupted, "interrupted"},
	} {
		out, stderr := filepath.Join(t.TempDir(), "c.json"), &bytes.Buffer{}
		cmd := exec.Command(exe, "probe", "--device", "cpu", "--threads", "1", "-o", out)
		cmd.Env = append(os.Environ(), envMain+"=1")
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		worker := 0
		for deadline := time.Now().Add(time.Minute); worker == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			worker = childOf(t, cmd.Process.Pid)
		}
		if worker == 0 {
			t.Fatalf("%s: no worker came", name)
		}
		target := cmd.Process.Pid
		if c.worker {
			target = worker
		}
		if err := syscall.Kill(target, c.signal); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // its exit code is asked for below
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit code %d, %s; want %d and %q", name, code, stderr, c.code, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a file was written for nothing", name)
		}
		if syscall.Kill(worker, 0) == nil {
			t.Errorf("%s: the worker is still there", name)
		}
	}
}

// childOf is the first child of a process; 0: there is none.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		var pid, of int
		var state string
		if _, err := fmt.Sscanf(string(data[:bytes.IndexByte(data, ' ')]), "%d", &pid); err != nil {
			t.Fatal(err)
		}
		// The name before it may hold anything, brackets too.
		if _, err := fmt.Sscanf(string(data[bytes.LastIndexByte(data, ')')+1:]), "%s %d", &state, &of); err == nil && of == parent && state != "Z" {
			return pid
		}
	}
	return 0
}
