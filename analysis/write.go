package analysis

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
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
	for _, t := range Tables(r) {
		rows := t.Rows()
		if t.Optional && len(rows) == 0 {
			continue
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		header := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			header[i] = c.Name
		}
		for _, row := range rows {
			for i := range row {
				row[i] = text.Safe(row[i])
			}
		}
		if err := w.WriteAll(append([][]string{header}, rows...)); err != nil {
			return fmt.Errorf("analysis: %s: %w", t.File, err)
		}
		if err := writeFile(dir, t.File, b.Bytes()); err != nil {
			return err
		}
	}
	warnings := r.Warnings
	if warnings == nil {
		warnings = []finding.Warning{}
	}
	if err := writeJSON(dir, WarningsFile, warnings); err != nil {
		return err
	}
	return writeJSON(dir, ResultFile, r)
}

func writeJSON(dir, name string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("analysis: %s: %w", name, err)
	}
	return writeFile(dir, name, text.JSON(b.Bytes()))
}

func writeFile(dir, name string, data []byte) error {
	if err := durable.Quick.WriteFile(filepath.Join(dir, name), data); err != nil {
		return fmt.Errorf("analysis: %w", err)
	}
	return nil
}
