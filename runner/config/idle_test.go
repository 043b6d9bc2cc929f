package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestIdleDType: a dtype that no model of its backend is written in is told, of the file as it stands.
func TestIdleDType(t *testing.T) {
	const head = "scenarios: [{name: s, prompt: x}]\nbackends:\n  - {name: a, dtype: f16}\n  - {name: b, dtype: q8_0, threads: 1}\n" +
		"  - {name: o, kind: ollama, dtype: f32, import: true}\n  - {name: own, threads: 3}\nmodels: "
	line := func(line, column int, dtype, backend string) string {
		return fmt.Sprintf("dir/x.yaml:%d:%d: dtype %s of backend %s changes nothing: the models that it runs keep the types that their files have; remove it", line, column, dtype, backend)
	}
	a, b, o := line(3, 22, "f16", "a"), line(4, 22, "q8_0", "b"), line(5, 36, "f32", "o")
	for models, want := range map[string][]string{
		"[{name: m, source: synth:gpt2}, {name: l, source: ladder:llama, backends: [o]}, {name: f, source: m.gguf, backends: [own]}]":                       nil,
		"[{name: m, source: hf:dir}, {name: f, source: m.gguf, backends: [own]}]":                                                                           nil,
		"[{name: m, source: synth:gpt2, backends: [a]}, {name: f, source: m.gguf, backends: [b, o, own]}]":                                                  {b, o},
		"[{name: f, source: m.gguf, backends: [a, own]}, {name: g, source: 'like:m.gguf', backends: [b]}, {name: h, source: 'ollama:x:1b', backends: [o]}]": {a, b, o},
	} {
		c := parse(t, head+models)
		var got []string
		for _, w := range c.Warnings() {
			if strings.Contains(w, "changes nothing") {
				got = append(got, w)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", models, got, want)
		}
	}
	// What is chosen from the file for one run makes no new warning, and takes that of a backend that is left out.
	c := parse(t, head+"[{name: m, source: synth:gpt2, backends: [a]}, {name: f, source: m.gguf, backends: [a, b, o, own]}]")
	if err := c.Filter([]string{"f"}, []string{"a", "o"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := c.Warnings(); !reflect.DeepEqual(got, []string{o}) {
		t.Errorf("%q", got)
	}
}
