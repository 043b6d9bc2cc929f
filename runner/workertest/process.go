// Package workertest makes a test binary its own worker, with a fake runtime that fails
// as it is told.
package workertest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"llmscale/runner/worker"
)

// What a process is told of its part by the environment.
const (
	EnvPart     = "LLMSCALE_TEST_PART"     // "worker", or a part of the tests' own
	EnvFault    = "LLMSCALE_TEST_FAULT"    // what the fake runtime does wrong, see backend
	EnvRun      = "LLMSCALE_TEST_RUN"      // the coordinator's run folder
	EnvBuild    = "LLMSCALE_TEST_BUILD"    // build flags that the worker names
	EnvSource   = "LLMSCALE_TEST_SOURCE"   // of its llama.cpp
	EnvFeatures = "LLMSCALE_TEST_FEATURES" // CPU features
	EnvNoGPU    = "LLMSCALE_TEST_NOGPU"    // why it has no GPU
	EnvProgram  = "LLMSCALE_TEST_PROGRAM"  // a test binary of runner without the race detector, which starts ten times as fast
	EnvStates   = "LLMSCALE_TEST_STATES"   // a file, of which each load takes the first letter off: how long its canaries take
)

// Main is the worker, and does not return, in a process that Command's has started. TestMain calls it first.
func Main() {
	if os.Getenv(EnvPart) != "worker" {
		return
	}
	resetSignals() // as real workers do
	if err := worker.Main(open, probe, About, task); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Program is the test binary that is started as a worker or a coordinator: this one, or the one that the environment names.
func Program() string {
	if path := os.Getenv(EnvProgram); path != "" {
		return path
	}
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exe
}

// Command starts the test binary as a worker with a fault.
func Command(t testing.TB, fault string) worker.Command {
	return worker.Command{Path: Program(), Env: []string{EnvPart + "=worker", EnvFault + "=" + fault}}
}

// WriteProgram makes a program of which the workers are fake runtimes with these build flags, after lines of shell.
func WriteProgram(t testing.TB, path, flags string, lines ...string) {
	t.Helper()
	script := append([]string{"#!/bin/sh", "export " + EnvBuild + "='" + flags + "'"}, append(lines, "exec '"+Program()+"'")...)
	if err := os.WriteFile(path, []byte(strings.Join(script, "\n")+"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
}

// die sends this process a signal, as native code would die of it.
func die(pid int, sig syscall.Signal) {
	syscall.Kill(pid, sig)
	time.Sleep(time.Minute)
}

// resetSignals gives fatal signals their default effect, as native.DefaultSignals
// does in real workers: Go's own handlers would turn them into an exit code. Without cgo it takes the system call itself.
func resetSignals() {
	var action struct {
		handler  uintptr // SIG_DFL
		flags    uint64
		restorer uintptr
		mask     uint64
	}
	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS} {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	}
}
