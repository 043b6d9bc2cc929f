package protocol

import (
	"strings"
	"testing"
)

func TestSelfCheckVerdict(t *testing.T) {
	for _, c := range []struct {
		check *SelfCheck
		wrong []string // parts of the reason; none: nothing is wrong
	}{
		{nil, nil},
		{&SelfCheck{Skipped: "no time", RelL2: 1}, nil},
		{&SelfCheck{Tokens: 40, Bound: 0.1}, nil},
		{&SelfCheck{RelL2: 0.1, Tokens: 40, Bound: 0.1}, nil},
		{&SelfCheck{RelL2: 0.3, Tokens: 40, Bound: 0.4}, nil},
		{&SelfCheck{RelL2: 0.1001, Tokens: 40, SameToken: true, Bound: 0.1}, []string{"above 0.1", "prefers the same token"}},
		{&SelfCheck{RelL2: 0.58, Tokens: 33, Bound: 0.4}, []string{"33 tokens", "0.58", "prefers another token"}},
	} {
		why := c.check.Wrong()
		if (why == "") != (c.wrong == nil) {
			t.Errorf("%+v: %q", c.check, why)
		}
		for _, part := range c.wrong {
			if !strings.Contains(why, part) {
				t.Errorf("%+v: %q does not say %q", c.check, why, part)
			}
		}
	}
}
