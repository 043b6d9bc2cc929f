package report

import (
	"strings"
	"testing"
)

// TestPlaces: a link to a section does not change with what is found.
func TestPlaces(t *testing.T) {
	_, page := write(t, small().Result())
	for _, want := range []string{`</strong> <a href="#what-changes-first">What changes first</a> <strong>`, ` <a href="#regimes">Regimes</a>`, ` <a href="#laws">Laws</a> Brackets hold`, `<a href="#what-changes-first">What changes first</a>`, `<a href="#laws">Laws</a>`, `<a href="#trust">Trust</a>`, `<h2 id="laws">Decode on native_cpu_f16 grows with `} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}
