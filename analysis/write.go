package analysis

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"llmscale/analysis/finding"
	"llmscale/internal/durable"
	"llmscale/internal/text"
)

// Names of the files that are not tables.
const (
	ResultFile   = "analysis.json" // the whole Result
	WarningsFile = "warnings.json" // its warnings
)

// Write puts the tables of r, warnings.json and analysis.json into dir, which it
// makes if need be. Each file appears whole or not at all; the same Result gives
// the same bytes.
func Write(dir string, r *Result) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("analysis: cannot make the output folder: %w", err)
	}
	write := func(name string, fill func(io.Writer) error) error {
		if err := durable.Quick.Write(filepath.Join(dir, name), fill); err != nil {
			return fmt.Errorf("analysis: %w", err)
		}
		return nil
	}
	for _, t := range Tables(r) {
		if t.Optional && t.Len() == 0 {
			continue
		}
		if err := write(t.File, func(w io.Writer) error { return writeCSV(w, t) }); err != nil {
			return err
		}
	}
	warnings := r.Warnings
	if warnings == nil {
		warnings = []finding.Warning{}
	}
	return cmp.Or(write(WarningsFile, func(w io.Writer) error { return writeJSON(w, &warnings) }), write(ResultFile, r.write))
}

func writeCSV(w io.Writer, t finding.Table) error {
	lines := csv.NewWriter(w)
	header := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		header[i] = c.Name
	}
	if err := lines.Write(header); err != nil {
		return err
	}
	for row := range t.Rows() {
		for i := range row {
			row[i] = text.Safe(row[i])
		}
		if err := lines.Write(row); err != nil {
			return err
		}
	}
	lines.Flush()
	return lines.Error()
}
