package report

import (
	"regexp"
	"strings"
	"testing"
)

var ratioInterval = regexp.MustCompile(`[^.;|]{0,80}\btimes[^.;|]{0,60}\(?95 % [^)]*\)`)

// unlabelled looks for an interval of a ratio that does not say what it holds for.
func unlabelled(t *testing.T, md string) {
	t.Helper()
	for _, s := range ratioInterval.FindAllString(md, -1) {
		if !strings.Contains(s, "within one process") {
			t.Errorf("an interval without its label: %s", s)
		}
	}
	if strings.Contains(md, "significant") {
		t.Error("the report says significant")
	}
}

func TestRatioIntervalPattern(t *testing.T) { // that the pattern finds what it is to find
	for s, want := range map[string]bool{
		"p64 **1.29 times** (95 % 1.22 to 1.45), +2.3 on native's 8.07": true,
		"**2.01 times** as fast as in f32 (95 % 1.95 to 2.07)":          true,
		"the gap is a fixed cost, 0.4 ms per token (95 % 0.3 to 0.5)":   false,
	} {
		if got := ratioInterval.MatchString(s); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}
