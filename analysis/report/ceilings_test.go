package report

import (
	"slices"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/plot/plottest"
	"llmscale/runner/ceilings"
)

// section is the part of a report under a heading.
func section(t *testing.T, md, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(md, "\n## "+title+"\n")
	if !ok {
		return ""
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

func TestCeilings(t *testing.T) {
	r := small().Result()
	if md, _ := write(t, r); section(t, md, "Ceilings") != "" {
		t.Error("a run that measured no ceilings has a section of them")
	}
	plottest.AddCeilings(r)
	md, _ := write(t, r)
	body := section(t, md, "Ceilings")
	for _, want := range []string{
		"| cpu with 2 threads | Made-up CPU @ 2.0 GHz | 320.0 |", "0.4300 | barrier |",
		"Decode on native_cpu_f32 reads from **", "GB/s for ", "on this machine.",
		"Each model in the scenario in which its decode comes nearest", "<summary>All 20 cells</summary>",
		"| native_cpu_f32 | gpt2-45m |",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if strings.Contains(body, "cannot be") || strings.Contains(body, "No share") {
		t.Errorf("shares below 100 %% are doubted:\n%s", body)
	}
}

// TestCeilingDoubts: a share above 100 %, a range at a cache's edge, cells without
// a share, a device of which nothing was measured.
func TestCeilingDoubts(t *testing.T) {
	r := small().Result()
	plottest.AddCeilings(r)
	share := func(low, high float64) {
		s := &r.CeilingShares[0]
		c, reached := *s.GBPerS/low, *s.GBPerS/high
		s.Ceiling, s.Reached, s.Share, s.ShareHigh = &c, &reached, &low, &high
	}
	share(1.5, 1.5)
	r.CeilingShares[1].Share, r.CeilingShares[1].Reason = nil, "3 of 7 layers are on the GPU"
	r.CeilingShares[2].Share, r.CeilingShares[2].Reason = nil, "3 of 7 layers are on the GPU"
	peak, tensor := 3350.0, 660.0
	r.Ceilings = append(r.Ceilings, analysis.DeviceCeiling{Kind: ceilings.CUDA, Name: "GPU", PeakGBPS: &peak, TensorHF: &tensor, Missing: map[string]string{"read": "no *memory*"}})
	md, _ := write(t, r)
	body := section(t, md, "Ceilings")
	for _, want := range []string{"**150 %**", "More than 100 % cannot be", "No share for 2 cells: 3 of 7 layers", "Of cuda nothing was read: not measured are read (no \\*memory\\*).", "share of the driver's peak", "tensor cores", "660.0"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	share(0.24, 2.4)
	md, _ = write(t, r)
	if body := section(t, md, "Ceilings"); !strings.Contains(body, "| 24 to 100 |") || strings.Contains(body, "cannot be") {
		t.Errorf("no range at a cache's edge in\n%s", body)
	}
	// With no share at all there is no table of cells, and still the reasons.
	for i := range r.CeilingShares {
		r.CeilingShares[i].Share, r.CeilingShares[i].Reason = nil, "no ceilings of cpu with 3 threads were measured"
	}
	md, _ = write(t, r)
	body = section(t, md, "Ceilings")
	if strings.Contains(body, "share (%) |") || !strings.Contains(body, "No share for 30 cells") && !strings.Contains(body, "No share for 20 cells") {
		t.Errorf("%s", body)
	}
	if !slices.ContainsFunc(r.Ceilings, func(d analysis.DeviceCeiling) bool { return strings.Contains(body, d.Name) }) {
		t.Error("the devices are gone with the shares")
	}
}
