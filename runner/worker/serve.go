package worker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"llmscale/internal/address"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Main is the worker process. It exits as soon as its coordinator is gone,
// even in the middle of native code: nobody would read the result.
func Main(open protocol.Opener, probe protocol.Prober, about protocol.About, do protocol.Tasker) error {
	out := os.NewFile(RepliesFD, "replies")
	if _, err := out.Stat(); err != nil {
		return errors.New("a worker is started by llmscale itself: file descriptor 3 is not open")
	}
	debug.SetGCPercent(-1) // nothing may disturb a timed call: garbage is collected between calls only
	w := server{open: quietOpener(open), about: about, tasker: do}
	if probe != nil {
		w.prober = func(spec protocol.ProbeSpec, progress func(share float64)) (ceilings.Device, error) {
			oneProcessor()
			return probe(spec, progress)
		}
	}
	return serve(os.Stdin, out, w, func() { os.Exit(0) })
}

// oneProcessor leaves Go one processor. Its monitor thread then takes that one back as soon as a call is in C, and sleeps until the
// call is over; with more it leaves it there for 10 ms and looks after it every 20 µs.
func oneProcessor() { runtime.GOMAXPROCS(1) }

// quietOpener makes the process quiet for what is timed in C. A server's answers are timed in Go, where the goroutine that
// reads and the one that waits for it need not share a processor.
func quietOpener(open protocol.Opener) protocol.Opener {
	return func(kind string) (protocol.Backend, error) {
		if kind != config.KindOllama {
			oneProcessor()
		}
		return open(kind)
	}
}

// serve answers requests from in until in ends, then calls gone. A failed
// request is answered, not fatal; the error returned is a broken pipe or
// protocol.
func serve(in io.Reader, out io.Writer, w server, gone func()) error {
	w.out = json.NewEncoder(out)
	defer w.close()
	requests := make(chan protocol.Request)
	readErr := make(chan error, 1)
	go func() {
		defer close(requests)
		dec := json.NewDecoder(bufio.NewReader(in))
		for {
			var req protocol.Request
			if err := dec.Decode(&req); err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				readErr <- err
				gone()
				return
			}
			requests <- req
		}
	}()
	for req := range requests {
		if err := w.answer(req); err != nil {
			return err
		}
		debug.FreeOSMemory() // at once and whole: what a collection leaves to the background would come in the next call
	}
	return <-readErr
}

type server struct {
	open    protocol.Opener
	prober  protocol.Prober // nil: none
	about   protocol.About
	tasker  protocol.Tasker // nil: none
	out     *json.Encoder
	backend protocol.Backend
}

func (w *server) close() {
	if w.backend != nil {
		w.backend.Close()
	}
}

// answer answers one request; its error is one of writing the answer.
func (w *server) answer(req protocol.Request) error {
	var (
		rep protocol.Reply
		err error
	)
	switch {
	case req.Hello != nil:
		rep.Hello = &protocol.HelloReply{Protocol: protocol.ID(), Schema: record.SchemaVersion}
		rep.Hello.Build, rep.Hello.NoGPU = w.about(req.Hello.GPU)
	case req.Load != nil:
		if req.Load.Ollama != nil {
			req.Load.Ollama.URL = address.Address(req.Address)
		}
		rep.Loaded, err = w.load(*req.Load)
	case req.Measure != nil:
		rep.Measurement, err = w.measure(*req.Measure)
	case req.Probe != nil:
		rep.Probed, err = w.probe(*req.Probe)
	case req.Task != nil && w.tasker != nil:
		rep.Answer, err = w.tasker(req.Task)
	default:
		err = errors.New("an empty request")
	}
	if err != nil {
		f := record.AsFailure(err)
		rep = protocol.Reply{Failure: &protocol.FailureReply{Status: f.Status, Reason: f.Reason, Log: f.Stderr}}
	}
	if err := w.out.Encode(rep); err != nil {
		return fmt.Errorf("answering the coordinator: %w", err)
	}
	return nil
}

func (w *server) load(spec protocol.LoadSpec) (*protocol.LoadInfo, error) {
	w.close()
	b, err := w.open(spec.Kind)
	if err != nil {
		return nil, err
	}
	w.backend = b
	info, err := protocol.LoadChecked(b, spec, w.sharer())
	if err != nil {
		return nil, err
	}
	return &info, nil
}

func (w *server) measure(call protocol.CallSpec) (*protocol.Sample, error) {
	if w.backend == nil {
		return nil, errors.New("a call before a load")
	}
	m, err := w.backend.Measure(call)
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// probe answers a probe request.
func (w *server) probe(spec protocol.ProbeSpec) (*ceilings.Device, error) {
	if w.prober == nil {
		return nil, errors.New("this worker has no probe")
	}
	d, err := w.prober(spec, w.sharer())
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// sharer tells the coordinator about progress, in steps worth a line.
func (w *server) sharer() func(share float64) {
	last := 0.0
	return func(share float64) {
		if share-last >= 0.05 {
			last = share
			// A lost progress line is no reason to fail; a lost answer will tell.
			_ = w.out.Encode(protocol.Reply{Share: &share})
		}
	}
}
