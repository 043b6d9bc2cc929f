//go:build native

package native

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
)

// A refused load, context and call say llama.cpp's first error in the error, and keep all that it said.
func TestErrorsKeepLlamasReason(t *testing.T) {
	var echo bytes.Buffer
	EchoLog(&echo)
	defer EchoLog(nil)

	wrongShape := gguftest.Alter(t, writeModel(t, preset(t, "tiny-gpt2"), "f32"), func(_ map[string]any, specs []gguf.Spec) []gguf.Spec {
		for i := range specs {
			if specs[i].Name == "blk.0.ffn_up.weight" {
				specs[i].Dims = []int64{specs[i].Dims[0], specs[i].Dims[1] + 32}
			}
		}
		return specs
	})
	_, refusedLoad := Load(wrongShape, ModelParams{Mmap: true})
	m := load(t, writeModel(t, smallModel, "f32"))
	_, refusedContext := m.NewContext(ContextParams{NCtx: 256, FlashAttn: "off", KVTypeK: "q8_0", KVTypeV: "q8_0"})
	for _, c := range []struct {
		what   string
		err    error
		reason string
		later  string // a line that follows, and says less
	}{
		{"load", refusedLoad, "has wrong shape", "failed to load model"},
		{"context", refusedContext, "requires flash_attn", ""},
	} {
		var e *Error
		if !errors.As(c.err, &e) {
			t.Errorf("%s: %v, want an *Error", c.what, c.err)
			continue
		}
		if !strings.Contains(e.Reason, c.reason) || !strings.Contains(e.Error(), e.Reason) {
			t.Errorf("%s: %q with the reason %q, want %q in both", c.what, e, e.Reason, c.reason)
		}
		contains := func(part string) bool {
			return slices.ContainsFunc(e.Log, func(line string) bool { return strings.Contains(line, part) })
		}
		if !contains(c.reason) || !contains(c.later) {
			t.Errorf("%s: the log is %q", c.what, e.Log)
		}
		if !strings.Contains(echo.String(), e.Reason) {
			t.Errorf("%s: %q is not echoed: %q", c.what, e.Reason, echo.String())
		}
	}
}

// A context that is refused carries what llama.cpp warned of while the model was loaded.
func TestContextErrorsKeepTheLoadsWarnings(t *testing.T) {
	m := load(t, writeModel(t, smallModel, "f32"))
	m.log = []string{"a warning of the load"}
	_, err := m.NewContext(ContextParams{NCtx: 256, FlashAttn: "off", KVTypeV: "q8_0"})
	var e *Error
	if !errors.As(err, &e) || len(e.Log) < 2 || e.Log[0] != m.log[0] {
		t.Errorf("%v with the log %q", err, e.Log)
	}
}

func TestCapture(t *testing.T) {
	const warn, cont = 3, 5
	var b logBuffer
	first := &capture{}
	b.captures = map[*capture]bool{first: true}
	b.add(2, "told to nobody\n")
	b.add(warn, "a warning in ")
	b.add(cont, "two pieces\n")
	b.add(warn, "....")
	b.add(cont, "\n")
	second := &capture{}
	b.captures[second] = true
	for i := range capturedLines + 7 {
		b.add(4, fmt.Sprintf("error %d\n", i))
	}
	if first.lines[0] != "a warning in two pieces" || first.reason != "error 0" || second.reason != "error 0" || second.lines[0] != "error 0" {
		t.Errorf("captured %q (%q) and %q (%q)", first.lines[:2], first.reason, second.lines[:2], second.reason)
	}
	if len(first.lines) != capturedLines || first.dropped != 8 || second.dropped != 7 {
		t.Errorf("%d lines and %d dropped, then %d dropped", len(first.lines), first.dropped, second.dropped)
	}
	if lines, _ := second.end(); len(lines) != capturedLines+1 || !strings.Contains(lines[capturedLines], "7 more") {
		t.Errorf("ended with %q", lines[len(lines)-1])
	}
	if lines, reason := (*capture)(nil).end(); lines != nil || reason != "" {
		t.Errorf("no capture gave %q, %q", lines, reason)
	}
}
