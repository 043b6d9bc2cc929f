// Package worker runs llmscale's worker processes, from both ends: Process and Program
// are what the coordinator sees of one, Main is what runs in it. Only a worker touches
// llama.cpp.
package worker

import (
	"bufio"
	"cmp"
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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"llmscale/internal/awake"
	"llmscale/internal/interrupt"
	"llmscale/internal/text"
	"llmscale/runner/machine"
	"llmscale/runner/memlimit"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// RepliesFD is the worker's reply pipe: the first of exec.Cmd.ExtraFiles.
const RepliesFD = 3

// Command starts worker processes.
type Command struct {
	Path        string   // executable, usually this one
	Args        []string // that make it a worker
	Env         []string // additions to this process's environment
	MemoryLimit int64    // bytes that it may take; 0: no limit
	CPUs        []int    // that its computing threads are bound to; nil: as this process's environment says
}

// Process is a running worker as the coordinator sees it.
type Process struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	replies  chan protocol.Reply // closed when the worker's pipe ends
	stderr   *tail
	exited   chan struct{}   // closed after Wait
	waitErr  error           // valid once exited is closed
	oomBase  int64           // oomKills when it started
	group    *memlimit.Group // nil: it has no limit of its own
	oomKills int64           // in the group; valid once exited is closed
	pid      int
}

// Start starts a worker in a process group of its own, so that Ctrl-C at
// the terminal reaches the coordinator alone, which then decides.
func Start(c Command, log *slog.Logger) (_ *Process, err error) {
	var group *memlimit.Group
	if c.MemoryLimit > 0 {
		if group, err = memlimit.New(c.MemoryLimit); err != nil {
			return nil, record.Failf(record.StatusWaived, "memory_limit_mib: %v", err)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, group.Close())
			}
		}()
		c.Path, c.Args = group.Enter(c.Path, c.Args...)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("worker pipe: %w", err)
	}
	defer w.Close()
	cmd := exec.Command(c.Path, c.Args...)
	// ggml prints a backtrace through a debugger when it aborts, which can hang.
	cmd.Env = append(append(environment(c.CPUs), "GGML_NO_BACKTRACE=1"), c.Env...)
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &Process{cmd: cmd, stderr: &tail{log: log}, replies: make(chan protocol.Reply), exited: make(chan struct{}), oomBase: machine.OOMKills(), group: group}
	cmd.Stderr = p.stderr
	cmd.Stdout = p.stderr // native code that prints: evidence, not results
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		r.Close()
		return nil, fmt.Errorf("worker pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	p.pid = cmd.Process.Pid
	go func() {
		defer close(p.replies)
		defer r.Close()
		dec := json.NewDecoder(bufio.NewReaderSize(r, 1<<16))
		for {
			var rep protocol.Reply
			if err := dec.Decode(&rep); err != nil {
				if !errors.Is(err, io.EOF) {
					log.Debug("worker reply", "error", err)
				}
				return
			}
			p.replies <- rep
		}
	}()
	go func() {
		p.waitErr = cmd.Wait()
		p.leave()
		close(p.exited)
	}()
	return p, nil
}

// leave removes the group of a worker that has ended.
func (p *Process) leave() {
	if p.group == nil {
		return
	}
	p.oomKills = p.group.OOMKills()
	_ = syscall.Kill(-p.pid, syscall.SIGKILL) // what it has started would keep the group
	if err := p.group.Close(); err != nil {
		p.stderr.log.Warn("a control group stays until the next start", "error", err)
	}
}

// Memory is what a worker with a memory limit has taken; nothing of one without.
func (p *Process) Memory() memlimit.Usage {
	if p.group == nil {
		return memlimit.Usage{}
	}
	return p.group.Usage()
}

// environment is a worker's environment: that of this process, in which cpus, if there are any, take the place of what
// OpenMP is told of processors.
func environment(cpus []int) []string {
	env := os.Environ()
	if cpus == nil {
		return env
	}
	env = slices.DeleteFunc(env, func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return key == "OMP_PROC_BIND" || key == "OMP_PLACES" || key == "GOMP_CPU_AFFINITY"
	})
	var places []string
	for _, cpu := range cpus {
		places = append(places, fmt.Sprintf("{%d}", cpu))
	}
	return append(env, "OMP_PROC_BIND=close", "OMP_PLACES="+strings.Join(places, ","))
}

// Ask sends a request and waits for its answer, at most timeout between two
// replies. The error is a *record.Failure if the worker failed, died or was killed for
// its silence, interrupt.Err if ctx ended meanwhile.
func (p *Process) Ask(ctx context.Context, req protocol.Request, timeout time.Duration, progress func(share float64)) (protocol.Reply, error) {
	if err := json.NewEncoder(p.stdin).Encode(req); err != nil {
		return protocol.Reply{}, p.died()
	}
	// A coordinator that was stopped has heard nothing, however much its worker said.
	silent := make(chan struct{}, 1)
	timer := awake.AfterFunc(timeout, func() { silent <- struct{}{} })
	defer timer.Stop()
	for {
		select {
		case rep, ok := <-p.replies:
			switch {
			case !ok:
				return protocol.Reply{}, p.died()
			case rep.Failure != nil:
				return protocol.Reply{}, &record.Failure{Status: rep.Failure.Status, Reason: rep.Failure.Reason, Stderr: joinLog(rep.Failure.Log, p.stderr.last())}
			case rep.Share == nil:
				return rep, nil
			}
			if progress != nil {
				progress(*rep.Share)
			}
			timer.Reset(timeout)
		case <-silent:
			p.Kill()
			return protocol.Reply{}, &record.Failure{
				Status: record.StatusTimeout,
				Reason: fmt.Sprintf("no answer for %v: the worker was killed (cell_timeout_s in the config sets the limit)", timeout),
				Stderr: p.stderr.last(),
			}
		case <-ctx.Done():
			p.Kill()
			return protocol.Reply{}, interrupt.Err
		}
	}
}

