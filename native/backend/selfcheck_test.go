//go:build native

package backend

import (
	"strings"
	"testing"

	"llmscale/runner/protocol"
)

func TestLoadChecksItself(t *testing.T) {
	spec := planned(t, model(t, t.TempDir(), "m", 3)).Jobs[0].Load
	load := func(change func(s *protocol.LoadSpec)) protocol.LoadInfo {
		s := spec
		s.SelfCheck = &protocol.SelfCheckSpec{BudgetS: 60, Bound: protocol.SelfCheckBound}
		change(&s)
		n := &Native{}
		defer n.Close()
		info, err := n.Load(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	check := func(change func(s *protocol.LoadSpec)) *protocol.SelfCheck { return load(change).SelfCheck }
	for _, c := range []struct {
		name   string
		change func(s *protocol.LoadSpec)
		tokens int
	}{
		{"as planned", func(*protocol.LoadSpec) {}, protocol.SelfCheckTokens},
		{"fewer positions", func(s *protocol.LoadSpec) { s.Positions = 9 }, 9},
		{"batches smaller than the prompt", func(s *protocol.LoadSpec) { s.NBatch, s.NUBatch = 16, 8 }, protocol.SelfCheckTokens},
	} {
		if s := check(c.change); s == nil || s.Tokens != c.tokens || s.Skipped != "" || s.RelL2 > protocol.SelfCheckBound/4 {
			t.Errorf("%s: %+v, want %d tokens", c.name, s, c.tokens)
		}
	}
	for name, change := range map[string]func(s *protocol.LoadSpec){
		"one token took more than": func(s *protocol.LoadSpec) { s.SelfCheck.BudgetS = 1e-9 },
		"room for one token":       func(s *protocol.LoadSpec) { s.Positions = 1 },
	} {
		if s := check(change); s == nil || !strings.Contains(s.Skipped, name) || s.Tokens != 0 {
			t.Errorf("%q: %+v", name, s)
		}
	}
	if s := check(func(s *protocol.LoadSpec) { s.SelfCheck = nil }); s != nil {
		t.Errorf("not asked for: %+v", s)
	}
	if info := load(func(s *protocol.LoadSpec) { s.Sequences = 2 }); info.BatchCheck.Sequences != 2 || info.BatchCheck.Skipped != "" {
		t.Errorf("a batch: %+v", info.BatchCheck)
	}
	info := load(func(s *protocol.LoadSpec) { s.Sequences, s.SelfCheck.Bound = 2, -1 })
	if info.SelfCheck.Skipped != "" || !strings.Contains(info.BatchCheck.Skipped, "the self-check found wrong results") {
		t.Errorf("a batch after a wrong result: %+v, %+v", info.SelfCheck, info.BatchCheck)
	}
}
