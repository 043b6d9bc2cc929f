package main

import (
	"fmt"
	"io"
	"strings"

	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/runner"
	"llmscale/runner/machine"
	"llmscale/runner/plan"
	"llmscale/runner/record"
)

// machineRates are this machine's, measured now in some tens of milliseconds.
func machineRates() (r plan.Rates, err error) {
	_, threads := machine.Cores()
	if r.ReadBytesPerS, err = native.MemoryReadRate(threads); err == nil {
		r.FlopPerS, err = native.MultiplyAddRate(threads)
	}
	return r, err
}

func roughTime(p *plan.Plan) string {
	rates, err := machineRates()
	if err != nil {
		return "rough time: not estimated (" + err.Error() + ")"
	}
	return p.Estimate(rates).String()
}

func printSummary(out, errOut io.Writer, run *runner.Run, dir string, sum runner.Summary) {
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