// exitGrace is how long a worker may take to end once it is told to: it has a
// model to free. deathGrace is how long after its pipe has closed.
const (
	exitGrace  = 10 * time.Second
	deathGrace = time.Second
)

// Close ends an idle worker; it is safe to call on one that is dead already.
func (p *Process) Close() {
	p.stdin.Close()
	overdue := make(chan struct{})
	defer awake.AfterFunc(exitGrace, func() { close(overdue) }).Stop()
	for {
		select {
		case <-p.exited:
			return
		case _, ok := <-p.replies: // nobody waits for it any more
			if !ok {
				p.replies = nil
			}
		case <-overdue:
			p.Kill()
			return
		}
	}
}

// Kill ends the worker and all that it started, now.
func (p *Process) Kill() {
	// The group may be gone already, which is what is wanted.
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	for {
		select {
		case <-p.exited:
			return
		case _, ok := <-p.replies:
			if !ok {
				p.replies = nil
			}
		}
	}
}

// Alive tells whether the worker can take another request.
func (p *Process) Alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// died waits for a worker that stopped answering and says how it ended.
func (p *Process) died() *record.Failure {
	overdue := make(chan struct{})
	defer awake.AfterFunc(deathGrace, func() { close(overdue) }).Stop()
	select {
	case <-p.exited:
	case <-overdue:
		p.Kill()
		return &record.Failure{Status: record.StatusCrashed, Reason: "the worker stopped making sense: its answers are not the protocol's", Stderr: p.stderr.last()}
	}
	f := &record.Failure{Status: record.StatusCrashed, Stderr: p.stderr.last()}
	state := p.cmd.ProcessState
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		f.Signal = signalName(ws.Signal())
		f.Reason = "the worker was ended by " + f.Signal
		switch {
		case ws.Signal() == syscall.SIGKILL && p.oomKills > 0:
			f.Status = record.StatusOOM
			f.Reason += ": it needs more than its memory limit beside the pages that can be dropped"
		case ws.Signal() == syscall.SIGKILL && p.oomBase < 0:
			f.Reason += ", sent by someone or for want of memory: this kernel does not count what it kills (oom_kill in /proc/vmstat)"
		case ws.Signal() == syscall.SIGKILL && machine.OOMKills() > p.oomBase:
			f.Status = record.StatusOOM
			f.Reason += " while the kernel's out-of-memory killer was at work"
		case ws.Signal() == syscall.SIGKILL:
			f.Reason += ", which someone sent: the kernel killed nothing for memory meanwhile"
		case ws.Signal() == syscall.SIGABRT && slices.ContainsFunc(f.Stderr, deviceMemoryFull):
			// llama.cpp aborts where the device has no room for what it needs while it computes.
			f.Status = record.StatusOOM
			f.Reason += ": the GPU's memory is full"
		}
		return f
	}
	code := state.ExitCode()
	f.ExitCode = &code
	f.Reason = fmt.Sprintf("the worker exited with code %d", code)
	return f
}

// joinLog puts what a worker's runtime logged before the last lines of its stderr, in which the same lines may stand.
func joinLog(log, stderr []string) []string {
	var out []string
	for _, line := range log {
		out = append(out, text.Safe(line)) // as those of stderr are
	}
	for _, line := range stderr {
		if !slices.Contains(out[:len(log)], line) {
			out = append(out, line)
		}
	}
	return out
}

// deviceMemoryFull tells whether a line is CUDA's word for a full device, or that of cuBLAS, which allocates for itself.
func deviceMemoryFull(line string) bool {
	line = strings.ToLower(line)
	return strings.Contains(line, "cuda") && strings.Contains(line, "out of memory") ||
		strings.Contains(line, "cuda error: the resource allocation failed")
}

func signalName(s syscall.Signal) string {
	return cmp.Or(unix.SignalName(s), fmt.Sprintf("signal %d", int(s)))
}

// tail keeps the last lines written to it and hands each to the debug log.
type tail struct {
	mu      sync.Mutex
	log     *slog.Logger
	partial strings.Builder
	lines   []string
}

const tailLines = 100

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range b {
		if c != '\n' {
			if t.partial.Len() < 2000 { // a line without end must not fill memory
				t.partial.WriteByte(c)
			}
			continue
		}
		t.push()
	}
	return len(b), nil
}

// push ends the current line; t.mu is held.
func (t *tail) push() {
	line := text.Safe(strings.TrimRight(t.partial.String(), " \r"))
	t.partial.Reset()
	if line == "" {
		return
	}
	t.log.Debug(line, "from", "worker")
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// last returns the kept lines.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.partial.Len() > 0 {
		t.push()
	}
	return append([]string(nil), t.lines...)
}
