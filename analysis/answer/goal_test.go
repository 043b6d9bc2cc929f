package answer

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
)

// TestBudgets: a longer time has a larger model, and that of the objective is the
// answer's.
func TestBudgets(t *testing.T) {
	run, err := runs.Load(filepath.Join("..", "..", "results", "2026-11-23-ladder-xeon-2-cores"))
	if err != nil {
		t.Fatal(err)
	}
	_, a := ask(t, run)
	g := &a.Goal
	if len(g.Budgets) != len(budgets) || *g.Budgets[1].SurelyM != *g.SurelyM || *g.Budgets[1].GuessedM != *g.GuessedM {
		t.Fatalf("%+v", g)
	}
	for i, b := range g.Budgets {
		if *b.SurelyM > *b.GuessedM || i > 0 && !(*b.SurelyM > *g.Budgets[i-1].SurelyM) {
			t.Errorf("within %g ms: %g surely, %g guessed", b.MS, *b.SurelyM, *b.GuessedM)
		}
	}
	if rows := a.Within()[0].(doc.Table).Rows; len(rows) != 2 || rows[0][2] != doc.Millions(*g.SurelyM) {
		t.Errorf("%v", rows)
	}
	m := 128.0
	for want, b := range map[string]Budget{"128M": {GuessEnds: true}, "128M or more": {Ends: true}, "128M, all that fits": {Memory: true, Ends: true}} {
		if b.SurelyM = &m; b.size(b.SurelyM) != want {
			t.Errorf("%+v: %s, want %s", b, b.size(b.SurelyM), want)
		}
		if b = (Budget{GuessedM: &m, GuessEnds: true}); b.size(b.GuessedM) != "128M or more" {
			t.Errorf("%+v: %s", b, b.size(b.GuessedM))
		}
	}
	if got := (&Budget{}).size(nil); got != "none that can be predicted" {
		t.Error(got)
	}
	if (&Answer{}).Within() != nil {
		t.Error("a table without predictions")
	}
}

// TestObjective: the objective is the run's, and is told.
func TestObjective(t *testing.T) {
	run, err := runs.Load(filepath.Join("..", "..", "results", "2026-11-23-ladder-xeon-2-cores"))
	if err != nil {
		t.Fatal(err)
	}
	largest := 0.0
	for _, ms := range []float64{20, 50, 200} {
		r, err := analysis.Analyze(run, cells.Options{Bootstrap: -1, SLO: cells.Objective{MS: ms}})
		if err != nil {
			t.Fatal(err)
		}
		a := Of(r)
		check(t, r, a)
		g := &a.Goal
		if want := fmt.Sprintf("within %g ms per token", ms); !strings.Contains(g.Text, want) || g.Budgets[1].MS != ms || g.SurelyM == nil || !(*g.SurelyM > largest) || !(g.CI.High <= ms) {
			t.Errorf("%g ms: %+v", ms, g)
		}
		largest = *g.SurelyM
	}
	if _, err := analysis.Analyze(run, cells.Options{SLO: cells.Objective{MS: 5, First: true}}); err == nil || !strings.Contains(err.Error(), "50ms/token") {
		t.Errorf("a time to the first token: %v", err)
	}
}
