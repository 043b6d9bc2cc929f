package terminal

import (
	"fmt"
	"io"
	"strings"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/record"
)

// PrintSummary says how the run in dir ended.
func PrintSummary(out, errOut io.Writer, run *runner.Run, dir string, sum runner.Summary) {
	var parts []string
	for _, s := range []string{record.StatusOK, record.StatusOOM, record.StatusCrashed, record.StatusTimeout, record.StatusError, record.StatusWaived} {
		if n := sum.ByStatus[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if left := sum.Cells - len(run.Outcomes()); left > 0 {
		parts = append(parts, fmt.Sprintf("%d not measured", left))
	}
	fmt.Fprintf(errOut, "%s: %s\n", text.Counted(sum.Cells, "cell", "cells"), strings.Join(parts, ", "))
	for _, u := range run.Answers() {
		fmt.Fprintf(out, "%s said to %q: %q\n", u.Cell, u.Prompt, u.Text)
	}
	fmt.Fprintln(out, dir)
}
