package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/internal/interrupt"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/memlimit"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

func TestMain(m *testing.M) {
	workertest.Main()
	m.Run()
}

var discard = slog.New(slog.DiscardHandler)

// programs ask programs that workertest.WriteProgram has made.
func programs(t testing.TB) *worker.Programs {
	build, _ := workertest.About(false)
	return &worker.Programs{Worker: workertest.Command(t, ""), Build: build, Log: discard}
}

func TestDo(t *testing.T) {
	var answer []int
	if err := worker.Do(t.Context(), workertest.Command(t, ""), discard, []int{1, 2}, &answer); err != nil || len(answer) != 2 || answer[1] != 2 {
		t.Errorf("%v, %v", answer, err)
	}
	for task, status := range map[string]string{"waived": record.StatusWaived, "die": record.StatusCrashed} {
		var f *record.Failure
		if err := worker.Do(t.Context(), workertest.Command(t, ""), discard, task, &answer); !errors.As(err, &f) || f.Status != status {
			t.Errorf("%s: %v, want %s", task, err, status)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := worker.Do(ctx, workertest.Command(t, ""), discard, "hang", &answer); !errors.Is(err, interrupt.Err) {
		t.Errorf("%v, want an interrupt", err)
	}
}

// TestMemoryLimit: a worker that needs more than its limit is out of memory, not crashed, and leaves no group behind.
func TestMemoryLimit(t *testing.T) {
	if err := memlimit.Check(); err != nil {
		t.Skip(err)
	}
	limited := workertest.Command(t, "")
	limited.MemoryLimit = 128 << 20
	var answer string
	if err := worker.Do(t.Context(), limited, discard, "small", &answer); err != nil || answer != "small" {
		t.Fatalf("%q, %v", answer, err)
	}
	var f *record.Failure
	if err := worker.Do(t.Context(), limited, discard, "grow", &answer); !errors.As(err, &f) || f.Status != record.StatusOOM || !strings.Contains(f.Reason, "more than its memory limit") {
		t.Errorf("%v", err)
	}
}

// TestProbe: a probe that crashes or hangs ends its worker alone.
func TestProbe(t *testing.T) {
	spec := protocol.ProbeSpec{Device: config.DeviceCPU, Threads: 3, Quick: true}
	share := 0.0
	d, err := worker.Probe(t.Context(), workertest.Command(t, ""), discard, spec, func(s float64) { share = s })
	if err != nil || d.Threads != 3 || len(d.Bandwidth) == 0 || !d.Quick || d.MeasuredAt.IsZero() || !(d.WallS > 0) || share != 0.5 {
		t.Errorf("%+v, %v; share %g", d, err, share)
	}
	var f *record.Failure
	if _, err := worker.Probe(t.Context(), workertest.Command(t, "SIGSEGV@probe"), discard, spec, nil); !errors.As(err, &f) || f.Status != record.StatusCrashed || f.Signal != "SIGSEGV" {
		t.Errorf("%v, want a crash by SIGSEGV", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if _, err := worker.Probe(ctx, workertest.Command(t, "hang@probe"), discard, spec, nil); !errors.Is(err, interrupt.Err) {
		t.Errorf("%v, want an interrupt", err)
	}
}

const oldAnswer = `read x; echo '{"failure":{"status":"error","reason":"runner: an empty request"}}' >&3; sleep 10`

// Each program that cannot measure is told with its line, before anything runs, all of them at once.
func TestProgramsThatCannotMeasure(t *testing.T) {
	hello := func(change func(h *protocol.HelloReply)) string {
		build, _ := workertest.About(false)
		h := protocol.HelloReply{Protocol: protocol.ID(), Schema: record.SchemaVersion, Build: build}
		change(&h)
		data, err := json.Marshal(protocol.Reply{Hello: &h})
		if err != nil {
			t.Fatal(err)
		}
		return "read x; echo '" + string(data) + "' >&3; sleep 10"
	}
	dir := t.TempDir()
	var text, want []string
	for name, tc := range map[string]struct{ script, want string }{
		"missing":      {"", "there is no program " + dir + "/missing: build it (`make builds`), or correct the path"},
		"folder":       {"", "folder is a folder: name the program in it"},
		"data":         {"", "data is not executable: name a llmscale, or allow it with chmod +x"},
		"empty":        {"", "empty cannot be started (exec format error): name a llmscale that was built for this machine"},
		"silent":       {"exit 0", "silent exited with code 0 before it said what it is: it is no llmscale"},
		"talks":        {"echo usage: talks FILE >&2; exit 3", `talks exited with code 3 before it said what it is (its last words: "usage: talks FILE"): it is no llmscale`},
		"othercpu":     {"kill -ILL $$", "othercpu was ended by SIGILL: it was built for another CPU; build it on this machine, or with PORTABLE=1"},
		"killed":       {"kill -TERM $$", "killed was ended by SIGTERM before it said what it is"},
		"rubbish":      {"echo rubbish >&3; sleep 10", "rubbish is no llmscale: what it answers is not the protocol of its workers"},
		"hangs":        {"sleep 10", "hangs said nothing for 1s and was ended: it is no llmscale, or hangs at its start"},
		"old":          {oldAnswer, "old is a llmscale that is too old to say what it was built from: build it from this checkout (`make builds`)"},
		"wrong":        {`read x; echo '{"measurement":{}}' >&3; sleep 10`, "wrong is no llmscale: it answered a greeting with something else"},
		"otherwords":   {hello(func(h *protocol.HelloReply) { h.Protocol = "0-abc" }), `otherwords speaks protocol "0-abc", this program ` + protocol.ID() + ": build both from one checkout"},
		"otherrecords": {hello(func(h *protocol.HelloReply) { h.Schema = 99 }), fmt.Sprintf("otherrecords writes records of schema 99, this program of schema %d: build both from one checkout", record.SchemaVersion)},
		"noruntime":    {hello(func(h *protocol.HelloReply) { h.Build.LlamaCommit = "" }), "noruntime was built without llama.cpp: build it with `make build`"},
	} {
		path := filepath.Join(dir, name)
		var err error
		switch name {
		case "missing":
		case "folder":
			err = os.Mkdir(path, 0o777)
		case "data":
			err = os.WriteFile(path, []byte("GGUF"), 0o666)
		case "empty":
			err = os.WriteFile(path, nil, 0o777)
		default:
			err = os.WriteFile(path, []byte("#!/bin/sh\n"+tc.script+"\n"), 0o777)
		}
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, fmt.Sprintf("  - {name: %s, dtype: f32, program: %s}", name, name))
		want = append(want, tc.want)
	}
	cfg, err := config.Parse(filepath.Join(dir, "test.yaml"), []byte("scenarios: [{name: s, prompt: x}]\nmodels: [{name: a, source: synth:tiny-gpt2}]\nbackends:\n"+strings.Join(text, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	ps := programs(t)
	ps.Timeout = time.Second
	err = ps.Ask(t.Context(), cfg)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d:\n%s", len(lines), len(want), err)
	}
	for i, w := range want {
		at := fmt.Sprintf("test.yaml:%d:%d: backends[%d].program: ", i+4, strings.Index(text[i], "program: ")+10, i)
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, at) && strings.Contains(l, w) }) {
			t.Errorf("not told: %s...%s\n%s", at, w, err)
		}
	}
}

// An interrupt while a program hangs leaves no process behind.
func TestInterruptedWhileAsking(t *testing.T) {
	dir := t.TempDir()
	two := filepath.Join(dir, "two")
	workertest.WriteProgram(t, two, "", "echo $$ >'"+two+".pid'", "exec sleep 100")
	ctx, stop := context.WithCancel(t.Context())
	cfg, err := config.Parse(filepath.Join(dir, "test.yaml"), []byte("scenarios: [{name: s, prompt: x}]\nmodels: [{name: a, source: synth:tiny-gpt2}]\nbackends: [{name: two, dtype: f32, program: two}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for machine.ReadText(two+".pid") == "" {
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	if err := programs(t).Ask(ctx, cfg); !errors.Is(err, interrupt.Err) {
		t.Errorf("%v, want interrupted", err)
	}
	if _, err := os.Stat("/proc/" + machine.ReadText(two+".pid")); err == nil {
		t.Error("the program still runs")
	}
}
