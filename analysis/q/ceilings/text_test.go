package ceilings

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/runner/ceilings"
)

// ladder is an answer about four sizes in two scenarios, on one backend, whose decode
// reads 5 of 10 or of 100 GB/s.
func ladder(t *testing.T) *Answer {
	t.Helper()
	rows := celltest.Plan{Models: 4, Reps: 3, Gen: 10, Backends: []string{"cpu_f32"}, Scenarios: []string{"a", "b"}, PerToken: func(m int) float64 { return 4 * float64(int(1)<<m) }}.Rows(1)
	return asked(t, rows, &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}})
}

func TestSection(t *testing.T) {
	if md := celltest.Markdown(t, (&Answer{}).Sections()...); md != celltest.Markdown(t) {
		t.Errorf("a run that measured no ceilings says\n%s", md)
	}
	md := celltest.Markdown(t, ladder(t).Sections()...)
	for _, want := range []string{
		"| cpu with 2 threads | made up | 100.0 | 1.049 | 10.00 | 268.4 | 0.2000 | 3.000 | barrier |",
		"Decode on cpu_f32 reads from **5.0 to 50 %** of what can be read on m00 (", " of 100.0 GB/s for 20.00 MB) to **5", "for 160.0 MB), on this machine.",
		"Each model in the scenario in which its decode comes nearest", "<summary>All 8 cells</summary>",
		"| m03 | 40 |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if strings.Contains(md, "cannot be") || strings.Contains(md, "No share") || strings.Contains(md, "peak") {
		t.Errorf("shares below 100 %% are doubted, or there is a column of nothing:\n%s", md)
	}
}

// TestDoubts: a share above 100 %, a range at a cache's edge, cells without a share, a
// device of which nothing was measured.
func TestDoubts(t *testing.T) {
	a := ladder(t)
	share := func(low, high float64) {
		s := &a.Shares[0]
		c, reached := *s.GBPerS/low, *s.GBPerS/high
		s.Ceiling, s.Reached, s.Share, s.ShareHigh = &c, &reached, &low, &high
	}
	share(1.5, 1.5)
	for i := 1; i < 3; i++ {
		a.Shares[i].Share, a.Shares[i].Reason = nil, "3 of 7 layers are on the GPU"
	}
	a.Devices = append(a.Devices, Device{Kind: ceilings.CUDA, Name: "GPU", PeakGBPS: new(3350.0), PeakShare: new(0.93), TensorHF: new(660.0), Missing: map[string]string{"read": "no *memory*"}})
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{"**150 %**", "More than 100 % cannot be", "No share for 2 cells: 3 of 7 layers", "Of cuda nothing was read: not measured are read (no \\*memory\\*).", "share of the driver's peak", "| 93.0 |", "tensor cores", "660.0"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	share(0.24, 2.4)
	if md := celltest.Markdown(t, a.Sections()...); !strings.Contains(md, "| 24 to 100 |") || strings.Contains(md, "cannot be") {
		t.Errorf("no range at a cache's edge in\n%s", md)
	}
	// With no share at all there is no table of cells, and still the reasons.
	for i := range a.Shares {
		a.Shares[i].Share, a.Shares[i].Reason = nil, "no ceilings of cpu with 3 threads were measured"
	}
	md = celltest.Markdown(t, a.Sections()...)
	if strings.Contains(md, "share (%) |") || !strings.Contains(md, "No share for 8 cells") || !strings.Contains(md, "made up") {
		t.Errorf("%s", md)
	}
}
