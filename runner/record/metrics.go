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
	out := csv.NewWriter(w)
	row := make([]string, len(fields))
	for i, f := range fields {
		row[i] = f.Name
	}
	// An error of the writer is kept until the end.
	_ = out.Write(row)
	dec := json.NewDecoder(bufio.NewReader(runs))
	for line := 1; ; line++ {
		var r Record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("record %d: %w", line, err)
		}
		for i, f := range fields {
			row[i] = f.Cell(&r)
		}
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}
