package gpucheck

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Markdown writes the report for people.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# GPU check\n\nWritten by `llmscale gpu-report` from what lies in this folder; `make gpu-check` makes the folder. What was asked, and\n" +
		"where the expectations come from, is in docs/gpu.md.\n\n")
	if r.Device != nil {
		fmt.Fprintf(&b, "GPU: %s\n\n", r.Device.Name)
	}
	b.WriteString("| what | asked | measured | verdict | where |\n|---|---|---|---|---|\n")
	for _, f := range r.Findings {
		verdict := f.Verdict
		if f.Why != "" {
			verdict = "**" + verdict + "**: " + f.Why
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", cell(f.What), cell(f.Asked), cell(f.Measured), cell(verdict), cell(f.Where))
	}
	b.WriteString("\n| step | exit code | seconds |\n|---|---|---|\n")
	total := 0.0
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "| %s | %d | %.1f |\n", cell(s.Name), s.ExitCode, s.Seconds)
		total += s.Seconds
	}
	fmt.Fprintf(&b, "| together | | %.1f |\n", total)
	_, err := io.WriteString(w, b.String())
	return err
}

// cell makes text fit for one cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Failed counts what differs from what was expected.
func (r *Report) Failed() int {
	n := 0
	for _, f := range r.Findings {
		if f.Verdict == Differs {
			n++
		}
	}
	return n
}
