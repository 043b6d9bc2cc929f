package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/plan"
	"llmscale/runner/record"
)

// printPlan is --dry-run: nothing has been written.
func printPlan(out io.Writer, p *plan.Plan) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "order\tmodel\tbackend\tscenarios\tparams (M)\tweights\tKV cache\tcompute\tmemory\tfile")
	tooLarge, waived := 0, ""
	var refused []string
	for i, v := range p.Blocks[0] {
		j := v.Job
		var scenarios []string
		for _, c := range v.Cells {
			scenarios = append(scenarios, c.Scenario.Name)
		}
		note := ""
		switch _, err := os.Stat(j.Model.File); {
		case j.Refused != nil:
			note = "  refused"
			if !slices.Contains(refused, j.Refused.Reason) {
				refused = append(refused, j.Refused.Reason)
			}
		case j.Waived != "":
			note = "  waived"
			waived = j.Waived
		case !j.Fits:
			note = "  does not fit"
			tooLarge++
		case err != nil:
			note = "  to be written"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%.6g\t%s\t%s\t%s\t%s\t%s%s\n", i+1, j.Model.Name, j.Backend.Name, strings.Join(scenarios, ","),
			float64(j.Model.Desc.ParamsTotal)/1e6, text.Size(j.Memory.Weights), text.Size(j.Memory.KV), text.Size(j.Memory.Compute),
			text.Size(j.Memory.Resident), text.Safe(j.Model.File), note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, line := range p.Config.Lists() {
		fmt.Fprintln(out, line)
	}
	for _, line := range programLines(p) {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "%s\n%s, the others in orders of their own; in each %s of a cell (%d warm-up, %d measured), gen %d tokens: %d records\n", p.Config.Product(),
		text.Counted(len(p.Blocks), "block", "blocks"), text.Counted(len(p.Calls()), "call", "calls"), p.Config.WarmupRepetitions, p.Config.Repetitions, p.Config.GenTokens,
		p.RecordsExpected())
	if p.Free > 0 {
		fmt.Fprintf(out, "memory free: %s; %d of %d pairs do not fit\n", text.Size(p.Free), tooLarge, len(p.Jobs))
	}
	if waived != "" {
		fmt.Fprintln(out, "waived:", waived)
	}
	for _, why := range refused {
		fmt.Fprintln(out, "refused:", why)
	}
	fmt.Fprintln(out, roughTime(p))
	return nil
}

// programLines say what each program of a plan with several was built from; none where this one measures alone.
func programLines(p *plan.Plan) (out []string) {
	others := p.Programs()
	if len(others) == 0 {
		return nil
	}
	if slices.ContainsFunc(p.Jobs, func(j plan.Job) bool { return j.Program == nil && j.Backend.Kind == config.KindNative }) {
		out = append(out, "program self (this one): "+p.Build.String())
	}
	for _, prog := range others {
		out = append(out, fmt.Sprintf("program %s: %s", prog.Name, prog.Build))
	}
	return out
}

// roughTime guesses from this machine's rates, measured now in some tens of milliseconds.
func roughTime(p *plan.Plan) string {
	_, threads := machine.Cores()
	var rates plan.Rates
	var err error
	if rates.ReadBytesPerS, err = native.MemoryReadRate(threads); err == nil {
		rates.FlopPerS, err = native.MultiplyAddRate(threads)
	}
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
