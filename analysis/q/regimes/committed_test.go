package regimes

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/weights"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

const results = "../../../results"

func committed(t *testing.T, dir string) *Answer {
	t.Helper()
	run, err := runs.Load(filepath.Join(results, dir))
	if err != nil {
		t.Fatal(err)
	}
	set, err := cells.New(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return Ask(set, intervals.Ask(set), weights.Ask(set))
}

// TestCommitted: on each run under results/ every cell has a regime, the parts add up to
// the measured time, and none reads above 105 % of its ceiling without a warning. On the
// ladder the law is within 20 % of decode at four of five sizes.
func TestCommitted(t *testing.T) {
	dirs, err := os.ReadDir(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(results, d.Name(), "manifest.json")); err != nil {
			continue
		}
		if testing.Short() && !strings.Contains(d.Name(), "-ladder-") && !strings.Contains(d.Name(), "-batches-") {
			continue
		}
		a := committed(t, d.Name())
		told := map[string]int{}
		for i := range a.Budgets {
			b := &a.Budgets[i]
			told[b.Regime]++
			if b.Regime == "" {
				t.Errorf("%s: no regime: %+v", d.Name(), b)
			}
			if warned := slices.ContainsFunc(a.Warnings(), func(w finding.Warning) bool { return w.Code == "above_ceiling" && w.Where == b.Backend }); b.Share != nil && *b.Share > 1.05 && !warned {
				t.Errorf("%s: %s %s %s reads at %.3f of its ceiling", d.Name(), b.Model, b.Scenario, b.Mode, *b.Share)
			}
			if b.ResidualMS == nil {
				continue
			}
			total := *b.ResidualMS
			for _, part := range []*float64{b.HostMS, b.FixedMS, b.ReadMS, b.ComputeMS} {
				if part != nil {
					total += *part
				}
			}
			if b.OverlapMS != nil {
				total -= *b.OverlapMS
			}
			if math.Abs(total / *b.TimeMS - 1) > 0.01 {
				t.Errorf("%s: %s %s %s: the parts make %v of %v ms", d.Name(), b.Model, b.Scenario, b.Mode, total, *b.TimeMS)
			}
		}
		sizes, of := stats.GroupBy(a.Budgets, func(b Budget) [2]string { return [2]string{b.Backend, b.Model} })
		within, all := 0, 0
		for _, size := range sizes {
			var off []float64
			for _, b := range of[size] {
				if b.Mode == record.ModeDecode && b.FixedMS != nil {
					off = append(off, math.Abs(*b.ResidualMS / *b.TimeMS))
				}
			}
			if len(off) == 0 {
				continue
			}
			all++
			if stats.Median(off) <= 0.2 {
				within++
			}
		}
		t.Logf("%s: %v; the law is within 20 %% of decode at %d of %d sizes; %s", d.Name(), told, within, all, a.title())
		if strings.Contains(d.Name(), "-ladder-") && (all == 0 || 5*within < 4*all) {
			t.Errorf("%s: the law is within 20 %% of decode at %d of %d sizes", d.Name(), within, all)
		}
	}
}

// TestFollowsItsBytes: of a model whose decode takes as long as the bytes of several
// weight types nothing says that it computes.
func TestFollowsItsBytes(t *testing.T) {
	run, err := runs.Load(filepath.Join(results, "2026-11-30-policies-epyc-2-cores"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := cells.New(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	types := weights.Ask(set)
	follow := 0
	for _, b := range Ask(set, intervals.Ask(set), types).Budgets {
		if b.Mode != record.ModeDecode || types.Follows(b.Series(), b.Model) == "" {
			continue
		}
		if follow++; b.Regime == Compute {
			t.Errorf("%s %s is told to be %s", b.Backend, b.Model, b.Regime)
		}
	}
	if follow < 2 {
		t.Errorf("%d cells follow their bytes", follow)
	}
}
