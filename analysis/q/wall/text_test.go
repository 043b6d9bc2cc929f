package wall

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
	"llmscale/runner/record"
)

func TestSection(t *testing.T) {
	a := &Answer{Wall: wallOf(t, wallRun(nil))}
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{
		"| f32 | 8 GiB, all | m03 (40 million) | none | m04 (80 million) |",
		"| f32 | 8 GiB, fit | m03 (40 million) | m04 (80 million) | m05 (160 million) |",
		"| f32 | whole card, all | m05 (160 million) | none | none |",
		"| model | parameters (millions) | 8 GiB, all | 8 GiB, fit | whole card, all |",
		"**f32**: decode in ms per token",
		"| m04 | 80 | did not fit | 160.0 (3 of 7) | 16.00 |",
		"| f32 | 8 GiB, fit | m04 | 80 | 3 of 7 | 160.0 | 10.00 | card | 10.00 | 2.0 |",
		"<summary>Each model under each limit (18)</summary>",
		"| did not fit | – | – | – | – | – | oom | cudaMalloc failed: out of memory |",
		"| fit8 | 8 GiB, fit | f32 | m04 | 80 | partial | 3 of 7 | 160.0 | 144.0 | 17000 | 16000 | ok | – |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if s := (&Answer{}).Sections(); len(s) != 0 {
		t.Errorf("a run without a wall has a section on it: %+v", s)
	}
	// Two backends that ask for the same are told apart, other states have words.
	c := a.Wall.Cells[:3]
	for i, state := range []string{Failed, Invalid, None} {
		c[i].State, c[i].Status, c[i].Model, c[i].Backend = state, record.StatusCrashed, "m", string(rune('x'+i))
	}
	c[2].GPULayers = new(0)
	md = celltest.Markdown(t, (&Answer{Wall: &Wall{Cells: c}}).Sections()...)
	for _, want := range []string{"| 8 GiB, all (x) | 8 GiB, all (y) | 8 GiB, all (z) |", "| crashed | no call counts | ", "(0 of "} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
}
