package merge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/record"
	"llmscale/runner/store"
)

// pieceCalls is how many calls are read, made and written together: about two megabytes.
const pieceCalls = 100

// piece is a run of whole calls of one shard.
type piece struct {
	source *source
	first  int // the first call's number in the merged run
	line   int // the first line's number in the shard
	data   []byte
	ends   bool // the shard's records

	counted bool // and not written
	done    chan made
}

// made is what comes of a piece.
type made struct {
	lines, metrics []byte
	outcomes       []outcome
	loads          [][]string
	params         map[pair][]string
	left           int // bytes of what a killed coordinator left unfinished
	err            error
}

// outcome is a record without what it measured.
type outcome struct {
	task, replicate int
	model           string
	record.Outcome
}

// pair is a model under a backend.
type pair struct{ model, backend string }

// each reads the calls of shards in their order, makes merged records of them on all processors, and hands them on in that
// order. Where they are counted alone nothing is written.
func each(all []*source, counted bool, take func(*source, *made) error) error {
	workers := runtime.GOMAXPROCS(0)
	work, order := make(chan *piece), make(chan *piece, 2*workers)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for p := range work {
				m := p.make()
				free(p.data)
				p.done <- m
			}
		})
	}
	var readErr error
	wait.Go(func() {
		defer close(order)
		defer close(work)
		readErr = readAll(all, func(p *piece) bool {
			p.counted = counted
			select {
			case <-stop:
				return false
			case work <- p:
				order <- p // has room for all that are being made
				return true
			}
		})
	})
	var err error
	for p := range order {
		m := <-p.done
		if err != nil {
			continue
		}
		if err = m.err; err == nil {
			err = take(p.source, &m)
		}
		free(m.lines)
		free(m.metrics)
		if err != nil {
			close(stop)
		}
	}
	wait.Wait()
	if err == nil {
		err = readErr
	}
	return err
}

// rooms are used again: a fifth of a merge would go into clearing new ones.
var rooms sync.Pool

// room is an empty slice with room for n bytes.
func room(n int) []byte {
	if b, ok := rooms.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:0]
	}
	return make([]byte, 0, n)
}

func free(b []byte) {
	if b != nil {
		rooms.Put(&b)
	}
}

// readAll cuts the records of shards into pieces, until send wants no more.
func readAll(all []*source, send func(*piece) bool) error {
	calls := 0
	for _, s := range all {
		n, more, err := s.read(calls, send)
		if err != nil || !more {
			return err
		}
		calls += n
	}
	return nil
}

