package prose

import (
	"math"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

// TestLead: the first backend of the plan leads, unless another is shown to decode the
// largest model faster; one that decodes several sequences together does not, and one
// that measured fewer models neither.
func TestLead(t *testing.T) {
	type backend struct {
		name   string
		speed  float64
		batch  int
		models int
	}
	for _, c := range []struct {
		want string
		all  []backend
	}{
		{"a", []backend{{"a", 1, 1, 4}}},
		{"b", []backend{{"a", 1, 1, 4}, {"b", 1.5, 1, 4}}},
		{"a", []backend{{"a", 1.5, 1, 4}, {"b", 1, 1, 4}}},
		{"c", []backend{{"a", 1, 1, 4}, {"b", 1.5, 1, 4}, {"c", 2, 1, 4}}},
		{"a", []backend{{"a", 1, 1, 4}, {"b", 1.003, 1, 4}}}, // as good as equal
		{"a", []backend{{"a", 1, 1, 4}, {"b", 4, 8, 4}}},
		{"a", []backend{{"a", 1, 1, 4}, {"b", 4, 1, 3}}},
	} {
		var rows []runs.Row
		for _, b := range c.all {
			p := celltest.Plan{Models: b.models, Reps: 5, Gen: 16, Backends: []string{b.name}, Scenarios: []string{"s"}, PerToken: func(m int) float64 { return math.Pow(2, float64(m)) / b.speed }}
			for _, r := range p.Blocks(5, func(block int, r *runs.Row) float64 {
				return []float64{.98, 1.02, 1.01, .99, 1}[(block+len(c.all)*int(b.name[0]))%5]
			}) {
				if b.batch > 1 {
					r.BatchSize, r.BatchSizeConfig = new(b.batch), b.batch
				}
				r.Line = len(rows) + 1
				rows = append(rows, r)
			}
		}
		if lead, ok := Lead(celltest.Set(t, rows)); !ok || lead.Backend != c.want {
			t.Errorf("%+v: %s leads, want %s", c.all, lead.Backend, c.want)
		}
	}
	if _, ok := Lead(celltest.Set(t, nil)); ok {
		t.Error("nothing leads")
	}
}
