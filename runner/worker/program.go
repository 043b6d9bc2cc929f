package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"llmscale/gguf/ledger"
	"llmscale/internal/interrupt"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Program is a llmscale other than this one whose processes are workers.
type Program struct {
	Name  string // as the config has it first
	Path  string // absolute
	Build protocol.Build
	NoGPU string // why models cannot run on a GPU with it; "": they can, or nobody asked

	content files.Content
}

// SHA256 is that of the program's file.
func (p *Program) SHA256() string { return p.content.SHA256 }

// Programs are the programs whose worker processes carry out a plan. The zero value knows nothing of this one, and
// starts no other.
type Programs struct {
	Worker Command        // starts a worker of this program; another program gets the same arguments and environment
	Build  protocol.Build // of this program
	Log    *slog.Logger

	// Timeout is how long a program may take to say what it is; 0: helloTimeout.
	Timeout time.Duration

	own   string              // SHA-256 of this program, "" where no other is named
	named map[string]*Program // by path
}

// helloTimeout has room for a large program on a slow disk.
const helloTimeout = 30 * time.Second

// Of is the program of a backend that ask has asked; nil is this one.
func (ps *Programs) Of(b config.Backend) *Program { return ps.named[b.ProgramPath] }

// BuildOf is that of the program or server that computes for a backend.
func (ps *Programs) BuildOf(b config.Backend) protocol.Build {
	p := ps.Of(b)
	switch {
	case b.Kind == config.KindOllama:
		return protocol.Build{LlamaSource: string(ledger.Ollama)}
	case p != nil:
		return p.Build
	}
	return ps.Build
}

// Identity is equal for two backends whose workers are the same program.
func (ps *Programs) Identity(b config.Backend) string {
	if p := ps.Of(b); p != nil {
		return p.content.SHA256
	}
	return ps.own
}

// Ask starts each program that a backend in use names, once, and keeps what it says of itself. The error has a line for
// each one that cannot be used, or is interrupt.Err.
func (ps *Programs) Ask(ctx context.Context, cfg *config.Config) error {
	ps.named = map[string]*Program{}
	asked := map[string]bool{}
	var wrong config.Errors
	for _, pair := range cfg.Pairs() {
		b := pair.Backend
		if b.ProgramPath == "" || asked[b.ProgramPath] {
			continue
		}
		asked[b.ProgramPath] = true
		gpu := slices.ContainsFunc(cfg.Backends, func(o config.Backend) bool {
			return o.ProgramPath == b.ProgramPath && o.Device != config.DeviceCPU
		})
		p, err := ps.askOne(ctx, b, gpu)
		if errors.Is(err, interrupt.Err) {
			return err
		}
		if err != nil {
			var list config.Errors
			if errors.As(cfg.ProgramError(b, "%s", record.AsFailure(err).Reason), &list) {
				wrong = append(wrong, list...)
			}
			continue
		}
		ps.named[b.ProgramPath] = p
	}
	if len(wrong) > 0 {
		return wrong
	}
	if len(ps.named) > 0 {
		own, err := files.Hash([]string{ps.Worker.Path}, nil)
		if err != nil {
			return fmt.Errorf("this program: %w", err)
		}
		ps.own = own.SHA256
	}
	return nil
}

