// Package profiler records where the time of a model's prefill and decode steps goes. A worker process does it, since
// what profiling does to a process ends with it; package profile of the analysis says what follows from the records.
package profiler

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"llmscale/analysis/profile"
	"llmscale/cuda/cupti"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Ways to record what a call does.
const (
	traceOps   = "ops"
	traceCUPTI = "cupti"
)

// Task is what a worker does for a profile: one warm-up call, the timed repetitions, and then, if
// Trace is set, the call once more, recorded.
type Task struct {
	Load        protocol.LoadSpec `json:"load"`
	Call        protocol.CallSpec `json:"call"`
	Repetitions int               `json:"repetitions"`
	Trace       string            `json:"trace,omitempty"`
}

// Answer is what it measured. Input is null without a trace.
type Answer struct {
	Info      protocol.LoadInfo `json:"info"`
	PrefillNS []int64           `json:"prefill_ns"`
	TokenNS   []int64           `json:"token_ns"`
	Input     *profile.Input    `json:"input,omitempty"`
}

// Serve is the protocol.Tasker of this program's workers.
func Serve(data json.RawMessage) (json.RawMessage, error) {
	var task Task
	if err := json.Unmarshal(data, &task); err != nil {
		return nil, err
	}
	answer, err := do(&task)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func do(task *Task) (_ *Answer, err error) {
	var tracer *cupti.Tracer
	if task.Trace == traceCUPTI { // before anything touches CUDA
		if tracer, err = cupti.Start(); err != nil {
			return nil, &record.Failure{Status: record.StatusWaived, Reason: err.Error()}
		}
	}
	b := &backend.Native{}
	defer func() { err = errors.Join(err, b.Close()) }()
	answer := &Answer{PrefillNS: []int64{}, TokenNS: []int64{}}
	if answer.Info, err = protocol.LoadChecked(b, task.Load, nil); err != nil {
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
