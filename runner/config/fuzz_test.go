package config

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
)

// FuzzParse: no bytes make the parser panic or hang, every refusal is an Errors
// whose entries have a place, and what is accepted holds the promises that the
// rest of the program relies on.
func FuzzParse(f *testing.F) {
	for _, tc := range badFiles {
		f.Add([]byte(tc.text))
	}
	for _, tc := range badLists {
		f.Add([]byte(tc.text))
	}
	f.Add([]byte(oneBackend("threads: [1..4, 8], flash_attn: [on, off]")))
	f.Add([]byte(mixed))
	for _, name := range []string{"scaling", "smoke", "real-model"} {
		data, err := os.ReadFile(root + "configs/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("dir/fuzz.yaml", data)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 || err.Error() == "" {
				t.Fatalf("%T: %v", err, err)
			}
			for _, e := range all {
				if e.Line < 1 || e.Column < 1 || e.Msg == "" {
					t.Fatalf("error without a place: %+v", e)
				}
			}
			return
		}
		if c.GenTokens < 1 || c.Repetitions < 1 || c.WarmupRepetitions < 0 || c.Seed < 0 || !(c.CellTimeoutS > 0) || c.CellTimeout() <= 0 {
			t.Fatalf("out of range: %+v", c)
		}
		for _, s := range c.Scenarios {
			if s.Name == "" || (s.Prompt == "") == (s.PromptTokens == 0) {
				t.Fatalf("%+v", s)
			}
		}
		for _, m := range c.Models {
			if m.Name == "" || (m.Preset == "") == (m.Path == "") {
				t.Fatalf("%+v", m)
			}
		}
		if len(c.Pairs()) == 0 || len(c.Pairs()) < max(len(c.Models), len(c.Backends)) {
			t.Fatalf("models or backends without a partner: %+v", c)
		}
		for _, names := range [][]string{backendNames(c), scenarioNames(c)} {
			slices.Sort(names)
			if len(names) > maxEntries || len(slices.Compact(names)) < len(names) || slices.ContainsFunc(names, func(s string) bool { return nameRule(s) != "" }) {
				t.Fatalf("names %q", names)
			}
		}
		c.Warnings()
		if n := len(c.Pairs()) * len(c.Scenarios); (n > c.MaxCells) != (c.CheckCells() != nil) {
			t.Fatalf("%d cells of %d: %v", n, c.MaxCells, c.CheckCells())
		}
		if _, err := json.Marshal(c.Resolved()); err != nil {
			t.Fatal(err)
		}
		if err := c.Filter([]string{c.Models[0].Name}, nil, []string{c.Scenarios[0].Name}); err != nil {
			t.Fatal(err)
		}
	})
}
