package speedups

import (
	"math"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func ask(t *testing.T, rows []runs.Row) *Answer {
	c := celltest.Set(t, rows)
	return Ask(c, policy.Ask(c), crosscheck.Ask(c))
}

// twoBackends has b decode 1, 2, 4 times as fast as a on three models.
func twoBackends() []runs.Row {
	var rows []runs.Row
	for b, backend := range []string{"a", "b"} {
		for _, r := range celltest.LengthRun(3, []int{10}, 4, func(m, gen, _ int) float64 { return 40 / math.Pow(float64(int(1)<<m), float64(b)) }, nil) {
			r.Backend, r.Line = backend, len(rows)+1
			rows = append(rows, r)
		}
	}
	return rows
}

// TestSpeedups: the geometric mean of 1, 2 and 4 is 2; a model that one of the two ran
// in another scenario is no model of both.
func TestSpeedups(t *testing.T) {
	rows := twoBackends()
	a := ask(t, rows)
	if len(a.Speedups) != len(record.Modes) {
		t.Fatalf("%+v", a.Speedups)
	}
	for _, x := range a.Speedups {
		if x.Base != "a" || x.Backend != "b" || x.NModels != 3 {
			t.Errorf("%+v", x)
		}
		if x.Mode != record.ModeDecode {
			continue
		}
		celltest.Near(t, "mean", &x.Geomean, 2, 1e-12)
		celltest.Near(t, "least", &x.Least, 1, 1e-12)
		celltest.Near(t, "most", &x.Most, 4, 1e-12)
		if x.LeastModel != "m00" || x.MostModel != "m02" {
			t.Errorf("%+v", x)
		}
	}
	if s := a.Sentences(); len(s) != 1 || !strings.Contains(s[0], "on b it is 2.00 times as fast as on a (geometric mean over the 3 models that both ran, one process of each; 1.00 to 4.00).") {
		t.Errorf("%q", s)
	}
	if got := slices.Collect(a.Tables()[0].Rows()); len(got) != 3 || !slices.Equal(got[1][:5], []string{"a", "b", "1", record.ModeDecode, "3"}) || got[1][9] != "m02" {
		t.Errorf("%q", got)
	}
	for i := range rows {
		if r := &rows[i]; r.Backend == "b" && r.Model == "m02" {
			r.Scenario = "other"
		}
	}
	for _, x := range ask(t, rows).Speedups {
		if x.NModels != 2 || x.MostModel == "m02" {
			t.Errorf("%+v", x)
		}
	}
}

// TestSaidOnce: backends that differ in one setting have a sentence of their own; a
// backend beside itself has none.
func TestSaidOnce(t *testing.T) {
	rows := twoBackends()
	for i := range rows {
		if rows[i].FlashAttention = "off"; rows[i].Backend == "b" {
			rows[i].FlashAttention = "on"
		}
	}
	if a := ask(t, rows); len(a.Speedups) == 0 || len(a.Sentences()) > 0 {
		t.Errorf("%+v %q", a.Speedups, a.Sentences())
	}
	if a := ask(t, rows[:len(rows)/2]); len(a.Speedups) > 0 {
		t.Errorf("%+v", a.Speedups)
	}
}
