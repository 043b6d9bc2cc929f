package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/profile"
	"llmscale/cuda/cupti"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner"
	"llmscale/runner/record"
)

// Ways to record what a call does.
const (
	traceOps   = "ops"
	traceCUPTI = "cupti"
)

// profileTask is what a process of its own does for a profile: one warm-up call, the timed repetitions, and then, if
// Trace is set, the call once more, recorded. It comes on stdin, and a profileAnswer goes out on file 3.
type profileTask struct {
	Load        runner.LoadSpec `json:"load"`
	Call        runner.CallSpec `json:"call"`
	Repetitions int             `json:"repetitions"`
	Trace       string          `json:"trace,omitempty"`
}

type profileAnswer struct {
	Error     string          `json:"error,omitempty"`
	Waived    bool            `json:"waived,omitempty"` // something is missing here; nothing was measured
	Info      runner.LoadInfo `json:"info"`
	PrefillNS []int64         `json:"prefill_ns"`
	TokenNS   []int64         `json:"token_ns"`
	Input     *profile.Input  `json:"input,omitempty"`
}

const answerFD = 3

func profileWorkerCommand() *cli.Command {
	return &cli.Command{
		Name:   "profile-worker",
		Usage:  "profile for another llmscale process",
		Hidden: true,
		Action: func(*cli.Context) error {
			native.RouteLog(slog.Default())
			native.EchoLog(os.Stderr)
			native.DefaultSignals()
			var task profileTask
			if err := json.NewDecoder(os.Stdin).Decode(&task); err != nil {
				return fmt.Errorf("profile-worker: it is started by `llmscale profile` alone: %w", err)
			}
			answer, err := doProfileTask(&task)
			if err != nil {
				var f *runner.Failure
				answer = &profileAnswer{Error: err.Error()}
				if errors.As(err, &f) {
					answer.Error, answer.Waived = f.Reason, f.Status == record.StatusWaived
				}
			}
			out := os.NewFile(answerFD, "answer")
			return errors.Join(json.NewEncoder(out).Encode(answer), out.Close())
		},
	}
}

func doProfileTask(task *profileTask) (_ *profileAnswer, err error) {
	var tracer *cupti.Tracer
	if task.Trace == traceCUPTI { // before anything touches CUDA
		if tracer, err = cupti.Start(); err != nil {
			return nil, &runner.Failure{Status: record.StatusWaived, Reason: err.Error()}
		}
	}
	b := &backend.Native{}
	defer func() { err = errors.Join(err, b.Close()) }()
	answer := &profileAnswer{PrefillNS: []int64{}, TokenNS: []int64{}}
	if answer.Info, err = runner.LoadChecked(b, task.Load, nil); err != nil {
		return nil, err
	}
	for i := range 1 + task.Repetitions {
		t, err := b.TraceSteps(task.Call)
		if err != nil {
			return nil, err
		}
		if i == 0 { // the warm-up
			continue
		}
		for k, s := range t.Steps {
			if ns := s.EndNS - s.StartNS; k == 0 {
				answer.PrefillNS = append(answer.PrefillNS, ns)
			} else {
				answer.TokenNS = append(answer.TokenNS, ns)
			}
		}
	}
	switch task.Trace {
	case traceOps:
		t, err := b.TraceOps(task.Call)
		if err != nil {
			return nil, err
		}
		answer.Input = inputOfOps(t)
	case traceCUPTI:
		if _, err := tracer.Flush(); err != nil { // the load and the warm-up
			return nil, err
		}
		t, err := b.TraceSteps(task.Call)
		if err != nil {
			return nil, err
		}
		r, err := tracer.Stop()
		if err != nil {
			return nil, err
		}
		answer.Input = inputOfRecords(t, r)
	}
	return answer, nil
}

func steps(t *native.Trace) []profile.Step {
	out := make([]profile.Step, len(t.Steps))
	for i, s := range t.Steps {
		out[i] = profile.Step{StartNS: s.StartNS, EndNS: s.EndNS, Tokens: s.Tokens}
	}
	return out
}

