// Package exchange writes a run's records in the forms of other programs, and makes a
// run of what another program measured: the lines of Go's benchmarks, which benchstat
// reads, llama-bench's JSON Lines, and Parquet.
//
// What a form has no place for is left out, and what it asks for and is not known is
// null.
package exchange

import (
	"fmt"
	"io"

	"llmscale/analysis/runs"
)

// Formats of Export.
const (
	GoBench    = "gobench"
	LlamaBench = "llama-bench"
	Parquet    = "parquet"
)

// Formats lists them.
var Formats = []string{GoBench, LlamaBench, Parquet}

// Export writes the run in dir to w, in one of Formats, and says what it left out.
func Export(w io.Writer, dir, format string) (left []string, err error) {
	if format == Parquet {
		return nil, writeParquet(w, dir)
	}
	run, err := runs.Load(dir)
	if err != nil {
		return nil, err
	}
	if err := run.Nothing(); err != nil {
		return nil, err
	}
	switch format {
	case GoBench:
		return writeGoBench(w, run)
	case LlamaBench:
		return writeLlamaBench(w, run)
	}
	return nil, fmt.Errorf("no format %q", format)
}
