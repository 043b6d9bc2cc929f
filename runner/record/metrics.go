package record

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WriteMetrics writes the lines of a runs.jsonl as CSV, a column for each field.
func WriteMetrics(w io.Writer, runs io.Reader) error {
	out := NewMetrics(w)
	out.Header()
	dec := json.NewDecoder(bufio.NewReader(runs))
	for line := 1; ; line++ {
		var r Record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("record %d: %w", line, err)
		}
		out.Write(&r)
	}
	return out.Flush()
}

// Metrics writes records as CSV. An error is kept until Flush.
type Metrics struct {
	out *csv.Writer
	row []string
}

// NewMetrics writes to w.
func NewMetrics(w io.Writer) *Metrics { return &Metrics{csv.NewWriter(w), make([]string, len(fields))} }

// Header writes the names of the columns.
func (m *Metrics) Header() {
	for i, f := range fields {
		m.row[i] = f.Name
	}
	_ = m.out.Write(m.row)
}

// Write writes a row.
func (m *Metrics) Write(r *Record) {
	for i, f := range fields {
		m.row[i] = f.Cell(r)
	}
	_ = m.out.Write(m.row)
}

// Flush writes what is left.
func (m *Metrics) Flush() error {
	m.out.Flush()
	return m.out.Error()
}
