package wall

import (
	"strings"
	"testing"

	"llmscale/analysis/cells/celltest"
)

func TestSection(t *testing.T) {
	a := &Answer{Wall: wallOf(t, wallRun(nil))}
	md := celltest.Markdown(t, a.Sections()...)
	for _, want := range []string{
		"## With 8 GiB of memory m03 (40 million) is the largest model that is whole in it",
		"| f32 | 8 GiB, all | m03 (40 million) | none | – | m04 (80 million) |",
		"| f32 | 8 GiB, fit | m03 (40 million) | m04 (80 million) | 10.00 | m05 (160 million) |",
		"| f32 | whole card, all | m05 (160 million) | none | – | none |",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if s := (&Answer{}).Sections(); len(s) != 0 {
		t.Errorf("a run without a wall has a section on it: %+v", s)
	}
}