func inputOfOps(t *native.Trace) *profile.Input {
	in := &profile.Input{Steps: steps(t), Activities: make([]profile.Activity, len(t.Ops))}
	for i, op := range t.Ops {
		in.Activities[i] = profile.Activity{
			Kind: profile.Op, Name: op.Op, Class: opClass(&op), StartNS: op.StartNS, EndNS: op.EndNS, Lane: op.Backend, Bytes: op.WeightBytes,
			Details: map[string]any{"tensor": op.Name, "shape": op.Shape},
		}
	}
	return in
}

// opClass is what tells operations of one name apart: the type of the weights, and the lengths that do not depend on
// how many tokens there are.
func opClass(op *native.TraceOp) string {
	size := fmt.Sprint(op.Shape[0])
	switch {
	case op.Inner > 0:
		size = fmt.Sprintf("%d→%d", op.Inner, op.Shape[0])
	case op.Op == "FLASH_ATTN_EXT":
		size = fmt.Sprintf("%d×%d", op.Shape[0], op.Shape[1])
	}
	return strings.TrimSpace(op.WeightType + " " + size)
}

func inputOfRecords(t *native.Trace, r *cupti.Records) *profile.Input {
	in := &profile.Input{Steps: steps(t), Activities: make([]profile.Activity, len(r.Activities)), Dropped: r.Dropped, Untimed: r.Untimed, ClockErrorNS: r.ClockErrorNS}
	kinds := map[string]string{cupti.Kernel: profile.Kernel, cupti.Memcpy: profile.Memcpy, cupti.Memset: profile.Memset}
	for i, a := range r.Activities {
		out := profile.Activity{
			Kind: kinds[a.Kind], Name: a.Name, StartNS: a.StartNS, EndNS: a.EndNS, Bytes: a.Bytes,
			Lane: fmt.Sprintf("GPU %d stream %d", a.Device, a.Stream), Details: map[string]any{"correlation": a.Correlation},
		}
		if a.Kind == cupti.Memcpy {
			out.Name = a.Copy
		}
		if a.Kind == cupti.Kernel {
			out.Details["grid"], out.Details["block"] = a.Grid, a.Block
			out.Details["registers_per_thread"], out.Details["shared_bytes_per_block"] = a.Registers, a.SharedBytes
		}
		if a.GraphNode != 0 {
			out.Details["graph"], out.Details["graph_node"] = a.Graph, a.GraphNode
		}
		in.Activities[i] = out
	}
	return in
}

// runProfileTask runs a task in a process of its own. An interrupt ends it.
func runProfileTask(ctx context.Context, c *cli.Context, task profileTask) (*profileAnswer, error) {
	request, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	worker := workerProcess(c)
	args := slices.Clone(worker.Args)
	args[len(args)-1] = "profile-worker"
	cmd := exec.Command(worker.Path, args...)
	cmd.Env = append(os.Environ(), "GGML_NO_BACKTRACE=1") // ggml would start a debugger when it aborts
	cmd.Stdin = bytes.NewReader(request)
	cmd.Stdout, cmd.Stderr = c.App.ErrWriter, c.App.ErrWriter // what native code prints is no result
	// In a group of its own, so that Ctrl-C reaches this process alone, which then ends it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w} // the first is answerFD
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	interrupted := make(chan bool, 1)
	go func() {
		select {
		case <-ctx.Done():
			cmd.Process.Kill()
			interrupted <- true
		case <-ended:
			interrupted <- false
		}
	}()
	data, readErr := io.ReadAll(r)
	waitErr := cmd.Wait()
	close(ended)
	if <-interrupted {
		return nil, &exitError{exitInterrupted, errors.New("interrupted: nothing was written")}
	}
	if waitErr != nil {
		return nil, fmt.Errorf("profile: the process that was profiled ended early: %w", waitErr)
	}
	var answer profileAnswer
	if err := errors.Join(readErr, json.Unmarshal(data, &answer)); err != nil {
		return nil, fmt.Errorf("profile: the process that was profiled gave no answer: %w", err)
	}
	if answer.Error != "" {
		err := fmt.Errorf("profile: %s", answer.Error)
		if answer.Waived {
			err = usage(err)
		}
		return nil, err
	}
	return &answer, nil
}
