package firstchange

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/stats"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// sized is what firstChange knows of one model.
type sized struct {
	model  *cells.Model
	decode *float64       // geomean ms
	log    stats.Estimate // of decode's logarithm; where there is a decode
	tail   *tails.Tail    // over all scenarios; nil: no token times
	p95    *float64       // p95/p50 within its calls; nil: too few tokens
	doubt  string         // why its times cannot be judged
	failed int            // cells of which the size is at fault
	status string
	empty  bool // no cell was measured
}

func (z *sized) String() string {
	if m := *z.model.ParamsMillions; m >= 1000 {
		return fmt.Sprintf("%s (%.4g billion parameters)", z.model.Name, m/1000)
	}
	return fmt.Sprintf("%s (%.4g million parameters)", z.model.Name, *z.model.ParamsMillions)
}

// acrossProcesses adds what another process might have given to an estimate from
// the calls of one.
func acrossProcesses(calls stats.Estimate) stats.Estimate {
	return stats.Sum(calls, stats.Estimate{Variance: stats.ProcessSD * stats.ProcessSD, DF: math.Inf(1)})
}

// logTail is the logarithm of p95.
func (z *sized) logTail() stats.Estimate {
	e := stats.Estimate{Value: math.Log(*z.p95), Variance: *z.tail.P95InCallsSE * *z.tail.P95InCallsSE, DF: float64(z.tail.Groups - 1)}
	if z.tail.Basis == cells.BasisProcesses {
		return e
	}
	return acrossProcesses(e)
}

// larger reports whether z is larger than y by a step that counts as another size.
func (z *sized) larger(y *sized) bool {
	return *z.model.ParamsMillions >= sizeStep**y.model.ParamsMillions
}

// sizes lists the models of known size that were measured or that failed for
// their size; notes has the other failures.
func (a *asker) sizes(s cells.Series) (out []*sized, notes []string) {
	whole := a.WholeSet(s, record.ModeDecode) // the mean of a model that ran in others is of other work
	for _, m := range a.ModelsOf(s.Backend) {
		if m.ParamsMillions == nil {
			continue
		}
		z := &sized{model: m, empty: !a.Measured(s, m.Name), tail: a.tails.Overall(s, m.Name)}
		if g := a.Aggregate(s, m.Name, record.ModeDecode); g != nil && slices.Equal(g.Scenarios, whole) {
			z.decode = new(g.GeomeanMS)
		}
		if z.tail != nil {
			z.p95 = z.tail.P95InCalls
		}
		var medians []stats.Estimate
		var times []cells.Times
		for _, c := range a.CellsOfModel(s, m.Name) {
			if c.Mode == record.ModeDecode && a.Joins(c.Scenario) {
				medians = append(medians, stats.RobustLog(c.LatenciesMS))
				times = append(times, a.Group(s.Key(m.Name, c.Scenario, c.Mode)).Times())
				if z.doubt == "" {
					z.doubt = doubtOf(c)
				}
			}
		}
		if z.decode != nil { // then these are the cells of the whole set
			z.log = acrossProcesses(stats.Sum(medians...).Times(1 / float64(len(medians))))
			if e, basis := cells.Level(times...); basis == cells.BasisProcesses {
				z.log = e
				z.log.Value = math.Log(*z.decode)
			}
		}
		var reasons []string
		where := map[string][]string{} // scenarios by reason
		for _, f := range a.failedCells(s, m.Name) {
			if !infeasible(f.Status) || !a.Joins(f.Scenario) {
				continue
			}
			if why := a.notOfSize(s, m, f); why != "" {
				if where[why] == nil {
					reasons = append(reasons, why)
				}
				where[why] = append(where[why], f.Scenario)
				continue
			}
			z.failed++
			z.status = f.Status
		}
		for _, why := range reasons {
			notes = append(notes, fmt.Sprintf("%s %s (%s), which is not a matter of size", m.Name, why, strings.Join(where[why], ", ")))
		}
		if z.empty && z.failed == 0 {
			continue // waived, an error, or a failure that says nothing about size
		}
		out = append(out, z)
	}
	return out, notes
}

// doubtOf says why a cell's times cannot be judged; "" if they can.
func doubtOf(c *cells.Cell) string {
	if c.N < changeReps {
		return fmt.Sprintf("%s has %s of %s, and it takes %d", c.Model, words.Counted(c.N, "repetition", "repetitions"), c.Scenario, changeReps)
	}
	return ""
}

// notOfSize says why a failed cell is no matter of size: a limit or a path in the
// config, a damaged file, a killed process. "" if it may be one.
func (a *asker) notOfSize(s cells.Series, m *cells.Model, f failures.Cell) string {
	if f.OKCalls > 0 && f.Status != record.StatusOOM {
		return statusWord(f.Status) + " after calls that went well"
	}
	for _, l := range a.ModelsOf(s.Backend) {
		if l == m || l.ParamsMillions == nil || sizeStep**l.ParamsMillions <= *m.ParamsMillions || a.Group(s.Key(l.Name, f.Scenario, record.ModeDecode)) == nil {
			continue
		}
		whole := !slices.ContainsFunc(a.failedCells(s, l.Name), func(x failures.Cell) bool { return x.Scenario == f.Scenario })
		if whole {
			if *l.ParamsMillions < sizeStep**m.ParamsMillions {
				return fmt.Sprintf("%s where %s of the same size ran", statusWord(f.Status), l.Name)
			}
			return fmt.Sprintf("%s where the larger %s ran", statusWord(f.Status), l.Name)
		}
	}
	return ""
}

func statusWord(status string) string {
	switch status {
	case record.StatusOOM:
		return "ran out of memory"
	case record.StatusTimeout:
		return "timed out"
	}
	return status
}
