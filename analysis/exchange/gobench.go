package exchange

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"llmscale/analysis/runs"
)

// writeGoBench writes a line for each call that counts, in the format of
// golang.org/design/14313-benchmark-format. The lines of configuration say only what
// benchstat is to tell tables apart by; what names the run is a comment.
func writeGoBench(w io.Writer, run *runs.Run) (left []string, err error) {
	out := bufio.NewWriter(w)
	m := run.Manifest
	comment := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "# %s: %s\n", what, oneLine(text))
		}
	}
	comment("llmscale run", strings.TrimSpace(m.Text("run_name")+" "+m.Text("run_id")))
	comment("llama.cpp", run.Rows[0].LlamaCommit)
	for _, c := range []struct{ key, value string }{
		{"goos", m.Text("platform", "os")}, {"goarch", m.Text("platform", "machine")}, {"cpu", m.Text("platform", "processor")},
	} {
		if c.value != "" {
			fmt.Fprintf(out, "%s: %s\n", c.key, oneLine(c.value))
		}
	}
	fmt.Fprint(out, "Unit tokens/s better=higher\nUnit J/op better=lower\n")
	not := 0
	for i := range run.Rows {
		r := &run.Rows[i]
		ms, ok := r.Latency()
		if r.IsWarmup || !r.Counts() || !ok {
			not++
			continue
		}
		fmt.Fprintf(out, "BenchmarkCell/model=%s/backend=%s/scenario=%s", part(r.Model), part(r.Backend), part(r.Scenario))
		if n := r.Sequences(); n > 1 {
			fmt.Fprintf(out, "/batch=%d", n)
		}
		// Last, since a number behind a hyphen at the end would be taken for GOMAXPROCS.
		fmt.Fprintf(out, "/mode=%s 1 %s ns/op", part(r.Mode), digits(ms*1e6))
		if r.TokensPerS != nil {
			fmt.Fprintf(out, " %s tokens/s", digits(*r.TokensPerS))
		}
		if r.EnergyJ != nil {
			fmt.Fprintf(out, " %s J/op", digits(*r.EnergyJ))
		}
		fmt.Fprintln(out)
	}
	if not == len(run.Rows) {
		return nil, fmt.Errorf("no call of the run counts: its %d records are warm-ups, failed or do not count", not)
	}
	return leftOut(not, "records are warm-ups, failed or do not count"), out.Flush()
}

func leftOut(n int, why string) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d %s", n, why)}
}

// digits prints as many digits as a time has: 15, which no conversion of units adds to.
func digits(v float64) string { return strconv.FormatFloat(v, 'g', 15, 64) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// part is a name as a part of a benchmark's: what would end it is written as %XX.
func part(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c == '/' || c == '%' || c == 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
