package plan

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"llmscale/internal/text"
	"llmscale/runner/config"
)

// Print writes what the plan will do, and a guess of its time.
func (p *Plan) Print(out io.Writer, roughTime string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "order\tmodel\tbackend\tscenarios\tparams (M)\tweights\tKV cache\tcompute\tmemory\tfile")
	tooLarge, waived := 0, ""
	var refused []string
	seen := map[*Job]bool{} // blocks of a shard may have different models
	for _, v := range slices.Concat(p.Own()...) {
		j := v.Job
		if seen[j] {
			continue
		}
		seen[j] = true
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
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%.6g\t%s\t%s\t%s\t%s\t%s%s\n", len(seen), j.Model.Name, j.Backend.Name, strings.Join(scenarios, ","),
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
	for _, line := range p.ProgramLines() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "%s\n%s, the others in orders of their own; in each %s of a cell (%d warm-up, %d measured), gen %d tokens: %d records\n", p.Config.Product(),
		text.Counted(len(p.Own()), "block", "blocks"), text.Counted(len(p.Calls()), "call", "calls"), p.Config.WarmupRepetitions, p.Config.Repetitions, p.Config.GenTokens,
		p.RecordsExpected())
	if p.Free > 0 {
		fmt.Fprintf(out, "memory free: %s; %d of %d pairs do not fit\n", text.Size(p.Free), tooLarge, len(seen))
	}
	if waived != "" {
		fmt.Fprintln(out, "waived:", waived)
	}
	for _, why := range refused {
		fmt.Fprintln(out, "refused:", why)
	}
	fmt.Fprintln(out, roughTime)
	return nil
}

// ProgramLines say what each program of a plan with several was built from; none where this one measures alone.
func (p *Plan) ProgramLines() (out []string) {
	others := p.Programs()
	if len(others) == 0 {
		return nil
	}
	if slices.ContainsFunc(p.Jobs, func(j Job) bool { return j.Program == nil && j.Backend.Kind == config.KindNative }) {
		out = append(out, "program self (this one): "+p.Build.String())
	}
	for _, prog := range others {
		out = append(out, fmt.Sprintf("program %s: %s", prog.Name, prog.Build))
	}
	return out
}