// read cuts the records of one shard into pieces. What follows the last whole call goes with the last of them.
func (s *source) read(calls int, send func(*piece) bool) (n int, more bool, err error) {
	in, err := os.Open(filepath.Join(s.dir, store.RunsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, &runner.InputError{Err: fmt.Errorf("%s is no shard: it has no %s", s.dir, store.RunsFile)}
	}
	if err != nil {
		return 0, false, err
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 1<<20)
	size := 0 // of the piece before
	next := func(line int) (*piece, error) {
		p := &piece{source: s, first: calls + n, line: line, data: room(size + size/8), done: make(chan made, 1)}
		for range pieceCalls * len(record.Modes) {
			l, err := r.ReadSlice('\n')
			for errors.Is(err, bufio.ErrBufferFull) {
				p.data = append(p.data, l...)
				l, err = r.ReadSlice('\n')
			}
			p.data = append(p.data, l...)
			if err != nil {
				p.ends = true
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return p, err
			}
		}
		_, err := r.Peek(1)
		p.ends = errors.Is(err, io.EOF)
		return p, nil
	}
	for line := 1; ; line += pieceCalls * len(record.Modes) {
		p, err := next(line)
		if err != nil {
			return n, false, fmt.Errorf("reading %s: %w", in.Name(), err)
		}
		ends := p.ends
		size = len(p.data)
		n += bytes.Count(p.data, []byte{'\n'}) / len(record.Modes)
		if !send(p) {
			return n, false, nil
		}
		if ends {
			return n, true, nil
		}
	}
}

// needed are the fields of a record that a merge reads.
var needed = record.Places("run_id", "task_idx", "session_idx", "replicate", "backend", "model", "model_kind", "params_millions", "params_millions_config", "is_warmup", "rep", "mode",
	"status", "attempted", "verdict", "verdict_reasons", "model_load_ms", "weight_type", "architecture", "params_total", "device")

// make makes merged records. What a killed coordinator left unfinished at the shard's end is left out, as a resumed run
// moves it aside: a torn line, or a call without all of its modes.
func (p *piece) make() (m made) {
	s := p.source
	m.params = map[pair][]string{}
	if !p.counted {
		m.lines, m.metrics = room(len(p.data)+len(p.data)/16), room(len(p.data)+len(p.data)/8)
	}
	var l record.Line
	rest, n := p.data, 0
	for ; ; n++ {
		call, end := cutCall(rest)
		if call == nil {
			break
		}
		if p.ends && end == len(rest) && !json.Valid(call[len(call)-1]) {
			break // torn, and closed by a later line end
		}
		for i, data := range call {
			line := p.line + n*len(record.Modes) + i
			r, cut := &record.Record{}, l.Cut(data)
			var err error
			if cut {
				err = l.Decode(r, needed)
			} else {
				err = json.Unmarshal(data, r)
			}
			if err != nil {
				m.err = s.wrong(line, "%v; mend or remove that line by hand", err)
				return m
			}
			if m.err = s.own(line, r); m.err != nil {
				return m
			}
			m.note(r)
			if p.counted {
				continue
			}
			r.OrderIdx, r.Session = p.first+n, r.Session+s.sessions
			if err := m.write(r, &l, cut); err != nil {
				m.err = s.wrong(line, "%v", err)
				return m
			}
		}
		rest = rest[end:]
	}
	m.left = len(rest)
	if m.left > 0 && !p.ends {
		m.err = s.wrong(p.line+n*len(record.Modes), "a call without all of its modes")
	}
	return m
}

// write writes a record at its place in the merged run: the line that was cut, or one of another version anew.
func (m *made) write(r *record.Record, l *record.Line, cut bool) (err error) {
	if cut {
		m.lines = append(l.Moved(m.lines, r.OrderIdx, r.Session), '\n')
		m.metrics, err = l.AppendRow(m.metrics, r.OrderIdx, r.Session)
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	m.lines = append(append(m.lines, text.JSON(data)...), '\n')
	var row bytes.Buffer
	metrics := record.NewMetrics(&row)
	metrics.Write(r)
	err = metrics.Flush()
	m.metrics = append(m.metrics, row.Bytes()...)
	return err
}

// cutCall is the first call of some lines, and where it ends; nil where there is none that is whole.
func cutCall(data []byte) (lines [][]byte, end int) {
	for range record.Modes {
		n := bytes.IndexByte(data[end:], '\n')
		if n < 0 {
			return nil, 0
		}
		lines = append(lines, data[end:end+n])
		end += n + 1
	}
	return lines, end
}

func (s *source) wrong(line int, format string, args ...any) error {
	return &runner.InputError{Err: fmt.Errorf("%s:%d: %w", filepath.Join(s.dir, store.RunsFile), line, fmt.Errorf(format, args...))}
}

// own refuses a record that is none of the shard's.
func (s *source) own(line int, r *record.Record) error {
	switch parts := s.shard().Parts; {
	case r.RunID != s.m.RunID:
		return s.wrong(line, "a record of run %q, where %s belong", r.RunID, s.m.RunID)
	case r.Session < 0 || r.Session >= max(len(s.m.Sessions), 1):
		return s.wrong(line, "a record of session %d, of %d in the manifest", r.Session, len(s.m.Sessions))
	default:
		for i := range parts {
			if parts[i].Has(r.Replicate, r.Model) {
				return nil
			}
		}
		return s.wrong(line, "a record of block %d, model %s, which are not of shard %s", r.Replicate, r.Model, s.shard().Shard)
	}
}

// note keeps what the run's small files tell of a record.
func (m *made) note(r *record.Record) {
	m.outcomes = append(m.outcomes, outcome{r.TaskIdx, r.Replicate, r.Model, r.Outcome})
	if r.ModelLoadMS != nil && r.Mode == record.ModePrefill {
		m.loads = append(m.loads, []string{r.Model, r.Device, r.Backend, number(*r.ModelLoadMS)})
	}
	if k := (pair{r.Model, r.Backend}); m.params[k] == nil {
		m.params[k] = paramsRow(r)
	}
}
