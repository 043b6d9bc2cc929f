package runs

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// MaxBrokenWarnings bounds how many broken lines are named one by one.
const MaxBrokenWarnings = 20

// chunk is as many whole lines as a goroutine parses at once.
type chunk struct {
	data  []byte
	first int   // number of its first line
	err   error // why nothing more could be read
	lines chan []parsed
}

// parsed is what a line was.
type parsed struct {
	row      Row
	badField string
	err      error
	whole    bool // ended by a newline
}

const chunkBytes = 1 << 20

// readRows reads the lines of r, of about size bytes. They are parsed on all
// processors, and counted in their order.
func (run *Run) readRows(r io.Reader, size int64) ([]Row, error) {
	workers := runtime.GOMAXPROCS(0)
	work, inOrder := make(chan *chunk, workers), make(chan *chunk, 2*workers)
	go func() {
		defer close(work)
		defer close(inOrder)
		inChunks(r, func(c *chunk) {
			work <- c
			inOrder <- c
		})
	}()
	shared := &shared{}
	for range workers {
		go func() {
			p := parser{shared: shared}
			for c := range work {
				c.lines <- p.chunk(c)
			}
		}()
	}
	var rows []Row
	badFields := map[string]bool{}
	bytesRead := 0
	for c := range inOrder {
		lines := <-c.lines
		if bytesRead += len(c.data); cap(rows)-len(rows) < len(lines) {
			// As many as the lines so far make one expect, and a few more.
			rows = slices.Grow(rows, len(lines)+int(1.02*float64(len(rows)+len(lines))*max(0, float64(size)/float64(bytesRead)-1)))
		}
		for i := range lines {
			l := &lines[i]
			run.Counts.Lines++
			if l.err == nil {
				rows = append(rows, l.row)
			}
			run.note(l, badFields)
		}
		if c.err != nil {
			return nil, fmt.Errorf("line %d: %w", c.first+bytes.Count(c.data, []byte{'\n'}), c.err)
		}
	}
	if n := run.Counts.Broken; n > MaxBrokenWarnings {
		run.warn("broken_line", "runs.jsonl", fmt.Sprintf("%d lines in all are not records", n),
			"the file is damaged: treat the figures with care, or measure again")
	}
	run.Counts.Records = len(rows)
	return rows, nil
}

// note warns of what is wrong with a line.
func (run *Run) note(l *parsed, badFields map[string]bool) {
	if l.err == nil && (l.badField == "" || badFields[l.badField]) {
		return
	}
	where := fmt.Sprintf("runs.jsonl:%d", l.row.Line)
	switch {
	case l.err == nil:
		badFields[l.badField] = true
		run.warn("bad_field", where,
			fmt.Sprintf("field %s has a value of the wrong type; it is taken as not measured (first of its kind)", l.badField),
			"correct the line, or leave it: the other fields are used")
	case !l.whole:
		run.Counts.Broken++
		run.warn("torn_line", where,
			"the last line is incomplete: the run was cut off while writing it",
			"nothing to repair: --resume measures that call again")
	default:
		run.Counts.Broken++
		if run.Counts.Broken <= MaxBrokenWarnings {
			run.warn("broken_line", where,
				fmt.Sprintf("not a record: %v", l.err),
				"the line is left out of every figure; check the disk, or what else wrote to the file")
		}
	}
}

// inChunks cuts r behind line ends.
func inChunks(r io.Reader, found func(*chunk)) {
	line := 1
	var rest []byte // of a line of which the end is yet to be read
	for {
		data := append(make([]byte, 0, len(rest)+chunkBytes), rest...)
		n, err := io.ReadFull(r, data[len(rest):cap(data)])
		data = data[:len(rest)+n]
		over := err == io.EOF || err == io.ErrUnexpectedEOF
		end := bytes.LastIndexByte(data, '\n') + 1
		if over {
			end = len(data)
			err = nil
		}
		rest = data[end:]
		if end > 0 || err != nil {
			found(&chunk{data: data[:end], first: line, err: err, lines: make(chan []parsed, 1)})
		}
		if over || err != nil {
			return
		}
		line += bytes.Count(data[:end], []byte{'\n'})
	}
}

// chunk parses lines, the empty ones left out.
func (p *parser) chunk(c *chunk) []parsed {
	out := make([]parsed, 0, 1+bytes.Count(c.data, []byte{'\n'}))
	number := c.first
	for line := range bytes.Lines(c.data) {
		if text := bytes.TrimSpace(line); len(text) > 0 {
			row, bad, err := p.row(text)
			row.Line = number
			out = append(out, parsed{row, bad, err, line[len(line)-1] == '\n'})
		}
		number++
	}
	return out
}
