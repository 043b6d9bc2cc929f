package analysis

import (
	"strconv"
	"strings"
)

// verdictTables list what was left out.
var verdictTables = []Table{
	table("verdicts.csv", "Cells with calls that something spoilt (verdict INVALID): they are in no summary, fit, percentile or plot.", true,
		func(r *Result) []*InvalidCell { return pointers(r.Invalid) },
		[]column[*InvalidCell]{
			{"backend", "", "name of the backend", func(c *InvalidCell) string { return c.Backend }},
			{"backend_kind", "", "runtime", func(c *InvalidCell) string { return c.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(c *InvalidCell) string { return strconv.Itoa(c.BatchSize) }},
			{"model", "", "name of the model", func(c *InvalidCell) string { return c.Model }},
			{"params_millions_effective", "1e6", "parameters", func(c *InvalidCell) string { return opt(c.ParamsM) }},
			{"scenario", "", "name of the scenario", func(c *InvalidCell) string { return c.Scenario }},
			{"invalid_repetitions", "calls", "repetitions left out", func(c *InvalidCell) string { return strconv.Itoa(c.Repetitions) }},
			{"invalid_warmups", "calls", "warm-ups left out", func(c *InvalidCell) string { return strconv.Itoa(c.Warmups) }},
			{"valid_repetitions", "calls", "repetitions that count; with 0 the cell has no figure", func(c *InvalidCell) string { return strconv.Itoa(c.Valid) }},
			{"reasons", "", "what spoilt them", func(c *InvalidCell) string { return strings.Join(c.Reasons, "; ") }},
		}),
}
