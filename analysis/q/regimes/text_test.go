package regimes

import (
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// TestSection: the title is the finding, and a sentence has the sizes of each regime.
func TestSection(t *testing.T) {
	if md := celltest.Markdown(t, (&Answer{}).Sections()...); md != celltest.Markdown(t) {
		t.Errorf("a run that measured nothing says\n%s", md)
	}
	w := onLadder
	w.batches, w.scatter = []int{1}, 0
	rows, _ := w.rows(t, 1)
	a := asked(t, rows, w.f)
	told := map[string]int{}
	for i := range a.Budgets {
		if b := &a.Budgets[i]; b.Mode == record.ModeDecode {
			told[b.Regime]++
		}
	}
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{
		"## Decode is memory-bound from ", " on (it reads at ", " of the measured bandwidth at ", "| mode | backend |", " | overhead | ", "| of the bandwidth, at the largest (%) |", "| decode | cpu_bs1 |", "| prefill, 64 tokens | cpu_bs1 |",
		"| cpu with 2 threads | made up | 100.0 | 1.049 | 10.00 | 268.4 | 0.2000 |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if told[Memory] == 0 || told[Overhead] == 0 {
		t.Errorf("%v", told)
	}
	for i := range a.Budgets {
		a.Budgets[i].Regime, a.Budgets[i].Between = Memory, nil
	}
	if title := a.title(); !strings.HasPrefix(title, "Decode is memory-bound at all sizes (it reads at ") {
		t.Errorf("all cells alike: %s", title)
	}
	for i := range a.Budgets {
		a.Budgets[i].Regime = Unknown
	}
	if title := a.title(); !strings.HasPrefix(title, "What bounds decode at all sizes cannot be told") {
		t.Errorf("nothing told: %s", title)
	}
}

// TestReads: the share is of one size, says what it means for the regime, and is never more than all.
func TestReads(t *testing.T) {
	for _, x := range []struct {
		regime string
		share  float64
		named  bool
		want   string
	}{
		{Compute, 0.83, true, "reading alone would take 83 % of the time at 2.34B"},
		{Memory, 0.95, true, "it reads at 95 % of the measured bandwidth at 2.34B"},
		{Memory, 0.95, false, "it reads at 95 % of the measured bandwidth"},
		{"", 0.5, true, "it reads at 50 % of the measured bandwidth at 2.34B"},
		{Memory, 1.02, false, "it reads as fast as the probe did"},
	} {
		b := &Bounded{Model: &cells.Model{ParamsMillions: new(2343.0)}, Regime: x.regime, cells: []*Budget{{Share: &x.share}}}
		if got := b.reads(x.named).Text; got != x.want {
			t.Errorf("%s at %v: %q", x.regime, x.share, got)
		}
	}
}

// TestNothingRead: a device of which nothing was measured says why.
func TestNothingRead(t *testing.T) {
	a, _ := one(t, probed(), 20, func(*runs.Row) {})
	a.Devices = append(a.Devices, Device{Kind: ceilings.CUDA, Name: "GPU", TensorHF: new(660.0), Missing: map[string]string{"read": "no *memory*"}})
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{"Of cuda nothing was read: not measured are read (no \\*memory\\*).", "tensor cores", "660.0"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
}