// askOne starts a program and asks it what it is. The error says what is wrong with it and what would be right.
func (ps *Programs) askOne(ctx context.Context, b config.Backend, gpu bool) (*Program, error) {
	path, err := paths.Absolute(b.ProgramPath)
	if err != nil {
		return nil, err
	}
	if err := text.CheckPath("the program", path); err != nil {
		return nil, err
	}
	p := &Program{Name: b.Program, Path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("there is no program %s: build it (`make builds`), or correct the path", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name the program in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file: name a llmscale", path)
	case info.Mode().Perm()&0o111 == 0:
		return nil, fmt.Errorf("%s is not executable: name a llmscale, or allow it with chmod +x", path)
	}
	if p.content, err = files.Hash([]string{path}, nil); err != nil {
		return nil, err
	}
	w, hello, err := p.Start(ctx, ps.Worker, ps.Log, ps.Timeout, gpu)
	if err != nil {
		return nil, err
	}
	w.Kill() // it has nothing to finish
	p.Build, p.NoGPU = hello.Build, hello.NoGPU
	if p.Build.LlamaCommit == "" {
		return nil, fmt.Errorf("%s was built without llama.cpp: build it with `make build` or `make builds`", path)
	}
	return p, nil
}

// Start starts a worker of the program and hears what it is. Without an error its file was the same before and after.
func (p *Program) Start(ctx context.Context, as Command, log *slog.Logger, timeout time.Duration, gpu bool) (*Process, *protocol.HelloReply, error) {
	if err := p.unchanged(); err != nil {
		return nil, nil, err
	}
	w, err := Start(Command{Path: p.Path, Args: as.Args, Env: as.Env, MemoryLimit: as.MemoryLimit, CPUs: as.CPUs}, log)
	if err != nil {
		return nil, nil, record.Failf(record.StatusError, "%s cannot be started (%v): name a llmscale that was built for this machine", p.Path, cause(err))
	}
	if timeout == 0 {
		timeout = helloTimeout
	}
	rep, err := w.Ask(ctx, protocol.Request{Hello: &protocol.HelloSpec{GPU: gpu}}, timeout, nil)
	if err == nil {
		err = p.check(rep)
	} else if !errors.Is(err, interrupt.Err) {
		err = p.noHello(record.AsFailure(err), timeout)
	}
	if err == nil {
		err = p.unchanged()
	}
	if err != nil {
		w.Kill()
		return nil, nil, err
	}
	return w, rep.Hello, nil
}

// cause is what the system said.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// noHello says of a program that did not answer what it probably is.
func (p *Program) noHello(f *record.Failure, timeout time.Duration) *record.Failure {
	last := ""
	if n := len(f.Stderr); n > 0 {
		last = fmt.Sprintf(" (its last words: %q)", f.Stderr[n-1])
	}
	what := *f
	switch {
	case f.Status == record.StatusTimeout:
		what.Reason = fmt.Sprintf("%s said nothing for %v and was ended%s: it is no llmscale, or hangs at its start; name a llmscale", p.Path, timeout, last)
	case f.Signal == "SIGILL":
		what.Reason = fmt.Sprintf("%s was ended by SIGILL%s: it was built for another CPU; build it on this machine, or with PORTABLE=1", p.Path, last)
	case f.Signal != "":
		what.Reason = fmt.Sprintf("%s was ended by %s before it said what it is%s", p.Path, f.Signal, last)
	case f.ExitCode != nil:
		what.Reason = fmt.Sprintf("%s exited with code %d before it said what it is%s: it is no llmscale; name one, or build it (`make builds`)", p.Path, *f.ExitCode, last)
	case f.Status == record.StatusCrashed:
		what.Reason = fmt.Sprintf("%s is no llmscale: what it answers is not the protocol of its workers; name a llmscale", p.Path)
	default: // a worker that knows no such question says so
		what.Reason = fmt.Sprintf("%s is a llmscale that is too old to say what it was built from: build it from this checkout (`make builds`)", p.Path)
	}
	return &what
}

// check compares a program's answer with what this program speaks and writes, and with what it said before.
func (p *Program) check(rep protocol.Reply) error {
	h := rep.Hello
	switch {
	case h == nil:
		return record.Failf(record.StatusError, "%s is no llmscale: it answered a greeting with something else; name a llmscale", p.Path)
	case h.Protocol != protocol.ID():
		return record.Failf(record.StatusError, "%s speaks protocol %s, this program %s: build both from one checkout (`make builds`)", p.Path, strconv.Quote(h.Protocol), protocol.ID())
	case h.Schema != record.SchemaVersion:
		return record.Failf(record.StatusError, "%s writes records of schema %d, this program of schema %d: build both from one checkout (`make builds`)", p.Path, h.Schema, record.SchemaVersion)
	case p.Build.LlamaCommit != "" && !text.SameJSON(p.Build, h.Build):
		return record.Failf(record.StatusError, "%s is another build than the plan asked: now %s, then %s; start a new run", p.Path, h.Build, p.Build)
	}
	return nil
}

// unchanged returns an error unless the program's file holds what was hashed.
func (p *Program) unchanged() error {
	now, err := p.content.Now(nil)
	if err == nil {
		p.content = now
		return nil
	}
	what := "is gone or cannot be read any more"
	if f, id, err := files.Open(p.Path); err == nil {
		f.Close()
		what = p.content.Files[0].Differs(id)
	}
	return record.Failf(record.StatusError, "the program %s %s, after the plan asked it what it is: let nothing change it while it measures, and start a new run with the new one", p.Path, what)
}
